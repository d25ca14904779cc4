"""The one public attention function."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from grn.kernels import ops
from grn.kernels._inputs import Checked, Exclusions, SparsePrior, absolute_eps, check_inputs, widened
from grn.kernels.dispatch import Backend, choose_form
from grn.kernels.dropout import new_seed
from grn.kernels.reference import reference_attention


@overload
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    pair_mask: Tensor | None = None,
    prior: Tensor | None = None,
    sink: Tensor | None = None,
    dropout_p: float = 0.0,
    eps: float = 1e-6,
    return_norm: Literal[False] = False,
    backend: Backend = "auto",
    deterministic: bool = True,
) -> Tensor: ...
@overload
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    pair_mask: Tensor | None = None,
    prior: Tensor | None = None,
    sink: Tensor | None = None,
    dropout_p: float = 0.0,
    eps: float = 1e-6,
    return_norm: Literal[True],
    backend: Backend = "auto",
    deterministic: bool = True,
) -> tuple[Tensor, Tensor]: ...
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    pair_mask: Tensor | None = None,
    prior: Tensor | None = None,
    sink: Tensor | None = None,
    dropout_p: float = 0.0,
    eps: float = 1e-6,
    return_norm: bool = False,
    backend: Backend = "auto",
    deterministic: bool = True,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention whose rows lie on the unit sphere: signed weights, no exponential.

    With scores s, rows are divided by their Euclidean norm instead of passing a softmax::

        s_ij = mask_ij (w_j q_i . k_j + prior_ij)
        r_i = (sum_j s_ij^2 + sink_i^2 + eps')^(-1/2)      A_ij = s_ij r_i      o_i = sum_j A_ij v_j

    Abbott et al. 2025 (arXiv 2505.09326), extended by key weights, excluded pairs, priors and a sink.

    Parameters
    ----------
    q
        Queries, (batch, heads, n, head_dim), floating point.
    k
        Keys, (batch, key_heads, m, head_dim). The number of keys m need not be n; key_heads divides heads, and each key
        head serves heads / key_heads query heads next to each other (grouped-query attention).
    v
        Values, (batch, key_heads, m, dv). dv need not be head_dim.
    key_weights
        Real factor w_j of each key, broadcastable to (batch, key_heads, m); 0 removes a padded key.
    exclude
        Pair of int64 vectors (queries, keys) of equal length: score s_ij is 0 for each pair listed (once),
        in every batch entry and head. A gene's own key is left out this way, at the cost of the pairs listed.
    pair_mask
        bool, broadcastable to (batch, heads, n, m): False where a query may not see a key. Not for the linear form.
    prior
        Number added to each score: a dense tensor broadcastable to (batch, heads, n, m), not for the linear form, or
        a `torch.sparse_coo_tensor` (n, m) shared by all batch entries and heads, at the cost of its entries.
        A prior of low rank costs nothing extra: append its factors to the features of q and k. Finite: to hide a pair,
        use `pair_mask` or `exclude`, not -inf. PyTorch compiles no sparse tensors.
    sink
        Mass outside the keys, broadcastable to (batch, heads, n): "unexplained". Rows then have norm below 1.
    dropout_p
        Probability that an attention weight A_ij is dropped; the others are divided by 1 - dropout_p. The norm does not
        change. Not for the linear form. The seed comes from PyTorch's generator of the device.
    eps
        Added to the mean over keys of (q.k)^2 / head_dim, so that it is relative to unit-variance inputs;
        0 gives NaN for a row without any score.
    return_norm
        Also return r, (batch, heads, n); differentiable.
    backend
        "linear" (factorised, O(n + m)), "flashsign" (quadratic, streamed, memory O(n + m)), "reference" (materialised,
        O(n m)) or "auto", the cheaper one at these shapes by `grn.kernels.costs`. All compute the same; rounding
        differs. Where excluded pairs carry nearly all of a row's mass, the linear form subtracts them from a sum and
        loses float32 digits accordingly: three of seven where they carry 99.96 %.
    deterministic
        False allows the quadratic form on a GPU to add up gradients of q in an order that varies, which is faster.

    Returns
    -------
    Output (batch, heads, n, dv), and r if asked for. The output has the inputs' type, r is float32 (float64 for float64
    inputs). Sums are kept in float32 or float64 always. Under autocast, inputs on a GPU other than float64 are taken
    to its type first, as PyTorch's own attention does; elsewhere autocast changes nothing.

    Raises
    ------
    TypeError, ValueError
        Before any computation, where shapes, dtypes, devices or values do not fit, a backend is unknown, or the linear
        form is asked for what does not factorise.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import spherical_attention
    >>> q, k, v = (torch.randn(2, 4, 100, 16) for _ in range(3))
    >>> spherical_attention(q, k, v).shape
    torch.Size([2, 4, 100, 16])
    """
    if isinstance(q, Tensor) and q.is_cuda and q.dtype != torch.float64 and torch.is_autocast_enabled("cuda"):
        q, k, v = (tensor.to(torch.get_autocast_dtype("cuda")) for tensor in (q, k, v))
    checked = check_inputs(
        *(q, k, v),
        key_weights=key_weights,
        exclude=exclude,
        pair_mask=pair_mask,
        prior=prior,
        sink=sink,
        dropout_p=dropout_p,
        eps=eps,
    )
    dense = checked.mask is not None or isinstance(checked.prior, Tensor) or dropout_p > 0
    wanted = [tensor for tensor in (q, k, v, key_weights, prior, sink) if tensor is not None]
    backward = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in wanted)
    form = choose_form(backend, q, k, v, dense=dense, backward=backward)
    with torch.autocast(q.device.type, enabled=False):
        if key_weights is not None:
            k = (widened(k) * key_weights.to(widened(k).dtype).unsqueeze(-1)).to(k.dtype)
        sink = None if sink is None else sink.to(ops.norm_dtype(q)).expand(q.shape[:3])
        seed = new_seed(q.device) if dropout_p > 0 else None
        term = absolute_eps(eps, k)
        if form == "linear":
            output, inverse_norm = _linear(q, k, v, checked, sink, term)
        elif form == "flashsign":
            output, inverse_norm = ops.flashsign_forward(
                *(q, k, v, sink, *(checked.exclude or (None, None)), checked.mask, _dense_prior(q, k, checked.prior)),
                *(seed, float(dropout_p), term, deterministic, _values_checked()),
            )
        else:
            output, inverse_norm = reference_attention(
                *(widened(tensor) for tensor in (q, k, v)),
                exclude=checked.exclude,
                mask=checked.mask,
                prior=_dense_prior(q, k, checked.prior),
                sink=sink,
                dropout_p=dropout_p,
                seed=seed,
                eps=term,
            )
            output = output.to(q.dtype)
    return (output, inverse_norm) if return_norm else output


def _values_checked() -> bool:
    """Whether `check_inputs` has looked at the listed pairs: what is traced has no numbers, and the operator looks."""
    return not torch.compiler.is_compiling()


def _dense_prior(q: Tensor, k: Tensor, prior: Tensor | SparsePrior | None) -> Tensor | None:
    """(1 or batch, 1 or heads, n, m) in the type of the norm, whatever way the prior was given."""
    if prior is None:
        return None
    if isinstance(prior, SparsePrior):
        written_out = prior.values.new_zeros(q.shape[2], k.shape[2])
        prior = written_out.index_put((prior.queries, prior.keys), prior.values)[None, None]
    return prior.to(ops.norm_dtype(q))


def _linear(
    q: Tensor, k: Tensor, v: Tensor, checked: Checked, sink: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """The factorised form; query heads that share a key head become further queries of that head."""
    batch, heads, n, _ = q.shape
    key_heads = k.shape[1]
    shared = heads // key_heads
    if shared > 1:
        q = q.reshape(batch, key_heads, shared * n, q.shape[-1])
        sink = None if sink is None else sink.reshape(batch, key_heads, shared * n)
    exclude, prior = checked.exclude, checked.prior
    listed: list[Tensor | None] = [None] * 5
    if exclude is not None:
        listed[:2] = _repeat(exclude, shared, n)
    if isinstance(prior, SparsePrior):
        pairs = _repeat(Exclusions(prior.queries, prior.keys), shared, n)
        listed[2:] = [*pairs, prior.values.to(ops.norm_dtype(q)).repeat(shared)]
    output, inverse_norm, _ = ops.linear_forward(q, k, v, sink, *listed, eps, _values_checked())
    return output.view(batch, heads, n, v.shape[-1]), inverse_norm.view(batch, heads, n)


def _repeat(pairs: Exclusions, times: int, n: int) -> Exclusions:
    """Pairs of each of `times` runs of n queries."""
    if times == 1:
        return pairs
    starts = torch.arange(times, device=pairs.queries.device) * n
    return Exclusions((starts[:, None] + pairs.queries).flatten(), pairs.keys.repeat(times))
