"""Spherical attention with the score matrix written out: the oracle of every other form.

Memory is O(n m) for each head, so use it for tests, for small problems and for looking inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from grn.kernels._inputs import Exclusions, absolute_eps


def reference_attention(
    q: Tensor, k: Tensor, v: Tensor, *, exclude: Exclusions | None, sink: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and inverse row norm (batch, heads, n), by the definition.

    Arguments are those of `grn.kernels.spherical_attention`, already checked, in float32 or float64 and with key
    weights applied.
    """
    scores = q @ k.transpose(-1, -2)
    if exclude is not None:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        allowed[exclude.queries, exclude.keys] = False
        scores = scores * allowed
    square = scores.square().sum(-1) + absolute_eps(eps, k)
    if sink is not None:
        square = square + sink.square()
    inverse_norm = square.rsqrt()
    return (scores * inverse_norm.unsqueeze(-1)) @ v, inverse_norm
