"""Spherical attention in linear time: the normaliser and the output are both contractions of small states.

    G = K^T K  (d x d)      S = K^T V  (d x dv)
    r_i = (max(q_i G q_i^T + correction_i, 0) + sink_i^2 + eps)^(-1/2)      o_i = r_i q_i S

No n x m object is ever formed and the result is exact. `core_forward` and `core_backward` are these formulas and
their derivatives written by hand, because automatic differentiation would keep n x d intermediates that two
products recompute. Derivation: docs/kernels.md. Listed pairs come on top: `grn.kernels.factorised`.

Notable choices
- Half precision is computed in float32: the states square the condition number of the keys.
- On a processor the work is cut into pieces: rows of one head where sequences are long, several heads at once where
  they are short. What is computed from a piece then stays in the second-level cache.
  On a GPU everything is one piece, since there a launch costs more than memory traffic.
- On a processor freed memory is kept for the next call, see `keep_freed_memory`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product, repeat
from typing import Any

import torch
from torch import Tensor

from grn.kernels._inputs import widened

PIECE = 2**17
"""Numbers of one tensor (heads x rows x d) that are worked on at a time on a processor: heads of fewer are taken
together, longer ones are cut. One thread, float32, forward and backward: a quarter to twice of this costs up to 20 %
more; one piece of everything 15 % more at 512 and 2,048 rows of 64 features, and 57 % more at 8,192."""


@cache
def keep_freed_memory() -> None:
    """Free one large block that was never touched, once in a process.

    The C library of Linux takes that as a sign that blocks up to this size come and go (`M_MMAP_THRESHOLD` in its
    manual, mallopt(3)) and no longer returns them to the system, which would hand over the pages of every result anew.
    At 4 x 4 heads of 2,048 x 64 these page faults were a quarter of the backward pass. Other allocators do not care.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _parts(q: Tensor, k: Tensor) -> tuple[list[tuple[slice, slice]], int]:
    """Batch entries and heads of each part, and the number of rows of a piece. Several heads are not cut along rows."""
    (batch, heads, _, d), longest = q.shape, max(q.shape[2], k.shape[2])
    if q.device.type != "cpu" or not longest * d:
        return [(slice(None), slice(None))], max(longest, 1)
    together = PIECE // (longest * d)
    cuts = product(_slices(batch, together // heads), _slices(heads, together))
    return list(cuts), longest if together > 1 else max(PIECE // d, 1)


def _slices(size: int, step: int) -> Iterator[slice]:
    step = max(step, 1)
    return (slice(start, start + step) for start in range(0, size, step))


def _pieces(tensor: Tensor | None, part: tuple[slice, slice], rows: int) -> Iterable[Any]:
    """Float32 or float64 pieces (heads, rows, ...) of one part; views where strides and type allow."""
    return repeat(None) if tensor is None else widened(tensor[part].flatten(0, 1)).split(rows, 1)


def core_forward(
    q: Tensor, k: Tensor, v: Tensor, mass: Tensor | None, correction: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, inverse row norms and states of the factorised form.

    Parameters
    ----------
    q, k, v
        (batch, heads, n, d), (batch, heads, m, d) and (batch, heads, m, dv), of one floating dtype and any strides.
    mass
        Squared sink, (batch, heads, n), or None.
    correction
        Added to each row's sum of squared scores before that is clamped at 0, (batch, heads, n), or None.
    eps
        Absolute term added to the sum.

    Returns
    -------
    output
        (batch, heads, n, dv), dtype of `q`; with a correction that of `states`, since it is to be corrected as well.
    inverse_norm
        (batch, heads, n), float32 or float64.
    states
        [G | S], (batch, heads, d, d + dv), float32 or float64: what `core_backward` needs.
    """
    if q.device.type == "cpu":
        keep_freed_memory()
    (batch, heads, n, d), dv = q.shape, v.shape[-1]
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    output = q.new_empty(batch, heads, n, dv, dtype=wide)
    inverse_norm = q.new_empty(batch, heads, n, dtype=wide)
    states = q.new_zeros(batch, heads, d, d + dv, dtype=wide)
    parts, rows = _parts(q, k)
    for part in parts:
        gram, mixing = (state.contiguous() for state in states[part].flatten(0, 1).split((d, dv), -1))  # G and S
        for keys, values in zip(_pieces(k, part, rows), _pieces(v, part, rows), strict=True):
            gram.baddbmm_(keys.mT, keys)
            mixing.baddbmm_(keys.mT, values)
        states[part] = torch.cat((gram, mixing), -1).view_as(states[part])
        of_rows = (_pieces(tensor, part, rows) for tensor in (q, mass, correction, inverse_norm, output))
        for queries, outside, pairs, norm, out in zip(*of_rows, strict=False):
            torch.sum(torch.bmm(queries, gram).mul_(queries), -1, out=norm)
            if pairs is not None:
                norm.add_(pairs)
            # Rounding can leave a small negative number where the exact sum of squares is zero.
            norm.clamp_(min=0).add_(eps)
            if outside is not None:
                norm.add_(outside)
            norm.rsqrt_()
            torch.bmm(queries, mixing, out=out)
            out.mul_(norm.unsqueeze(-1))
    return output if correction is not None else output.to(q.dtype), inverse_norm, states


def core_backward(
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
    """Gradients of q, k, v and of each row's sum of squared scores.

    With t = do S^T::

        dsq_i = -1/2 r_i^2 (r_i (q_i . t_i + dot_i) + r_i dr_i)      dq = r t + 2 dsq q G
        dS = q^T (r do)      dG = q^T diag(dsq) q      dk = v dS^T + 2 k dG      dv = k dS

    Parameters
    ----------
    d_output, d_inverse_norm
        Gradients of the output and of the inverse norm (None: zero).
    q, k, v, inverse_norm, states
        Inputs and results of `core_forward`.
    dot
        do_i . (what listed pairs add to q_i S), (batch, heads, n), or None.
    value_gradient
        False: d_v is None, and its product is saved.

    Returns
    -------
    d_q, d_k, d_v
        In the shapes and the dtype of q, k, v.
    d_square
        (batch, heads, n), dtype of `inverse_norm`.
    """
    d, dv = q.shape[-1], v.shape[-1]
    d_q, d_k = (tensor.new_empty(tensor.shape, dtype=states.dtype) for tensor in (q, k))
    d_v = v.new_empty(v.shape, dtype=states.dtype) if value_gradient else None
    d_square = inverse_norm.new_empty(inverse_norm.shape)
    parts, rows = _parts(q, k)
    for part in parts:
        gram, mixing = (state.contiguous() for state in states[part].flatten(0, 1).split((d, dv), -1))
        mixing_t = mixing.mT.contiguous()
        d_gram, d_mixing = torch.zeros_like(gram), torch.zeros_like(mixing)  # 2 dG and dS
        of_rows = (_pieces(x, part, rows) for x in (q, d_output, inverse_norm, dot, d_inverse_norm, d_q, d_square))
        for queries, d_out, norm, pairs, d_norm, d_queries, slope in zip(*of_rows, strict=False):
            d_mixed = d_out * norm.unsqueeze(-1)  # gradient of q S
            torch.bmm(d_mixed, mixing_t, out=d_queries)
            torch.sum(d_queries * queries, -1, out=slope)
            if pairs is not None:
                slope.addcmul_(pairs, norm)
            if d_norm is not None:
                slope.addcmul_(d_norm, norm)
            slope.mul_(norm).mul_(norm).mul_(-0.5)
            scaled = queries * slope.unsqueeze(-1).mul(2)
            d_queries.baddbmm_(scaled, gram)
            d_mixing.baddbmm_(queries.mT, d_mixed)
            d_gram.baddbmm_(queries.mT, scaled)
        mixing_t.copy_(d_mixing.mT)
        of_keys = (_pieces(tensor, part, rows) for tensor in (k, v, d_k, d_v))
        for keys, values, d_keys, d_values in zip(*of_keys, strict=False):
            torch.bmm(keys, d_gram, out=d_keys)
            d_keys.baddbmm_(values, mixing_t)
            if d_values is not None:
                torch.bmm(keys, d_mixing, out=d_values)
    return d_q.to(q.dtype), d_k.to(k.dtype), None if d_v is None else d_v.to(v.dtype), d_square
