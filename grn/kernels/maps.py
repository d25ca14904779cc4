"""Attention maps averaged over cells, without a cells x genes x genes tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from grn.kernels._inputs import check_inputs, widened
from grn.kernels.attention import spherical_attention


def attention_maps(
    q: Tensor,
    k: Tensor,
    *,
    groups: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor:
    """Signed attention map averaged over the cells of each group.

    The mean over cells is one matrix product: sum_b diag(r_b) Q_b K_b^T, with inner dimension cells x head_dim.

    Parameters
    ----------
    q
        Queries, (cells, heads, n, head_dim).
    k
        Keys, (cells, heads, m, head_dim); expand keys that all cells share.
    groups
        Group of each cell, int64 (cells,), 0 .. groups - 1; without it all cells are one group.
    exclude, sink, eps
        As in `grn.kernels.spherical_attention`.

    Returns
    -------
    Mean of A, (groups, heads, n, m), float32 where the inputs are in half precision. A group without cells is zero.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import attention_maps
    >>> attention_maps(torch.randn(8, 2, 50, 16), torch.randn(8, 2, 30, 16)).shape
    torch.Size([1, 2, 50, 30])
    """
    check_inputs(q, k, k, None, exclude, sink, eps)
    if groups is None:
        groups = torch.zeros(len(q), dtype=torch.int64, device=q.device)
    if groups.shape != (len(q),) or groups.dtype != torch.int64:
        raise ValueError(
            f"groups must be int64 with one entry for each of the {len(q)} cells, but is {groups.dtype} "
            f"{tuple(groups.shape)}."
        )
    if not len(groups) or int(groups.min()) < 0:
        raise ValueError("groups must name at least one cell's group, and none below 0.")
    q, k = widened(q), widened(k)
    _, inverse_norm = spherical_attention(q, k, k[..., :1], exclude=exclude, sink=sink, eps=eps, return_norm=True)
    scaled = q * inverse_norm.unsqueeze(-1)
    maps = []
    with torch.autocast(q.device.type, enabled=False):
        for group in range(int(groups.max()) + 1):
            chosen = groups == group
            maps.append(torch.einsum("bhnd,bhmd->hnm", scaled[chosen], k[chosen]))
    counts = torch.bincount(groups).clamp(min=1).view(-1, 1, 1, 1)
    mean = torch.stack(maps) / counts
    if exclude is not None:
        mean[..., exclude[0], exclude[1]] = 0
    return mean
