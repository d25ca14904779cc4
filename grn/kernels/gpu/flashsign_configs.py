"""Tiles of the quadratic form's kernels: chosen so that no register spills and products run on matrix units."""

from __future__ import annotations

from grn.kernels.gpu.launch import Config

KERNELS = ("forward", "query", "key", "atomic", "prior")


def head_dims(width: int, pairs: bool) -> tuple[int, ...]:
    """Sizes that d and dv are padded to, for elements of `width` bytes, with or without options over pairs.

    float32 ends at 64: each of the three tf32 products of "tf32x3" needs both parts of its operands in registers, and
    no tile of the backward kernels at 128 compiles without spilling them.
    """
    if width == 4:
        return (64,)
    return (64, 128) if pairs else (32, 64, 128)


# (kernel, capability, padded head dim, bytes of an element, options over pairs) -> tiles.
CONFIGS: dict[tuple[str, int, int, int, bool], Config] = {
    (kernel, capability, d, width, pairs): Config(64, 64 if width == 2 else 32, 4, 2)
    for kernel in KERNELS
    for capability in (80, 90, 100)
    for width in (2, 4)
    for pairs in (False, True)
    for d in head_dims(width, pairs)
}
