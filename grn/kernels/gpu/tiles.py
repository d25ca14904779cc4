# mypy: disable-error-code="no-untyped-def"
"""Device functions that the kernels share: tiles of rows, and the dropout hash."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_rows(pointer, rows, stride, n, columns, width, CHECK_ROWS: tl.constexpr, CHECK_COLUMNS: tl.constexpr):
    """Tile (rows, columns) of a matrix whose rows are contiguous; zero outside its n rows and `width` columns."""
    pointers = pointer + rows[:, None] * stride + columns[None, :]
    if CHECK_ROWS and CHECK_COLUMNS:
        tile = tl.load(pointers, mask=(rows[:, None] < n) & (columns[None, :] < width), other=0.0)
    elif CHECK_ROWS:
        tile = tl.load(pointers, mask=rows[:, None] < n, other=0.0)
    elif CHECK_COLUMNS:
        tile = tl.load(pointers, mask=columns[None, :] < width, other=0.0)
    else:
        tile = tl.load(pointers)
    return tile


@triton.jit
def store_rows(pointer, tile, rows, stride, n, columns, width, CHECK_ROWS: tl.constexpr, CHECK_COLUMNS: tl.constexpr):
    """Write a tile, in the type of the pointer, inside n rows and `width` columns."""
    pointers = pointer + rows[:, None] * stride + columns[None, :]
    tile = tile.to(pointer.dtype.element_ty)
    if CHECK_ROWS and CHECK_COLUMNS:
        tl.store(pointers, tile, mask=(rows[:, None] < n) & (columns[None, :] < width))
    elif CHECK_ROWS:
        tl.store(pointers, tile, mask=rows[:, None] < n)
    elif CHECK_COLUMNS:
        tl.store(pointers, tile, mask=columns[None, :] < width)
    else:
        tl.store(pointers, tile)


@triton.jit
def mix(x):
    """The 32-bit mixing function of `grn.kernels.dropout`, on uint32."""
    x = (x ^ (x >> 16)) * 0x7FEB352D
    x = (x ^ (x >> 15)) * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def row_keys(seed, batch_head, rows):
    """Key of each row, uint32; `keep` needs no more of seed, batch entry and head."""
    low, high = (seed & 0xFFFFFFFF).to(tl.uint32), ((seed >> 32) & 0xFFFFFFFF).to(tl.uint32)
    key = mix(mix(low ^ mix(high)) + batch_head.to(tl.uint32))
    return mix(key + rows.to(tl.uint32))


@triton.jit
def keep(row_key, columns, threshold):
    """Which pairs of a tile stay; `row_key` and `columns` come shaped to broadcast."""
    return mix(row_key ^ mix(columns.to(tl.uint32))) >= threshold.to(tl.uint32)


@triton.jit
def load_pairs(pointer, rows, columns, row_stride, column_stride, n, m, CHECK: tl.constexpr):
    """Tile of a matrix over pairs, `rows` and `columns` shaped to broadcast; zero outside n x m."""
    # One 32-bit offset for each pair: a 64-bit pointer would take twice the registers.
    pointers = pointer + (rows * row_stride + columns * column_stride)
    return tl.load(pointers, mask=(rows < n) & (columns < m), other=0) if CHECK else tl.load(pointers)


@triton.jit
def own_range(own):
    """Smallest and largest key that a tile of queries may not see; nothing lies between them if there is none."""
    return tl.min(tl.where(own < 0, 2147483647, own), 0), tl.max(own, 0)
