"""How well the cost model knows a processor: `OMP_NUM_THREADS=1 python benchmarks/calibrate.py`.

Times both exact forms in PyTorch operations on one core, float32, forward and forward with backward, around the
number of genes where they cost the same, and sets them beside the model (`grn.kernels.costs`). `loss` is how much
slower the form that the model chooses is than the other, 0 where it chooses right. The constants of
`grn.kernels.costs.devices.CPU_CORE` were found with it. Processor time of the thread is taken, not the clock, so other
work on the machine counts less. The result goes to benchmarks/results/calibrate-<date>-<machine>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from grn._provenance import commit
from grn.kernels import chunked, linear
from grn.kernels.costs import Shapes, choose, find_device

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genes", type=int, nargs="+", default=[32, 64, 128, 192, 256, 512, 1024])
    parser.add_argument("--dims", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 2)
    rows = [
        row for heads in settings.heads for d in settings.dims for n in settings.genes for row in measure(heads, d, n)
    ]
    for row in rows:
        print(json.dumps(row))
    worst = max(row["loss"] for row in rows)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    result = {
        "command": " ".join(["python", "benchmarks/calibrate.py", *sys.argv[1:]]),
        "date": date,
        "commit": commit(),
        "machine": {"kind": platform.machine(), "threads": 1, "load_before": load},
        "versions": {"torch": torch.__version__},
        "largest_loss": worst,
        "rows": rows,
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"calibrate-{date.replace('-', '')}-{platform.machine()}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"the chosen form is at most {worst:.0%} slower than the other", path, sep="\n")


def measure(heads: int, d: int, n: int) -> list[dict[str, Any]]:
    """Rows of one size: forward, and forward with backward."""
    q, k, v, d_output = (torch.randn(1, heads, n, d) for _ in range(4))
    plain: dict[str, Any] = {"own": None, "mask": None, "prior": None, "dropout_p": 0.0, "seed": None}
    _, norm, states = linear.core_forward(q, k, v, None, None, 1.0)
    output, _ = chunked.forward(q, k, v, mass=None, eps=1.0, **plain)
    forward = {
        "linear": processor_ms(lambda: linear.core_forward(q, k, v, None, None, 1.0)),
        "flashsign": processor_ms(lambda: chunked.forward(q, k, v, mass=None, eps=1.0, **plain)),
    }
    backward = {
        "linear": processor_ms(lambda: linear.core_backward(d_output, None, q, k, v, norm, states, None)),
        "flashsign": processor_ms(lambda: chunked.backward(d_output, None, q, k, v, output, norm, **plain)),
    }
    rows = []
    for both in (False, True):
        took = {form: forward[form] + both * backward[form] for form in forward}
        shapes = Shapes(1, heads, heads, n, n, d, d, 4)
        choice = choose(shapes, find_device("cpu")[0], dense=False, backward=both)
        rows.append(
            {
                **{"heads": heads, "d": d, "n": n, "pass": "forward+backward" if both else "forward"},
                **{f"{form}_ms": round(value, 4) for form, value in took.items()},
                **{f"{form}_model_ms": round(1e3 * choice.estimates[form], 4) for form in took},
                "chosen": choice.form,
                "loss": round(took[choice.form] / min(took.values()) - 1, 3),
            }
        )
    return rows


def processor_ms(run: Callable[[], object], seconds: float = 0.15) -> float:
    """Least processor time of a call, in milliseconds, over calls for this long."""
    run()
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.thread_time()
        run()
        best = min(best, time.thread_time() - start)
    return 1e3 * best


if __name__ == "__main__":
    main()
