"""The picture of a result of `benchmarks/attention.py`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any


def plot(result: dict[str, Any], path: Path) -> str:
    """Milliseconds and memory against genes, forward and backward, without options; what became of the picture."""
    try:
        import matplotlib as mpl
    except ImportError:
        return "no plot: matplotlib is not installed"
    mpl.use("agg")
    from matplotlib import pyplot

    rows = [row for row in result["rows"] if row["option"] == "plain" and row["pass"] != "forward" and "ms" in row]
    if not rows:
        return "no plot: no row was timed"
    # With one thread, processor time is what the clock of an idle machine would show.
    clock = "processor_ms" if "processor_ms" in rows[0] else "ms"
    dtype, d = rows[0]["dtype"], rows[0]["d"]
    rows = [row for row in rows if (row["dtype"], row["d"]) == (dtype, d)]
    drawing, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    marks = itertools.cycle("osD^vPX")
    for name, mark in zip(dict.fromkeys(row["provider"] for row in rows), marks, strict=False):
        own = [row for row in rows if row["provider"] == name]
        for panel, what in zip(axes, (clock, "peak_memory_mb"), strict=True):
            values = [row[what] for row in own]
            panel.plot([row["n"] for row in own], values, marker=mark, markersize=4, label=name)
    for panel, label in zip(
        axes, ("processor milliseconds" if clock != "ms" else "milliseconds", "peak memory, MB"), strict=True
    ):
        panel.set(xscale="log", yscale="log", xlabel="genes", ylabel=label)
        genes = sorted({row["n"] for row in rows})
        panel.set_xticks(genes, labels=[str(n) for n in genes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize="small")
    drawing.suptitle(
        f"forward + backward, {dtype}, head_dim {d}, batch {rows[0]['batch']}, heads {rows[0]['heads']}, "
        f"{result['machine']['device']}, threads: {result['machine']['threads']}",
        fontsize="medium",
    )
    drawing.savefig(path, dpi=150)
    pyplot.close(drawing)
    return str(path)
