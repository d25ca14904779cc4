"""Tiles of the quadratic form's kernels: chosen so that no register spills and products run on matrix units.

Of the tiles that `grn.kernels.gpu.offline` passes, the largest are taken, because keys and values are read once for
each tile of queries; none has been timed against the others on a GPU.
"""

from __future__ import annotations

from grn.kernels.gpu.launch import Config

# Bytes of an element, and whether there are options over pairs. Each of the three tf32 products of "tf32x3" needs both
# parts of its operands in registers: in float32 no tile compiles without spilling beside a tile of a mask, a prior and
# the dropout hash, and none of the backward kernels at head dim 128. The chunked form is there for both.
SHIPPED = ((2, False), (2, True), (4, False))


def head_dims(width: int, pairs: bool) -> tuple[int, ...]:
    """Sizes that d and dv are padded to, for elements of `width` bytes, with or without options over pairs."""
    if width == 4:
        return (64,)
    return (64, 128) if pairs else (32, 64, 128)


# (capability, bytes of an element, options over pairs) -> kernel -> for each head dim in turn:
# queries and keys of a tile, warps, stages.
_TILES: dict[tuple[int, int, bool], dict[str, list[tuple[int, int, int, int]]]] = {
    (80, 2, False): {
        "forward": [(128, 64, 4, 3), (128, 64, 4, 3), (128, 64, 8, 2)],
        "query": [(128, 64, 8, 3), (128, 64, 8, 3), (64, 64, 4, 2)],
        "key": [(64, 64, 4, 2), (32, 64, 4, 1), (64, 64, 8, 1)],
        "atomic": [(64, 64, 8, 2), (32, 64, 8, 1), (32, 64, 8, 1)],
    },
    (80, 2, True): {
        "forward": [(64, 32, 4, 1), (64, 64, 8, 1)],
        "query": [(64, 32, 4, 1), (64, 32, 8, 1)],
        "key": [(32, 32, 4, 1), (32, 64, 8, 1)],
        "prior": [(32, 32, 4, 1), (16, 32, 4, 1)],
    },
    (80, 4, False): {"forward": [(64, 32, 8, 2)], "query": [(32, 16, 4, 2)], "key": [(32, 32, 8, 1)]},
    (90, 2, False): {
        "forward": [(128, 64, 4, 3), (128, 64, 4, 3), (128, 64, 8, 3)],
        "query": [(128, 64, 4, 3), (128, 64, 4, 3), (128, 64, 8, 3)],
        "key": [(64, 64, 4, 3), (64, 64, 4, 3), (64, 64, 8, 3)],
        "atomic": [(64, 64, 4, 3), (64, 64, 4, 3), (64, 64, 8, 3)],
    },
    (90, 2, True): {
        "forward": [(128, 64, 8, 3), (64, 64, 8, 2)],
        "query": [(128, 64, 8, 3), (64, 64, 8, 2)],
        "key": [(64, 64, 8, 3), (64, 64, 8, 2)],
        "prior": [(64, 64, 8, 1), (64, 64, 8, 1)],
    },
    (90, 4, False): {"forward": [(128, 32, 8, 2)], "query": [(128, 32, 8, 2)], "key": [(16, 128, 8, 2)]},
    (100, 2, False): {
        "forward": [(128, 64, 4, 3), (128, 64, 4, 3), (128, 64, 4, 3)],
        "query": [(128, 64, 4, 3), (128, 64, 8, 2), (128, 64, 8, 3)],
        "key": [(64, 128, 8, 2), (64, 128, 8, 2), (64, 128, 8, 2)],
        "atomic": [(64, 64, 8, 2), (64, 64, 8, 2), (64, 64, 8, 2)],
    },
    (100, 2, True): {
        "forward": [(128, 64, 8, 2), (64, 64, 8, 1)],
        "query": [(64, 64, 8, 2), (64, 64, 8, 2)],
        "key": [(64, 64, 8, 2), (64, 64, 8, 2)],
        "prior": [(64, 64, 8, 1), (64, 64, 8, 1)],
    },
    (100, 4, False): {"forward": [(128, 32, 8, 2)], "query": [(64, 32, 8, 1)], "key": [(32, 64, 8, 1)]},
}

CONFIGS: dict[tuple[str, int, int, int, bool], Config] = {
    (kernel, capability, d, width, pairs): Config(*tile)
    for (capability, width, pairs), kernels in _TILES.items()
    for kernel, tiles in kernels.items()
    for d, tile in zip(head_dims(width, pairs), tiles, strict=True)
}
