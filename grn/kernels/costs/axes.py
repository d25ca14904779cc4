"""Axes, arrays and kernels: what an algorithm costs follows from which axes it groups and which it streams.

After Abbott & Zardini 2024 (arXiv 2412.03317): an algorithm is a set of axes. A *grouped* axis is cut into tiles that
independent programs take; a *streamed* axis is walked tile by tile inside a program, which holds an accumulator. What
follows needs no more than that:

    transfers    sum over arrays of  elements x (product over the grouped axes it lacks of the number of groups)
    memory       tiles of the arrays + accumulators
    operations   2 x product of the axes of each contraction

Axes are letters: b batch, g key heads, s query heads that share one (heads = g s), n queries, m keys, d head_dim,
f head_dim again (the other side of the Gram matrix), e dv, p listed pairs, c groups of cells. "bgmd" is k.

Pure arithmetic: no tensor is touched. docs/kernels.md works the derivation out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

from grn.kernels.costs.devices import Device


@dataclass(frozen=True)
class Shapes:
    """Sizes of one attention call; `key_heads` divides `heads`, element_bytes is 2, 4 or 8."""

    batch: int
    heads: int
    key_heads: int
    n: int
    m: int
    d: int
    dv: int
    element_bytes: int

    def axes(self, pairs: int = 0, groups: int = 1) -> dict[str, int]:
        """Size of every axis by its letter."""
        shared = self.heads // self.key_heads
        return {
            "b": self.batch,
            "g": self.key_heads,
            "s": shared,
            "n": self.n,
            "m": self.m,
            "d": self.d,
            "f": self.d,
            "e": self.dv,
            "p": pairs,
            "c": groups,
        }


@dataclass(frozen=True)
class Options:
    """What a call adds to plain attention.

    Attributes
    ----------
    mask, prior
        Axes of a dense mask (one byte an element) or additive prior: "nm" if all batch entries and heads share it,
        "bgsnm" if each has its own, "" without.
    prior_bytes
        Bytes of an element of the prior.
    pairs
        Number of listed pairs, excluded or with a prior.
    dropout
        Whether attention weights are dropped.
    """

    mask: str = ""
    prior: str = ""
    prior_bytes: int = 4
    pairs: int = 0
    dropout: bool = False


@dataclass(frozen=True)
class Array:
    """An operand in memory.

    Attributes
    ----------
    axes
        Its axes.
    element_bytes
        Bytes of an element.
    internal
        Whether it is only passed between the kernels of a form.
    times
        How often unfused operations go over it.
    """

    axes: str
    element_bytes: float
    internal: bool = False
    times: int = 1


@dataclass(frozen=True)
class Pass:
    """One kernel: which axes it groups and streams, what it reads, writes, holds and computes.

    Attributes
    ----------
    sizes
        Size of every axis.
    grouped, streamed
        Tile of each such axis. Axes in neither are held whole.
    reads, writes
        Arrays by name.
    contractions
        Axes of each matrix product.
    accumulators
        Axes of what a program keeps in float32 while it streams.
    pointwise
        Operations on each element of the axes named: ("bgsnm", 3) is three on each score.
    launches
        Kernel launches.
    operations
        PyTorch operations that do the same without a fused kernel.
    """

    name: str
    sizes: Mapping[str, int]
    grouped: Mapping[str, int]
    streamed: Mapping[str, int]
    reads: Mapping[str, Array]
    writes: Mapping[str, Array]
    contractions: tuple[str, ...] = ()
    accumulators: tuple[str, ...] = ()
    pointwise: tuple[tuple[str, float], ...] = ()
    launches: int = 1
    operations: int = 10

    def elements(self, axes: str) -> float:
        """Elements of an array with these axes."""
        return prod(self.sizes[axis] for axis in axes)

    def repeats(self, array: Array) -> int:
        """Times an array is read, or added to: once for each combination of groups of the axes that it lacks."""
        return prod(ceil(self.sizes[axis] / tile) for axis, tile in self.grouped.items() if axis not in array.axes)

    def programs(self) -> int:
        """Independent programs: combinations of groups."""
        return prod(ceil(self.sizes[axis] / tile) for axis, tile in self.grouped.items())

    def tile_elements(self, axes: str) -> int:
        """Elements of what one program holds at a time of an array with these axes."""
        tiles = {**self.grouped, **self.streamed}
        return prod(min(tiles[axis], self.sizes[axis]) if axis in tiles else self.sizes[axis] for axis in axes)


@dataclass(frozen=True)
class Cost:
    """What a kernel does: FLOPs of its products, pointwise operations, bytes moved by level, launches.

    `programs` is the number of independent programs: fewer than multiprocessors leave some idle.
    """

    flops: float
    pointwise: float
    bytes: Mapping[str, float]
    launches: int
    programs: int
    element_bytes: int


def cost(kernel: Pass, device: Device, element_bytes: int) -> Cost:
    """FLOPs and transfers of one kernel. Unfused operations (nothing grouped) are taken to fill the device.

    Out of the cache an array is read as often as `Pass.repeats` says. Out of the memory behind it, once, if what lies
    between two readings fits into half of the cache: its part for one batch entry and head. Arrays passed between
    kernels never leave the cache if they fit.
    """
    memory = cached = 0.0
    for array in (*kernel.reads.values(), *kernel.writes.values()):
        size = kernel.elements(array.axes) * array.element_bytes * array.times
        repeats = kernel.repeats(array)
        near = kernel.elements("".join(a for a in array.axes if a not in "bgs")) * array.element_bytes
        cached += size * repeats
        if not (array.internal and size <= device.cache.size / 2):
            memory += size * (1 if near <= device.cache.size / 2 else repeats)
    return Cost(
        flops=sum(2 * kernel.elements(axes) for axes in kernel.contractions),
        pointwise=sum(count * kernel.elements(axes) for axes, count in kernel.pointwise),
        bytes={"memory": memory, "cache": cached},
        launches=kernel.launches if device.overlaps else kernel.operations,
        programs=kernel.programs() if kernel.grouped else device.multiprocessors,
        element_bytes=element_bytes,
    )


def costs(kernels: Iterable[Pass], device: Device, element_bytes: int) -> tuple[Cost, ...]:
    """Costs of several kernels that run one after another."""
    return tuple(cost(kernel, device, element_bytes) for kernel in kernels)


def total(parts: Sequence[Cost]) -> Cost:
    """Sum of costs."""
    return Cost(
        flops=sum(part.flops for part in parts),
        pointwise=sum(part.pointwise for part in parts),
        bytes={level: sum(part.bytes[level] for part in parts) for level in ("memory", "cache")},
        launches=sum(part.launches for part in parts),
        programs=min(part.programs for part in parts),
        element_bytes=parts[0].element_bytes,
    )


def roofline_seconds(parts: Cost | Sequence[Cost], device: Device, *, launches: bool = True) -> float:
    """Least time these kernels can take one after another: each the slowest of its products, pointwise work, transfers.

    Without overlap (PyTorch operations on a processor) the sum of these. Launches are added on top, or left out for
    the bare floor of the hardware.
    """
    seconds = 0.0
    for part in (parts,) if isinstance(parts, Cost) else parts:
        terms = (
            part.flops / device.flops(part.element_bytes),
            part.pointwise / device.vector,
            part.bytes["memory"] / device.memory.bandwidth,
            part.bytes["cache"] / device.cache.bandwidth,
        )
        idle = max(1.0, device.multiprocessors / max(1, part.programs))
        seconds += (max(terms) if device.overlaps else sum(terms)) * idle
        seconds += part.launches * device.launch * launches
    return seconds


def footprint(kernels: Iterable[Pass]) -> float:
    """Bytes of all arrays that these kernels read or write, each counted once: an estimate of the peak."""
    sizes = {
        name: kernel.elements(array.axes) * array.element_bytes
        for kernel in kernels
        for name, array in (*kernel.reads.items(), *kernel.writes.items())
    }
    return sum(sizes.values())
