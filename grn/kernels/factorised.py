"""The factorised form with listed pairs: a core for all pairs (PyTorch or Triton), and corrections for those listed.

Accuracy: a correction cancels digits where an excluded pair carries nearly all of a row's mass. In half precision the
core's output is corrected in float32 and rounded once; its gradients are rounded before they are corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from grn.kernels._inputs import widened
from grn.kernels.pairs import Pairs, dots, spread


class Core(Protocol):
    """What `grn.kernels.linear` and `grn.kernels.gpu.linear` have in common."""

    def core_forward(
        self, q: Tensor, k: Tensor, v: Tensor, mass: Tensor | None, correction: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `grn.kernels.linear.core_forward`."""

    def core_backward(
        self,
        d_output: Tensor,
        d_inverse_norm: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        inverse_norm: Tensor,
        states: Tensor,
        dot: Tensor | None,
        *,
        value_gradient: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """See `grn.kernels.linear.core_backward`."""


def forward(
    core: Core, q: Tensor, k: Tensor, v: Tensor, mass: Tensor | None, pairs: Sequence[Pairs], eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Output (batch, heads, n, dv), inverse norm (batch, heads, n) and states (batch, heads, d, d + dv).

    Parameters
    ----------
    core
        Module that computes the form without listed pairs.
    q, k, v, mass, eps
        As in `grn.kernels.linear.core_forward`.
    pairs
        Listed pairs; none is in two of the lists.
    """
    if not pairs:
        return core.core_forward(q, k, v, mass, None, eps)
    correction = widened(q.new_zeros(q.shape[:3]))
    changes = []
    for some in pairs:
        scores = dots(q, k, some)
        change = some.change(scores)
        # (s + c)^2 - s^2
        correction.index_add_(2, some.queries, change * scores.mul_(2).add_(change))
        changes.append(change)
    output, inverse_norm, states = core.core_forward(q, k, v, mass, correction, eps)
    corrected = widened(output)
    for some, change in zip(pairs, changes, strict=True):
        spread(corrected, some.queries, change * inverse_norm.index_select(2, some.queries), v, some.keys)
    return corrected.to(q.dtype), inverse_norm, states


def backward(
    core: Core,
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    inverse_norm: Tensor,
    states: Tensor,
    pairs: Sequence[Pairs],
    *,
    value_gradient: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]:
    """Gradients of q, k, v, of each row's sum of squared scores (batch, heads, n) and of the listed prior (pairs,).

    With w_p = do_i . v_j, the gradient of a listed pair's score s + c is r_i w_p + 2 (s + c) dsq_i. The core has
    counted r_i w_p + 2 s dsq_i for it; the rest is added here.

    Parameters
    ----------
    core, q, k, v, pairs
        As in `forward`; at most one list has a prior.
    d_output, d_inverse_norm, inverse_norm, states
        As in `grn.kernels.linear.core_backward`.
    value_gradient
        False: the gradient of v is None.
    """
    parts = []
    dot = widened(q.new_zeros(q.shape[:3])) if pairs else None
    for some in pairs:
        scores, weights = dots(q, k, some), dots(d_output, v, some)
        change = some.change(scores)
        if dot is not None:
            dot.index_add_(2, some.queries, change * weights)
        parts.append((some, scores, weights, change))
    d_q, d_k, d_v, d_square = core.core_backward(
        d_output, d_inverse_norm, q, k, v, inverse_norm, states, dot, value_gradient=value_gradient
    )
    if not pairs:
        return d_q, d_k, d_v, d_square, None
    d_q, d_k = widened(d_q), widened(d_k)
    d_v = None if d_v is None else widened(d_v)
    d_prior = None
    for some, scores, weights, change in parts:
        norm = inverse_norm.index_select(2, some.queries)
        slope = 2 * d_square.index_select(2, some.queries)
        if some.prior is None:
            rest = weights.mul_(norm).addcmul_(scores, slope).neg_()
        else:
            rest = change * slope
            d_prior = weights.mul_(norm).addcmul_(scores, slope).add_(rest).sum((0, 1)).to(some.prior.dtype)
        spread(d_q, some.queries, rest, k, some.keys)
        spread(d_k, some.keys, rest, q, some.queries)
        if d_v is not None:
            spread(d_v, some.keys, change * norm, d_output, some.queries)
    return d_q.to(q.dtype), d_k.to(k.dtype), None if d_v is None else d_v.to(v.dtype), d_square, d_prior
