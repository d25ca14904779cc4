# mypy: disable-error-code="no-untyped-def"
"""Device functions of the factorised form: products with a small state, and tiles of one head.

Every product accumulates in float32. The states square the condition number of the keys, so a product with them must
see at least 16 bits of their mantissa (`product`):

- bfloat16 inputs: the state is split into a bfloat16 high and low part; two products on tensor cores.
- float16 inputs: the rows are split as well. A float16 number is exactly the sum of two bfloat16 numbers, while a
  state in float16 would overflow at 65504 or lose its small entries; bfloat16 has the range of float32. Three products.
- float32 inputs: `tf32x3`, three products that keep about 22 bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.tiles import load_rows, store_rows


@triton.jit
def read(pointer, start, end, stride, first, ROWS: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr):
    """Tile (ROWS, COLUMNS) of a matrix WIDTH wide, from row `start` and column `first`; zero from row `end` on."""
    base = pointer + tl.cast(start, tl.int64) * stride
    columns = first + tl.arange(0, COLUMNS)
    # Panels cover the next power of two: of another width the last ones lie outside, whatever COLUMNS divides.
    check: tl.constexpr = (WIDTH % COLUMNS) + (WIDTH & (WIDTH - 1)) != 0
    return load_rows(base, tl.arange(0, ROWS), stride, end - start, columns, WIDTH, True, check)


@triton.jit
def write(pointer, tile, start, end, first, ROWS: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr):
    """Write a tile into a contiguous matrix WIDTH wide, up to row `end`."""
    base = pointer + tl.cast(start, tl.int64) * WIDTH
    columns = first + tl.arange(0, COLUMNS)
    check: tl.constexpr = (WIDTH % COLUMNS) + (WIDTH & (WIDTH - 1)) != 0
    store_rows(base, tile, tl.arange(0, ROWS), WIDTH, end - start, columns, WIDTH, True, check)


@triton.jit
def read_vector(pointer, start, end, ROWS: tl.constexpr):
    """ROWS numbers from `start`; zero from `end` on."""
    rows = start + tl.arange(0, ROWS)
    return tl.load(pointer + rows, mask=rows < end, other=0.0)


@triton.jit
def write_vector(pointer, vector, start, end, ROWS: tl.constexpr):
    """Write ROWS numbers from `start`, up to `end`."""
    rows = start + tl.arange(0, ROWS)
    tl.store(pointer + rows, vector, mask=rows < end)


@triton.jit
def read_state(pointer, first, stride, DEPTH: tl.constexpr, WIDTH: tl.constexpr,
               ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Tile (ROWS, COLUMNS) of a float32 state (DEPTH, WIDTH) from column `first`; zero outside."""
    rows = tl.arange(0, ROWS)[:, None]
    columns = first + tl.arange(0, COLUMNS)[None, :]
    return tl.load(pointer + rows * stride + columns, mask=(rows < DEPTH) & (columns < WIDTH), other=0.0)


@triton.jit
def read_state_transposed(pointer, first, stride, DEPTH: tl.constexpr, WIDTH: tl.constexpr,
                          ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Tile (ROWS, COLUMNS) of the transpose of a float32 state (WIDTH, DEPTH) from its row `first`; zero outside."""
    rows = tl.arange(0, ROWS)[:, None]
    columns = first + tl.arange(0, COLUMNS)[None, :]
    return tl.load(pointer + columns * stride + rows, mask=(rows < DEPTH) & (columns < WIDTH), other=0.0)


@triton.jit
def write_state(pointer, tile, first, stride, DEPTH: tl.constexpr, WIDTH: tl.constexpr,
                ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Write a tile into a float32 state (DEPTH, WIDTH), from column `first`."""
    rows = tl.arange(0, ROWS)[:, None]
    columns = first + tl.arange(0, COLUMNS)[None, :]
    tl.store(pointer + rows * stride + columns, tile, mask=(rows < DEPTH) & (columns < WIDTH))


@triton.jit
def high_low(tile):
    """Two bfloat16 tiles whose sum is the tile to 16 bits."""
    high = tile.to(tl.bfloat16)
    return high, (tile.to(tl.float32) - high.to(tl.float32)).to(tl.bfloat16)


@triton.jit
def parts(state, INPUT: tl.constexpr):
    """What `product` needs of a float32 state: high and low part; for float32 inputs the state itself, twice."""
    if INPUT == "fp32":
        high, low = state, state
    else:
        high, low = high_low(state)
    return high, low


@triton.jit
def product(rows, high, low, INPUT: tl.constexpr):
    """Rows, in the inputs' type, times the state that was split into `parts`; float32."""
    if INPUT == "fp32":
        result = tl.dot(rows, high, input_precision="tf32x3")
    elif INPUT == "fp16":
        rows_high, rows_low = high_low(rows)
        result = tl.dot(rows_low, high)
        result = tl.dot(rows_high, low, result)
        result = tl.dot(rows_high, high, result)
    else:
        result = tl.dot(rows, low)
        result = tl.dot(rows, high, result)
    return result


@triton.jit
def accumulate(total, left, right, INPUT: tl.constexpr):
    """Add left^T right to a sum over rows.

    `left` holds inputs; `right` inputs, or inputs times a float32 factor. With bfloat16 inputs that product is rounded
    to bfloat16, no more than half a last digit of one of the inputs would change.
    """
    if INPUT == "fp32":
        total = tl.dot(tl.trans(left), right, total, input_precision="tf32x3")
    elif right.dtype == left.dtype:
        total = tl.dot(tl.trans(left), right, total)
    elif INPUT == "fp16":
        left_high, left_low = high_low(left)
        right_high, right_low = high_low(right)
        total = tl.dot(tl.trans(left_low), right_high, total)
        total = tl.dot(tl.trans(left_high), right_low, total)
        total = tl.dot(tl.trans(left_high), right_high, total)
    else:
        total = tl.dot(tl.trans(left), right.to(tl.bfloat16), total)
    return total
