"""Time and memory of a whole run: `python benchmarks/scale.py` (2000 cells, 3000 genes, 300 TFs).

Simulates counts with `grn.datasets.simulated`, writes them to .h5ad, and runs `grn train` on that file in a process
of its own, from reading to the last written file. The result, one JSON object with the command, the commit and the
machine, goes to benchmarks/results/scale-<date>-<machine>.json. What follows `--` is passed on to `grn train`:

    python benchmarks/scale.py --cells 5000 -- training.epochs=40

On Linux and macOS (peak memory comes from the operating system).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--tfs", type=int, default=300)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", help="passed on to grn train")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="grn-scale-") as folder:
        result = measure(settings, Path(folder))
    text = json.dumps(result, indent=2)
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"scale-{datetime.now(UTC):%Y%m%d}-{result['machine']['kind']}.json"
    path.write_text(text + "\n", encoding="utf-8")
    print(text, path, sep="\n")


def measure(settings: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Simulate, train, and say what it took; raises if the run fails."""
    import grn

    adata = grn.datasets.simulated(n_cells=settings.cells, n_genes=settings.genes, n_tfs=settings.tfs, seed=0)
    del adata.layers["true"]
    adata.write_h5ad(folder / "cells.h5ad")
    (folder / "tfs.txt").write_text("\n".join(adata.var_names[adata.var["is_tf"]]) + "\n", encoding="utf-8")
    # Others at work on the machine make these numbers worthless: say how busy it was.
    load = round(os.getloadavg()[0], 2)
    arguments = ["data=h5ad", "data.path=cells.h5ad", "tf=tfs.txt", "name=scale", *settings.overrides]
    start = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "grn", "train", *arguments], cwd=folder, check=True)
    wall = time.perf_counter() - start
    run = folder / "outputs" / "scale"
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    files = {path.name: path.stat().st_size for path in sorted(run.rglob("*")) if path.is_file()}
    return {
        "command": f"python benchmarks/scale.py {' '.join(sys.argv[1:])}".rstrip(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": record["commit"],
        "cells": settings.cells,
        "genes": settings.genes,
        "tfs": settings.tfs,
        "wall_seconds": round(wall, 1),
        "phase_seconds": record["seconds"],
        "peak_memory_gb": round(record["peak_memory_bytes"]["cpu"] / 1e9, 2),
        "peak_gpu_memory_gb": round(record["peak_memory_bytes"].get("gpu", 0) / 1e9, 2),
        "best_epoch": record["best_epoch"],
        "file_bytes": files,
        "scores": scores(run),
        "machine": {**machine(record["device"]), "load_before": load},
        "versions": record["versions"],
        "python": record["python"],
        "config": record["config"],
    }


def scores(run: Path) -> dict[str, float]:
    """Of the network against the simulated truth: speed means little without them."""
    from grn.evaluation import evaluate
    from grn.network import GeneNetwork

    found = evaluate(GeneNetwork.read(run), run / "reference.csv")
    return {name: round(float(value), 4) for name, value in found.items()}


def machine(device: str) -> dict[str, Any]:
    """Kind of machine: cores or GPU, never a host's name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = device.partition("(")[2].rstrip(")") if device.startswith("cuda") else ""
    kind = "-".join(gpu.lower().split()) or f"{platform.machine()}-{cores}-cores"
    return {
        "kind": kind,
        "device": device,
        "cores": cores,
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "system": platform.system(),
    }


if __name__ == "__main__":
    main()
