# mypy: disable-error-code="no-untyped-def"
"""Triton kernel of the attention maps: a tile of pairs, summed over the cells of a group."""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.tiles import load_rows


@triton.jit
def tile_of(pointer, cell, head, batch_stride, head_stride, row_stride, start, end, first,
            ROWS: tl.constexpr, D: tl.constexpr, DEPTH: tl.constexpr):  # fmt: skip
    """Rows from `start` and DEPTH features from `first` of one cell and head; zero from row `end` on."""
    base = pointer + cell * batch_stride + head * head_stride + start.to(tl.int64) * row_stride
    columns = first + tl.arange(0, DEPTH)
    return load_rows(base, tl.arange(0, ROWS), row_stride, end - start, columns, D, True, D % DEPTH != 0)


@triton.jit
def maps_kernel(
    q, k, inverse_norm, order, offsets, own, mean, absolute, square, index,
    q_batch, q_head, q_row, k_batch, k_head, k_row, heads, n, m,
    D: tl.constexpr, DEPTH: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr,
    ABSOLUTE: tl.constexpr, SQUARE: tl.constexpr, KEEP: tl.constexpr, INPUT: tl.constexpr,
):  # fmt: skip
    """Means over cells of A, |A| and A^2 for one group, head and tile of pairs.

    Programs are numbered (groups, heads, tiles of queries, tiles of keys), the last fastest. Without KEEP the means are
    (groups, heads, n, m). With KEEP only that many keys of the tile are written for each query, those of largest
    |mean|, into (groups, heads, n, tiles of keys, KEEP); `index` says which, -1 where the tile has no more keys.
    """
    program = tl.program_id(0)
    tiles_m = tl.cdiv(m, BLOCK_M)
    tiles_n = tl.cdiv(n, BLOCK_N)
    tile_m = program % tiles_m
    start_m = tile_m * BLOCK_M
    start_n = program // tiles_m % tiles_n * BLOCK_N
    group_head = (program // (tiles_m * tiles_n)).to(tl.int64)
    head = group_head % heads
    first = tl.load(offsets + group_head // heads)
    last = tl.load(offsets + group_head // heads + 1)
    rows = start_n + tl.arange(0, BLOCK_N)
    columns = start_m + tl.arange(0, BLOCK_M)
    total = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    total_absolute = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    total_square = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    for position in range(first, last):
        cell = tl.load(order + position).to(tl.int64)
        norm = tl.load(inverse_norm + (cell * heads + head) * n + rows, mask=rows < n, other=0.0)
        entries = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
        for feature in tl.static_range(0, D, DEPTH):
            queries = tile_of(q, cell, head, q_batch, q_head, q_row, start_n, n, feature, BLOCK_N, D, DEPTH)
            keys = tile_of(k, cell, head, k_batch, k_head, k_row, start_m, m, feature, BLOCK_M, D, DEPTH)
            if INPUT == "fp32":
                entries = tl.dot(queries, tl.trans(keys), entries, input_precision="tf32x3")
            else:
                entries = tl.dot(queries, tl.trans(keys), entries)
        entries *= norm[:, None]
        total += entries
        if ABSOLUTE:
            total_absolute += tl.abs(entries)
        if SQUARE:
            total_square += entries * entries
    share = 1.0 / tl.maximum(last - first, 1).to(tl.float32)
    if own is not None:
        share = tl.where(tl.load(own + rows, mask=rows < n, other=-1)[:, None] == columns[None, :], 0.0, share)
    total *= share
    total_absolute *= share
    total_square *= share
    if KEEP == 0:
        inside = (rows < n)[:, None] & (columns < m)[None, :]
        place = (group_head * n + rows)[:, None] * m + columns[None, :]
        if mean is not None:
            tl.store(mean + place, total, mask=inside)
        if ABSOLUTE:
            tl.store(absolute + place, total_absolute, mask=inside)
        if SQUARE:
            tl.store(square + place, total_square, mask=inside)
    else:
        size = tl.where((columns < m)[None, :], tl.abs(total), -1.0)
        place = ((group_head * n + rows) * tiles_m + tile_m) * KEEP
        for rank in range(KEEP):
            largest, winner = tl.max(size, 1, return_indices=True, return_indices_tie_break_left=True)
            chosen = tl.arange(0, BLOCK_M)[None, :] == winner[:, None]
            tl.store(index + place + rank, tl.where(largest >= 0, start_m + winner, -1), mask=rows < n)
            tl.store(mean + place + rank, tl.sum(tl.where(chosen, total, 0.0), 1), mask=rows < n)
            if ABSOLUTE:
                tl.store(absolute + place + rank, tl.sum(tl.where(chosen, total_absolute, 0.0), 1), mask=rows < n)
            if SQUARE:
                tl.store(square + place + rank, tl.sum(tl.where(chosen, total_square, 0.0), 1), mask=rows < n)
            size = tl.where(chosen, -2.0, size)
