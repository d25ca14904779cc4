"""Attention behind the interface of the spherical form, for comparison: softmax, and signed without a norm."""

from __future__ import annotations

import torch
from torch import Tensor


def _softmax_rows(q: Tensor, k: Tensor, exclude: tuple[Tensor, Tensor] | None) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if exclude is None:
        return scores.softmax(-1)
    hidden = torch.zeros(scores.shape[-2:], dtype=torch.bool, device=scores.device)
    hidden[exclude] = True
    return scores.masked_fill(hidden, -torch.inf).softmax(-1).nan_to_num()


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, *, exclude: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Output (batch, heads, n, dv) and row mass sum A^2 (batch, heads, n); a row without keys is zero."""
    rows = _softmax_rows(q, k, exclude)
    return rows @ v, rows.square().sum(-1)


def softmax_maps(q: Tensor, k: Tensor, *, exclude: tuple[Tensor, Tensor] | None, groups: Tensor | None) -> Tensor:
    """Softmax map averaged over the cells of each group, (groups, heads, n, m), one cell at a time."""
    if groups is None:
        groups = torch.zeros(len(q), dtype=torch.int64, device=q.device)
    counts = torch.bincount(groups)
    total = q.new_zeros(len(counts), *q.shape[1:3], k.shape[2])
    for cell, group in enumerate(groups.tolist()):
        total[group] += _softmax_rows(q[cell], k[cell], exclude)
    return total / counts.clamp(min=1).view(-1, 1, 1, 1)


def unnormalised_attention(q: Tensor, k: Tensor, v: Tensor, *, exclude: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Output sum_j s_ij v_j (batch, heads, n, dv) and row mass sum_j s_ij^2 (batch, heads, n) of the bare scores."""
    rows, keys = exclude
    own = (q[..., rows, :] * k[..., keys, :]).sum(-1)
    output = (q @ (k.transpose(-1, -2) @ v)).index_add(-2, rows, -own.unsqueeze(-1) * v[..., keys, :])
    mass = ((q @ (k.transpose(-1, -2) @ k)) * q).sum(-1).index_add(-1, rows, -own.square())
    return output, mass.clamp(min=0)


def unnormalised_maps(q: Tensor, k: Tensor, *, exclude: tuple[Tensor, Tensor], groups: Tensor | None) -> Tensor:
    """Scores averaged over the cells of each group, (groups, heads, n, m)."""
    if groups is None:
        groups = torch.zeros(len(q), dtype=torch.int64, device=q.device)
    counts = torch.bincount(groups)
    total = q.new_zeros(len(counts), *q.shape[1:3], k.shape[2])
    for cell, group in enumerate(groups.tolist()):
        total[group] += q[cell] @ k[cell].transpose(-1, -2)
    total[..., exclude[0], exclude[1]] = 0
    return total / counts.clamp(min=1).view(-1, 1, 1, 1)
