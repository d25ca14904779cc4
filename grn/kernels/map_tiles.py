"""Statistics of attention maps over cells, tile by tile in PyTorch operations; the twin of `grn.kernels.gpu.maps`.

A tile of pairs is accumulated over all cells of a group before the next tile: scores of one cell's tile stay in cache,
and no cells x n x m tensor exists. The norms are multiplied into the tile's queries, so that a product gives A itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from grn.kernels._inputs import widened

TILE = (256, 512)
"""Queries and keys of a tile on a processor: 0.5 MB of float32 for each statistic and for the scores."""
TILE_ELSEWHERE = (4096, 4096)
CELLS = 64
"""Cells whose scaled queries are held at a time."""


def accumulate(
    q: Tensor,
    k: Tensor,
    inverse_norm: Tensor,
    order: Tensor,
    offsets: Tensor,
    *,
    own: Tensor | None,
    statistics: Sequence[str],
) -> dict[str, Tensor]:
    """Statistics of A over the cells of each group.

    Parameters
    ----------
    q, k
        (cells, heads, n, d) and (cells, key heads, m, d); heads is a multiple of key heads.
    inverse_norm
        r of each row, (cells, heads, n).
    order, offsets
        Cells sorted by group, int64 (cells,), and where each group begins in it, int64 (groups + 1,).
    own
        int32 (n,): the one key whose entry is 0 in each query's row, -1 for none; or None.
    statistics
        Which of "mean" (of A), "abs" (mean of |A|) and "square" (mean of A^2).

    Returns
    -------
    Each statistic by name, float32 or float64 (groups, heads, n, m); zero for a group without cells.
    """
    shape = (len(offsets) - 1, q.shape[1], q.shape[2], k.shape[2])
    found = {name: inverse_norm.new_zeros(shape) for name in statistics}
    for group, head, rows, cells in _blocks(q, order, offsets):
        _fill({name: full[group, head, rows] for name, full in found.items()}, q, k, inverse_norm, head, rows, cells)
        if own is not None:
            _clear({name: full[group, head, rows] for name, full in found.items()}, own[rows])
    return found


def accumulate_top(
    q: Tensor,
    k: Tensor,
    inverse_norm: Tensor,
    order: Tensor,
    offsets: Tensor,
    *,
    own: Tensor | None,
    statistics: Sequence[str],
    top_k: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The `top_k` keys of largest |mean of A| for each group, head and query, strongest first, and their statistics.

    Parameters are those of `accumulate`. Maps of some rows at a time are held and sorted.

    Returns
    -------
    Keys, int64 (groups, heads, n, top_k), and each statistic by name, of the same shape.
    """
    shape = (len(offsets) - 1, q.shape[1], q.shape[2], top_k)
    keys = torch.zeros(shape, dtype=torch.int64, device=q.device)
    top = {name: inverse_norm.new_zeros(shape) for name in statistics}
    # The mean says which keys are strongest, asked for or not.
    full = {name: inverse_norm.new_zeros(_tile(q)[0], k.shape[2]) for name in dict.fromkeys(("mean", *statistics))}
    for group, head, rows, cells in _blocks(q, order, offsets):
        part = {name: buffer[: rows.stop - rows.start].zero_() for name, buffer in full.items()}
        _fill(part, q, k, inverse_norm, head, rows, cells)
        if own is not None:
            _clear(part, own[rows])
        best = part["mean"].abs().topk(top_k, dim=-1, sorted=True).indices
        keys[group, head, rows] = best
        for name, into in top.items():
            torch.gather(part[name], 1, best, out=into[group, head, rows])
    return keys, top


def _tile(q: Tensor) -> tuple[int, int]:
    return TILE if q.device.type == "cpu" else TILE_ELSEWHERE


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _blocks(q: Tensor, order: Tensor, offsets: Tensor) -> Iterator[tuple[int, int, slice, list[int]]]:
    """Group, head, rows, and cells of the group."""
    cells = order.tolist()
    for group, (start, stop) in enumerate(pairwise(offsets.tolist())):
        for head in range(q.shape[1]):
            for rows in _cuts(q.shape[2], _tile(q)[0]):
                yield group, head, rows, cells[start:stop]


def _fill(
    into: dict[str, Tensor], q: Tensor, k: Tensor, inverse_norm: Tensor, head: int, rows: slice, cells: list[int]
) -> None:
    """Add statistics of A (rows, m), means over `cells`, to the zeros in `into`."""
    m, key_head = k.shape[2], head * k.shape[1] // q.shape[1]
    columns = _cuts(m, _tile(q)[1])
    # A tile of its own, since rows of the full map are far apart in memory.
    scores, *sums = inverse_norm.new_empty(1 + len(into), rows.stop - rows.start, min(m, _tile(q)[1]))
    for some in (cells[start : start + CELLS] for start in range(0, len(cells), CELLS)):
        scaled = [widened(q[cell, head, rows]) * inverse_norm[cell, head, rows].unsqueeze(-1) for cell in some]
        keys = [k[cell, key_head].mT for cell in some]
        for cut in columns:
            tile = {name: part[:, : cut.stop - cut.start].zero_() for name, part in zip(into, sums, strict=True)}
            for queries, every in zip(scaled, keys, strict=True):
                _add(tile, queries, widened(every[:, cut]), scores)
            for name, full in into.items():
                full[:, cut].add_(tile[name])
    for full in into.values():
        full.mul_(1 / max(len(cells), 1))


def _add(tile: dict[str, Tensor], queries: Tensor, keys: Tensor, scores: Tensor) -> None:
    if len(tile) == 1 and "mean" in tile:
        tile["mean"].addmm_(queries, keys)
        return
    a = torch.mm(queries, keys, out=scores[:, : keys.shape[1]])
    if "mean" in tile:
        tile["mean"].add_(a)
    if "square" in tile:
        tile["square"].addcmul_(a, a)
    if "abs" in tile:
        tile["abs"].add_(a.abs_())


def _clear(into: dict[str, Tensor], own: Tensor) -> None:
    """Zeros in place at each row's own key."""
    rows = (own >= 0).nonzero().squeeze(1)
    for full in into.values():
        full[rows, own[rows].long()] = 0
