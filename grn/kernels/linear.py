"""Spherical attention in linear time: the normaliser and the output are both contractions of small states.

    S = K^T V  (d x dv)      G = K^T K  (d x d)
    o_i = r_i q_i S          r_i = (q_i G q_i^T + sink_i^2 + eps)^(-1/2)

No n x m object is ever formed and the result is exact. A few excluded pairs (a gene never sees itself) are
subtracted afterwards, O(d) each. The backward pass is written by hand, because automatic differentiation
would keep n x d intermediates that two products recompute. Derivation: docs/model.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from grn.kernels._inputs import Exclusions, absolute_eps


class LinearSphericalAttention(torch.autograd.Function):
    """Forward and backward of the factorised form; call it through `linear_attention`."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, sink: Tensor | None, exclude: Exclusions | None, eps: float
    ) -> tuple[Tensor, Tensor]:
        """Output and inverse row norm; keeps the two states for the backward pass."""
        state, gram = k.transpose(-1, -2) @ v, k.transpose(-1, -2) @ k
        square = (q @ gram).mul_(q).sum(-1)
        output = q @ state
        if exclude is not None:
            rows, columns = exclude
            score = (q[:, :, rows] * k[:, :, columns]).sum(-1)
            square.index_add_(2, rows, score.square(), alpha=-1)
            output.index_add_(2, rows, score.unsqueeze(-1) * v[:, :, columns], alpha=-1)
        # Rounding can leave a tiny negative number where the exact sum of squares is zero.
        square.clamp_(min=0).add_(absolute_eps(eps, k))
        if sink is not None:
            square.add_(sink.square())
        inverse_norm = square.rsqrt_()
        output.mul_(inverse_norm.unsqueeze(-1))
        ctx.save_for_backward(q, k, v, sink, state, gram, output, inverse_norm)
        ctx.exclude = exclude
        return output, inverse_norm

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_inverse_norm: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of q, k, v and sink."""
        # Called inside an autocast region, the products below would be taken to half precision.
        with torch.autocast(d_output.device.type, enabled=False):
            return (*_gradients(ctx, d_output, d_inverse_norm), None, None)


def _gradients(ctx: Any, d_output: Tensor, d_inverse_norm: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, sink, state, gram, output, inverse_norm = ctx.saved_tensors
    # square_i = sum of squared scores; d_square = -(do.o) r^2 / 2 - dr r^3 / 2
    d_square = (d_output * output).sum(-1).add_(d_inverse_norm * inverse_norm)
    d_square.mul_(inverse_norm.square()).mul_(-0.5)
    d_product = d_output * inverse_norm.unsqueeze(-1)  # gradient of q S
    d_q = d_product @ state.transpose(-1, -2) + (q @ gram).mul_(2 * d_square.unsqueeze(-1))
    d_state = q.transpose(-1, -2) @ d_product
    d_gram = (q * d_square.unsqueeze(-1)).transpose(-1, -2) @ q
    d_k = v @ d_state.transpose(-1, -2) + 2 * (k @ d_gram)
    d_v = k @ d_state if ctx.needs_input_grad[2] else None
    if ctx.exclude is not None:
        rows, columns = ctx.exclude
        q_pair, k_pair, v_pair = q[:, :, rows], k[:, :, columns], v[:, :, columns]
        score = (q_pair * k_pair).sum(-1)
        d_score = (d_product[:, :, rows] * v_pair).sum(-1) + 2 * d_square[:, :, rows] * score
        d_q.index_add_(2, rows, d_score.unsqueeze(-1) * k_pair, alpha=-1)
        d_k.index_add_(2, columns, d_score.unsqueeze(-1) * q_pair, alpha=-1)
        if d_v is not None:
            d_v.index_add_(2, columns, score.unsqueeze(-1) * d_product[:, :, rows], alpha=-1)
    d_sink = None if sink is None else (2 * sink * d_square).sum_to_size(sink.shape)
    return d_q, d_k, d_v, d_sink


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, *, exclude: Exclusions | None, sink: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and inverse row norm (batch, heads, n), in O((n + m) d (d + dv)).

    Arguments are those of `grn.kernels.spherical_attention`, already checked, in float32 or float64 and with key
    weights applied: the form squares the condition number of the keys.
    """
    return LinearSphericalAttention.apply(q, k, v, sink, exclude, eps)
