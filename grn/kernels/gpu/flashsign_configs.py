"""Tiles of the quadratic form's kernels: chosen so that no register spills and products run on matrix units."""

from __future__ import annotations

from grn.kernels.gpu.launch import Config

# Head dims are padded to one of these.
HEAD_DIMS = (32, 64, 128)

KERNELS = ("forward", "query", "key", "prior")

# (kernel, capability, padded head dim, bytes of an element, options over pairs) -> tiles.
CONFIGS: dict[tuple[str, int, int, int, bool], Config] = {
    (kernel, capability, d, width, pairs): Config(64, 64 if width == 2 else 32, 4, 2)
    for kernel in KERNELS
    for capability in (80, 90, 100)
    for d in HEAD_DIMS
    for width in (2, 4)
    for pairs in (False, True)
}
