"""Tile configurations of the quadratic form, judged by arithmetic before any is timed."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Protocol, TypeVar

from grn.kernels.costs.axes import Pass, Shapes, costs, roofline_seconds
from grn.kernels.costs.devices import Device
from grn.kernels.costs.forms import flashsign


class Tile(Protocol):
    """A tile configuration, as the tables of the GPU modules hold them."""

    @property
    def block_n(self) -> int:
        """Queries in a tile."""

    @property
    def block_m(self) -> int:
        """Keys in a tile."""

    @property
    def num_warps(self) -> int:
        """Warps of a program."""

    @property
    def num_stages(self) -> int:
        """Tiles of a streamed array in flight."""


T = TypeVar("T", bound=Tile)


def prune_tiles(candidates: Iterable[T], shapes: Shapes, device: Device, *, backward: bool = False) -> list[T]:
    """Tile configurations of the quadratic form worth timing, best modelled time first.

    Dropped: those whose tiles do not fit into shared memory or whose accumulators do not fit into registers, and those
    whose programs leave more than half of the multiprocessors idle, unless the shapes leave no other.

    Parameters
    ----------
    candidates
        Configurations.
    shapes, device
        Sizes of the call and figures of the GPU.
    backward
        Configurations of the deterministic backward kernels instead of the forward one.
    """
    ranked = []
    for tile in candidates:
        kernels = flashsign(shapes, backward=backward, block_n=tile.block_n, block_m=tile.block_m)
        kernels = tuple(kernel for kernel in kernels if kernel.contractions)
        if all(_fits(kernel, tile, shapes, device) for kernel in kernels):
            busy = min(kernel.programs() for kernel in kernels) / device.multiprocessors
            parts = costs(kernels, device, shapes.element_bytes)
            time = sum(
                roofline_seconds(part, device) * _wave_factor(kernel, tile, shapes, device)
                for kernel, part in zip(kernels, parts, strict=True)
            )
            ranked.append((busy, time, tile))
    fullest = max((busy for busy, _, _ in ranked), default=0.0)
    kept = [entry for entry in ranked if entry[0] >= min(0.5, fullest)]
    return [tile for _, _, tile in sorted(kept, key=lambda entry: entry[1])]


def _shared_bytes(kernel: Pass, tile: Tile, shapes: Shapes) -> int:
    """Shared memory of a program: resident tiles once, streamed ones once for each stage."""
    used = 0
    for array in kernel.reads.values():
        if "d" in array.axes or "e" in array.axes:
            streamed = any(axis in kernel.streamed for axis in array.axes)
            used += kernel.tile_elements(array.axes) * shapes.element_bytes * (tile.num_stages if streamed else 1)
    return used


def _thread_registers(kernel: Pass, tile: Tile) -> float:
    """32-bit registers of a thread: its share of the accumulators, and about forty for addresses and indices."""
    return 40 + sum(kernel.tile_elements(axes) for axes in kernel.accumulators) / (32 * tile.num_warps)


def _fits(kernel: Pass, tile: Tile, shapes: Shapes, device: Device) -> bool:
    # 255 is what an instruction can address.
    return _shared_bytes(kernel, tile, shapes) <= device.shared_bytes and _thread_registers(kernel, tile) <= 255


def _wave_factor(kernel: Pass, tile: Tile, shapes: Shapes, device: Device) -> float:
    """Time lost because the last wave of programs is not full."""
    by_shared = device.shared_bytes // max(1, _shared_bytes(kernel, tile, shapes))
    by_registers = device.registers // int(_thread_registers(kernel, tile) * 32 * tile.num_warps)
    slots = device.multiprocessors * max(1, min(by_shared, by_registers))
    programs = max(1, kernel.programs())
    return ceil(programs / slots) * slots / programs
