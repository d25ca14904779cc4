"""Time and peak memory of a call, on a GPU or a processor, for `benchmarks/attention.py`."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

Row = dict[str, Any]


class Timing(NamedTuple):
    """Medians over calls, and the bytes that one needs at its peak beyond what was held before.

    `processor_ms` is the processor time of all threads, on a processor only: with one thread it is what the clock would
    show on an idle machine.
    """

    ms: float
    processor_ms: float | None
    peak: int | None

    def row(self) -> Row:
        """Figures for the result."""
        return {
            "ms": figure(self.ms),
            **({} if self.processor_ms is None else {"processor_ms": figure(self.processor_ms)}),
            "peak_memory_mb": None if self.peak is None else round(self.peak / 1e6, 1),
        }


def clock(run: Callable[[], object], kind: str, budget: float = 0.3) -> Timing:
    """Time a call: at least five times after the warm-up, more while `budget` seconds last."""
    run()
    before = held_bytes(kind)
    start = time.perf_counter()
    run()
    synchronise(kind)
    once = time.perf_counter() - start
    peak = None if before is None else peak_bytes(kind) - before
    repeats = max(5, min(100, int(budget / max(once, 1e-6))))
    # The memory given back before the peak was watched has to come back first.
    for _ in range(2):
        run()
    synchronise(kind)
    if kind == "cpu":
        seconds, processor = [], []
        for _ in range(repeats):
            start, used = time.perf_counter(), time.process_time()
            run()
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        return Timing(1e3 * statistics.median(seconds), 1e3 * statistics.median(processor), peak)
    cache = torch.empty(256 * 2**20, dtype=torch.int8, device=kind)
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for first, last in events:
        cache.zero_()
        first.record()
        run()
        last.record()
    synchronise(kind)
    return Timing(statistics.median(first.elapsed_time(last) for first, last in events), None, peak)


def synchronise(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()


def held_bytes(kind: str) -> int | None:
    """Bytes in use now, from which on the peak is watched: of tensors on a GPU, of the process on Linux."""
    if kind == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if not Path("/proc/self/clear_refs").exists():
        return None
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        # Freed memory that the allocator keeps would hide what the call takes.
        libc.malloc_trim(0)
    # Linux sets the process's high-water mark back to what it holds now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes(kind)


def peak_bytes(kind: str) -> int:
    """High-water mark since `held_bytes`."""
    if kind == "cuda":
        return torch.cuda.max_memory_allocated()
    return int(Path("/proc/self/status").read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) * 1024


def figure(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
