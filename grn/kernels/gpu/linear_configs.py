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

C = LinearConfig

# By architecture, inputs and the largest padded head dimension. None was timed on a GPU: the choices are those without
# spilled registers, of tiles that matrix units take well, with room for two programs on a multiprocessor where a head's
# states allow it. Tables for architecture 80 keep below the 99 KiB of shared memory of consumer cards.
_TILES: dict[tuple[int, str, int], dict[str, LinearConfig]] = {
    (80, "bf16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 4),
        "queries": C(32, 4, 3, sums=True),
        "keys": C(64, 4, 3),
    },
    (80, "fp16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 3),
        "queries": C(32, 4, 2),
        "weighted": C(32, 4, 2),
        "keys": C(32, 8, 2),
    },
    (80, "fp32", 64): {
        "states": C(32, 8, 2, panel=32),
        "rows": C(32, 8, 2),
        "queries": C(32, 8, 2),
        "weighted": C(32, 8, 2, panel=32),
        "keys": C(32, 8, 2, panel=64),
    },
    (90, "fp16", 32): {"queries": C(16, 4, 2, sums=True)},
    (90, "fp32", 32): {"states": C(32, 4, 3)},
    (100, "bf16", 16): {"states": C(64, 4, 2)},
    (100, "fp16", 16): {"states": C(64, 4, 2)},
    (100, "fp16", 32): {"queries": C(32, 4, 2, sums=True)},
    (100, "fp32", 32): {"states": C(32, 4, 3), "queries": C(32, 8, 2, sums=True)},
    (80, "bf16", 128): {
        "states": C(32, 8, 2),
        "rows": C(64, 8, 2, panel=64),
        "queries": C(32, 8, 2, panel=64),
        "weighted": C(32, 8, 2, panel=64),
        "keys": C(32, 8, 2, panel=64),
    },
    (80, "fp16", 128): {
        "states": C(32, 8, 2),
        "rows": C(32, 8, 2, panel=64),
        "queries": C(32, 8, 2, panel=64),
        "weighted": C(32, 8, 2, panel=64),
        "keys": C(32, 8, 2, panel=64),
    },
    (80, "fp32", 128): {
        "states": C(32, 8, 2, panel=64),
        "rows": C(32, 8, 2, panel=64),
        "queries": C(16, 8, 2, panel=32),
        "weighted": C(32, 8, 2, panel=32),
        "keys": C(16, 8, 2, panel=32),
    },
    (90, "bf16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 4),
        "queries": C(64, 4, 3, sums=True),
        "weighted": C(64, 4, 3),
        "keys": C(64, 4, 3),
    },
    (90, "fp16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 4),
        "queries": C(32, 8, 2, sums=True),
        "weighted": C(64, 4, 2),
        "keys": C(64, 4, 3),
    },
    (90, "fp32", 64): {
        "states": C(64, 4, 3),
        "rows": C(64, 4, 2),
        "queries": C(32, 8, 2),
        "weighted": C(32, 8, 2),
        "keys": C(32, 8, 2),
    },
    (90, "bf16", 128): {
        "states": C(64, 8, 3),
        "rows": C(64, 8, 3),
        "queries": C(64, 8, 2, panel=64),
        "weighted": C(64, 8, 2),
        "keys": C(64, 8, 2, panel=64),
    },
    (90, "fp16", 128): {
        "states": C(64, 8, 3),
        "rows": C(64, 8, 2, panel=64),
        "queries": C(32, 8, 2, panel=64),
        "weighted": C(32, 8, 2, panel=64),
        "keys": C(64, 8, 2, panel=64),
    },
    (90, "fp32", 128): {
        "states": C(32, 8, 2, panel=64),
        "rows": C(32, 8, 2, panel=64),
        "queries": C(32, 8, 2, panel=64),
        "weighted": C(32, 8, 2, panel=64),
        "keys": C(32, 8, 2, panel=64),
    },
    (100, "bf16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 4),
        "queries": C(64, 4, 2, sums=True),
        "keys": C(64, 4, 3),
    },
    (100, "fp16", 64): {
        "states": C(64, 4, 4),
        "rows": C(64, 4, 3),
        "queries": C(64, 8, 2, sums=True),
        "keys": C(64, 8, 2),
    },
    (100, "fp32", 64): {
        "states": C(64, 4, 3),
        "rows": C(64, 8, 2),
        "queries": C(64, 8, 2, sums=True),
        "keys": C(64, 8, 2),
    },
    (100, "bf16", 128): {
        "states": C(64, 8, 3),
        "rows": C(64, 8, 2),
        "queries": C(64, 8, 2),
        "weighted": C(64, 8, 2),
        "keys": C(64, 8, 2, panel=64),
    },
    (100, "fp16", 128): {
        "states": C(64, 8, 3),
        "rows": C(64, 8, 2, panel=64),
        "queries": C(64, 8, 2, panel=64),
        "weighted": C(64, 8, 2, panel=64),
        "keys": C(64, 8, 2, panel=64),
    },
    (100, "fp32", 128): {
        "states": C(32, 8, 2, panel=64),
        "rows": C(32, 8, 2, panel=64),
        "queries": C(32, 8, 2, panel=64),
        "weighted": C(32, 8, 2, panel=64),
        "keys": C(32, 8, 2, panel=64),
    },
}

# (kernel, architecture, padded head dimension, inputs) -> tiles; a narrower table comes before the wider ones.
CONFIGS = {
    (kernel, kind, d, name): config
    for (kind, name, largest), tiles in sorted(_TILES.items(), key=lambda item: -item[0][2])
    for kernel, config in tiles.items()
    for d in HEAD_DIMS
    if d <= largest
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
