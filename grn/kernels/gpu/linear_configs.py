"""Tiles of the factorised form's kernels, and how rows are shared out among programs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class LinearConfig:
    """Sizes of one kernel.

    Attributes
    ----------
    rows
        Rows of a tile.
    num_warps, num_stages
        Warps of a program, stages of the pipelined loads.
    panel
        Columns of a state that one program holds; 0: all columns, and all products of the kernel in one launch.
    sums
        Queries' gradients only: whether the same pass also adds up the gradients of the states. Where their
        accumulators do not fit into registers, the kernel of the states reads the queries once more.
    """

    rows: int
    num_warps: int
    num_stages: int
    panel: int = 0
    sums: bool = False


HEAD_DIMS = (16, 32, 64, 128)

# By kernel, architecture, padded head dimension and type of the inputs. None was timed on a GPU: the choices are those
# without spilled registers that leave room for two programs on a multiprocessor where the states allow it. Tables for
# architecture 80 keep below the 99 KiB of shared memory of consumer cards.
CONFIGS: dict[tuple[str, int, int, str], LinearConfig] = {
    (kernel, kind, d, name): LinearConfig(
        64 if d < 128 else 32, 8, 2, 64 if d == 128 else 0, kernel == "queries" and d < 128
    )
    for kernel in ("states", "weighted", "rows", "queries", "keys")
    for kind in (80, 90, 100)
    for d in (16, 32, 64, 128)
    for name in ("bf16", "fp16", "fp32")
}

ROW_LIMIT = 256
"""Most ranges that the rows of one head are cut into."""


@lru_cache(maxsize=4096)
def split_rows(heads: int, rows: int, tile: int, programs: int, overhead: int) -> tuple[int, int]:
    """Number of ranges that the rows of each head are cut into, and rows of a range, a multiple of the tile.

    Minimises the rows that one of the `programs` running at a time goes through, where starting a program costs as
    much as `overhead` rows. A function of shapes and device alone, so that sums over ranges have one order.
    """
    best = None
    for splits in range(1, min(ROW_LIMIT, -(-rows // tile)) + 1):
        length = -(-rows // (splits * tile)) * tile
        used = -(-rows // length)
        cost = -(-heads * used // programs) * (length + overhead)
        if best is None or cost < best[0]:
            best = cost, used, length
    return (1, tile) if best is None else best[1:]
