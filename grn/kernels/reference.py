"""Spherical attention with the score matrix written out: the oracle of every other form.

Memory is O(n m) for each head, so use it for tests, for small problems and for looking inside. Automatic
differentiation gives its gradients, to any order and in any floating type.
"""

from __future__ import annotations

import torch
from torch import Tensor

from grn.kernels._inputs import Exclusions
from grn.kernels.dropout import keep_mask


def reference_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    exclude: Exclusions | None,
    mask: Tensor | None,
    prior: Tensor | None,
    sink: Tensor | None,
    dropout_p: float,
    seed: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and inverse row norm (batch, heads, n), by the definition.

    Arguments are those of `grn.kernels.spherical_attention`, already checked, in float32 or float64, with key weights
    applied, a dense `prior`, and `eps` as the absolute term.
    """
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-1, -2)
    if prior is not None:
        scores = scores + prior
    if mask is not None:
        scores = scores * mask
    if exclude is not None:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        allowed[exclude.queries, exclude.keys] = False
        scores = scores * allowed
    square = scores.square().sum(-1) + eps
    if sink is not None:
        square = square + sink.square()
    inverse_norm = square.rsqrt()
    rows = scores * inverse_norm.unsqueeze(-1)
    if seed is not None:
        heads, n, m = (torch.arange(size, device=q.device) for size in (rows.shape[0] * rows.shape[1], *rows.shape[2:]))
        rows = rows * keep_mask(seed, heads, n, m, dropout_p).view_as(rows) / (1 - dropout_p)
    return rows @ v, inverse_norm
