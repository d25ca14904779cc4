"""Softmax attention behind the interface of the spherical form: the comparison, not the model."""

from __future__ import annotations

import torch
from torch import Tensor


def _rows(q: Tensor, k: Tensor, exclude: tuple[Tensor, Tensor] | None) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if exclude is None:
        return scores.softmax(-1)
    hidden = torch.zeros(scores.shape[-2:], dtype=torch.bool, device=scores.device)
    hidden[exclude] = True
    return scores.masked_fill(hidden, -torch.inf).softmax(-1).nan_to_num()


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, *, exclude: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and row mass sum A^2 (batch, heads, n); a row without keys is zero."""
    rows = _rows(q, k, exclude)
    return rows @ v, rows.square().sum(-1)


def softmax_maps(q: Tensor, k: Tensor, *, exclude: tuple[Tensor, Tensor] | None, groups: Tensor | None) -> Tensor:
    """Softmax map averaged over the cells of each group, (groups, heads, n, m), one cell at a time."""
    if groups is None:
        groups = torch.zeros(len(q), dtype=torch.int64, device=q.device)
    counts = torch.bincount(groups)
    total = q.new_zeros(len(counts), *q.shape[1:3], k.shape[2])
    for cell, group in enumerate(groups.tolist()):
        total[group] += _rows(q[cell], k[cell], exclude)
    return total / counts.clamp(min=1).view(-1, 1, 1, 1)
