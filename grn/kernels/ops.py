"""The two forms as registered PyTorch operators: each traces, compiles, vectorises and differentiates as one node.

An operator takes tensors and numbers only; `grn.kernels.spherical_attention` checks them, but for the numbers of listed
pairs in a traced call, which the body checks (`checked`). The body runs the Triton kernels where they apply, else
PyTorch operations (`grn.kernels.dispatch.implementation`). Autocast never reaches a body: the factorised form squares
the condition number of the keys, so its products may not drop to half precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from grn.kernels import factorised
from grn.kernels._inputs import check_listed
from grn.kernels._vmap import over_batch
from grn.kernels.dispatch import implementation
from grn.kernels.pairs import Pairs, own_and_mask

_PAIRS = "Tensor? excluded_queries, Tensor? excluded_keys, Tensor? prior_queries, Tensor? prior_keys, Tensor? prior"
_DENSE = "Tensor? excluded_queries, Tensor? excluded_keys, Tensor? mask, Tensor? prior, Tensor? seed, float dropout_p"


def norm_dtype(q: Tensor) -> torch.dtype:
    """Type of the inverse norm: float64 for float64 inputs, float32 for all others."""
    return torch.float64 if q.dtype == torch.float64 else torch.float32


def _listed(
    excluded_queries: Tensor | None,
    excluded_keys: Tensor | None,
    prior_queries: Tensor | None,
    prior_keys: Tensor | None,
    prior: Tensor | None,
) -> list[Pairs]:
    pairs = []
    if excluded_queries is not None and excluded_keys is not None:
        pairs.append(Pairs(excluded_queries, excluded_keys, None))
    if prior_queries is not None and prior_keys is not None:
        pairs.append(Pairs(prior_queries, prior_keys, prior))
    return pairs


def _dense(mask: Tensor | None, prior: Tensor | None, seed: Tensor | None) -> bool:
    return any(tensor is not None for tensor in (mask, prior, seed))


# The factorised form


@torch.library.custom_op(
    "grn::linear_forward",
    mutates_args=(),
    schema=f"(Tensor q, Tensor k, Tensor v, Tensor? sink, {_PAIRS}, float eps, bool checked) "
    "-> (Tensor, Tensor, Tensor)",
)
def linear_forward(
    q: Tensor, k: Tensor, v: Tensor, sink: Tensor | None, *pairs_and_more: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Output (batch, heads, n, dv), inverse norm (batch, heads, n) and states (batch, heads, d, d + dv)."""
    *pairs, eps, checked = pairs_and_more
    if not checked:
        excluded_queries, excluded_keys, prior_queries, prior_keys, _ = pairs
        check_listed(excluded_queries, excluded_keys, prior_queries, prior_keys, q.shape[2], k.shape[2])
    mass = None if sink is None else sink.square()
    with torch.autocast(q.device.type, enabled=False):
        return factorised.forward(implementation("linear", q, v), q, k, v, mass, _listed(*pairs), eps)


@linear_forward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    batch, heads, n, d = q.shape
    dtype = norm_dtype(q)
    output = q.new_empty(batch, heads, n, v.shape[-1])
    states = q.new_empty(batch, heads, d, d + v.shape[-1], dtype=dtype)
    return output, q.new_empty(batch, heads, n, dtype=dtype), states


@torch.library.custom_op(
    "grn::linear_backward",
    mutates_args=(),
    schema="(Tensor d_output, Tensor? d_inverse_norm, Tensor q, Tensor k, Tensor v, Tensor inverse_norm, Tensor states"
    f", {_PAIRS}, bool value_gradient) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def linear_backward(
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    inverse_norm: Tensor,
    states: Tensor,
    *pairs_and_flag: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, of the sums of squared scores (batch, heads, n) and of the listed priors."""
    *pairs, value_gradient = pairs_and_flag
    with torch.autocast(q.device.type, enabled=False):
        d_q, d_k, d_v, d_square, d_prior = factorised.backward(
            implementation("linear", q, v),
            *(d_output, d_inverse_norm, q, k, v, inverse_norm, states, _listed(*pairs)),
            value_gradient=value_gradient,
        )
    d_v, d_prior = (q.new_empty(0) if gradient is None else gradient for gradient in (d_v, d_prior))
    return d_q, d_k, d_v, d_square, d_prior


@linear_backward.register_fake
def _(
    d_output: Tensor, d_inverse_norm: Tensor | None, q: Tensor, k: Tensor, v: Tensor, inverse_norm: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    prior, value_gradient = rest[-2], rest[-1]
    d_prior = q.new_empty(0) if prior is None else torch.empty_like(prior)
    d_v = v.new_empty(v.shape) if value_gradient else q.new_empty(0)
    return q.new_empty(q.shape), k.new_empty(k.shape), d_v, inverse_norm.new_empty(inverse_norm.shape), d_prior


def _keep_linear(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, sink, *pairs, _, _ = inputs
    _, inverse_norm, states = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(q, k, v, sink, inverse_norm, states, *pairs)


def _linear_gradients(
    ctx: Any, d_output: Tensor | None, d_inverse_norm: Tensor | None, d_states: Tensor | None
) -> tuple[Any, ...]:
    q, k, v, sink, inverse_norm, states, *pairs = ctx.saved_tensors
    if d_output is None:
        d_output = q.new_zeros(*q.shape[:3], v.shape[-1])
    d_q, d_k, d_v, d_square, d_prior = linear_backward(
        d_output, d_inverse_norm, q, k, v, inverse_norm, states, *pairs, ctx.needs_input_grad[2]
    )
    d_sink = None if sink is None else 2 * sink * d_square
    # An operator cannot return None: a gradient that was not asked for came as an empty tensor.
    of_v, of_prior = d_v if ctx.needs_input_grad[2] else None, None if pairs[-1] is None else d_prior
    return d_q, d_k, of_v, d_sink, None, None, None, None, of_prior, None, None


linear_forward.register_autograd(_linear_gradients, setup_context=_keep_linear)
linear_forward.register_vmap(over_batch(linear_forward, batched=4))
linear_backward.register_vmap(over_batch(linear_backward, batched=7))


# The quadratic form


@torch.library.custom_op(
    "grn::flashsign_forward",
    mutates_args=(),
    schema=f"(Tensor q, Tensor k, Tensor v, Tensor? sink, {_DENSE}, float eps, bool deterministic, "
    "bool checked) -> (Tensor, Tensor)",
)
def flashsign_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sink: Tensor | None,
    excluded_queries: Tensor | None,
    excluded_keys: Tensor | None,
    mask: Tensor | None,
    prior: Tensor | None,
    seed: Tensor | None,
    dropout_p: float,
    eps: float,
    deterministic: bool,
    checked: bool,
) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and inverse norm (batch, heads, n)."""
    if not checked:
        check_listed(excluded_queries, excluded_keys, None, None, q.shape[2], k.shape[2])
    own, mask = own_and_mask(excluded_queries, excluded_keys, mask, q.shape[2], k.shape[2])
    mass = None if sink is None else sink.square()
    options = {"own": own, "mask": mask, "prior": prior, "mass": mass, "eps": eps, "dropout_p": dropout_p, "seed": seed}
    with torch.autocast(q.device.type, enabled=False):
        return implementation("flashsign", q, v, dense=_dense(mask, prior, seed)).forward(q, k, v, **options)


@flashsign_forward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return q.new_empty(*q.shape[:3], v.shape[-1]), q.new_empty(q.shape[:3], dtype=norm_dtype(q))


@torch.library.custom_op(
    "grn::flashsign_backward",
    mutates_args=(),
    schema="(Tensor d_output, Tensor? d_inverse_norm, Tensor q, Tensor k, Tensor v, Tensor output, Tensor inverse_norm"
    f", {_DENSE}, bool deterministic, bool prior_gradient, bool value_gradient) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def flashsign_backward(
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    inverse_norm: Tensor,
    excluded_queries: Tensor | None,
    excluded_keys: Tensor | None,
    mask: Tensor | None,
    prior: Tensor | None,
    seed: Tensor | None,
    dropout_p: float,
    deterministic: bool,
    prior_gradient: bool,
    value_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, of the sums of squared scores (batch, heads, n) and of the prior."""
    own, mask = own_and_mask(excluded_queries, excluded_keys, mask, q.shape[2], k.shape[2])
    options = {"own": own, "mask": mask, "prior": prior, "dropout_p": dropout_p, "seed": seed}
    with torch.autocast(q.device.type, enabled=False):
        d_q, d_k, d_v, d_prior, d_square = implementation("flashsign", q, v, dense=_dense(mask, prior, seed)).backward(
            *(d_output, d_inverse_norm, q, k, v, output, inverse_norm),
            **options,
            deterministic=deterministic,
            prior_gradient=prior_gradient,
            value_gradient=value_gradient,
        )
    d_v, d_prior = (q.new_empty(0) if gradient is None else gradient for gradient in (d_v, d_prior))
    return d_q, d_k, d_v, d_square, d_prior


@flashsign_backward.register_fake
def _(
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    inverse_norm: Tensor,
    *rest: Any,
) -> tuple[Tensor, ...]:
    prior, (prior_gradient, value_gradient) = rest[3], rest[-2:]
    d_prior = prior.new_empty(prior.shape) if prior_gradient else q.new_empty(0)
    d_v = v.new_empty(v.shape) if value_gradient else q.new_empty(0)
    return q.new_empty(q.shape), k.new_empty(k.shape), d_v, inverse_norm.new_empty(inverse_norm.shape), d_prior


def _keep_flashsign(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, sink, queries, keys, mask, prior, seed, ctx.dropout_p, _, ctx.deterministic, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(q, k, v, sink, *output, queries, keys, mask, prior, seed)


def _flashsign_gradients(ctx: Any, d_output: Tensor | None, d_inverse_norm: Tensor | None) -> tuple[Any, ...]:
    q, k, v, sink, output, inverse_norm, queries, keys, mask, prior, seed = ctx.saved_tensors
    if d_output is None:
        d_output = torch.zeros_like(output)
    prior_gradient = prior is not None and ctx.needs_input_grad[7]
    d_q, d_k, d_v, d_square, d_prior = flashsign_backward(
        *(d_output, d_inverse_norm, q, k, v, output, inverse_norm, queries, keys, mask, prior, seed, ctx.dropout_p),
        *(ctx.deterministic, prior_gradient, ctx.needs_input_grad[2]),
    )
    d_sink = None if sink is None else 2 * sink * d_square
    of_v, of_prior = d_v if ctx.needs_input_grad[2] else None, d_prior if prior_gradient else None
    return d_q, d_k, of_v, d_sink, None, None, None, of_prior, None, None, None, None, None


flashsign_forward.register_autograd(_flashsign_gradients, setup_context=_keep_flashsign)
flashsign_forward.register_vmap(over_batch(flashsign_forward, batched=4, dense=(6, 7)))
flashsign_backward.register_vmap(over_batch(flashsign_backward, batched=7, dense=(9, 10), dense_gradient=(4, 10)))
