"""Kernels with every fault that the offline gate must see, and one without; compiled by test_offline."""

from collections.abc import Iterator
from typing import Any

import triton
import triton.language as tl

from grn.kernels.gpu.offline import Variant


@triton.jit
def product_kernel(x, y, n, BLOCK: tl.constexpr, STEPS: tl.constexpr, DOT: tl.constexpr):
    rows = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK, BLOCK], tl.float32)
    for step in range(0, STEPS):
        tile = tl.load(x + step * n + rows[:, None] * BLOCK + rows[None, :])
        if DOT:
            total = tl.dot(tile, tile, total)
        else:
            total += tile * tile
    tl.store(y + rows[:, None] * BLOCK + rows[None, :], total)


def variant(name: str, *, block: int = 64, steps: int = 8, dot: bool = True, **options: Any) -> Variant:
    return Variant(
        name=name,
        kernel=product_kernel,
        signature={"x": "*fp16", "y": "*fp32", "n": "i32"},
        constexprs={"BLOCK": block, "STEPS": steps, "DOT": dot},
        num_warps=options.get("warps", 4),
        num_stages=options.get("stages", 2),
        tensor_cores=options.get("tensor_cores", True),
        divisible=("x", "y", "n"),
    )


def variants(capability: int) -> Iterator[Variant]:
    yield variant("fine")
    yield variant("elementwise", dot=False, tensor_cores=False)
    yield variant("scalar", dot=False)
    # One warp holds 128 x 128 sums: 512 registers a thread, of 255.
    yield variant("spills", block=128, warps=1)
    # Ten stages of a tile of 32 KiB.
    yield variant("shared", block=128, warps=8, steps=16, stages=10)
    yield variant("unbuildable", block=48)
