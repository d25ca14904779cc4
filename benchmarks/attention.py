"""Speed and memory of the attention's forms beside PyTorch's: `python benchmarks/attention.py` (on a GPU, 7 minutes).

Needs torch alone, triton on a GPU, and matplotlib for the plot. On a processor: `OMP_NUM_THREADS=1 python
benchmarks/attention.py --quick`.

Each provider is first compared, output and gradients, with the definition in float64; one that disagrees is recorded
as refused and never timed. Times are medians after a warm-up: CUDA events with the cache cleared in between, or the
wall clock with the processor time beside it. Operations and bytes are those of the cost model (`grn.kernels.costs`),
and `roofline` is the share of its bound that was reached, by processor time where there is one. Rows that the model
puts above the limits of time or memory are recorded as skipped, with the reason, and so is what is left when the
minutes are used up.

The result, one JSON object with the command, the commit and the machine, goes to
benchmarks/results/attention-<date>-<machine>.json, the plot beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from attention_clock import Row, clock, figure
from attention_plot import plot
from attention_providers import Provider, gate, inputs, make_extra, providers
from torch import Tensor

from grn._provenance import commit, versions
from grn.kernels import attention_maps
from grn.kernels.costs import (
    Device,
    Options,
    Shapes,
    costs,
    find_device,
    footprint,
    kernels_of,
    roofline_seconds,
    total,
)

RESULTS = Path(__file__).resolve().parent / "results"
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
NAMES = ("linear", "flashsign", "sdpa", "eager")
ACCEPTANCE_SECONDS = 3.0


def main(arguments: list[str] | None = None) -> int:
    settings = parse(arguments)
    torch.backends.cuda.matmul.allow_tf32 = False
    result = measure(settings)
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"attention-{result['date'].replace('-', '')}-{result['machine']['kind']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["acceptance"], indent=1), path, plot(result, path.with_suffix(".png")), sep="\n")
    refused = [row for row in result["gate"] if not row["passed"]]
    for row in refused:
        print(f"refused: {row['provider']} {row['option']} d={row['d']} {row['dtype']}: error {row['error']}")
    return 1 if refused else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="sizes for a processor")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--genes", type=int, nargs="+")
    parser.add_argument("--dims", type=int, nargs="+")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES)
    parser.add_argument("--options", nargs="+", default=["plain", "own", "mask"], choices=["plain", "own", "mask"])
    parser.add_argument("--providers", nargs="+", help="leave out all others")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--heads", type=int)
    parser.add_argument(
        "--minutes", type=float, default=7.0, help="what is left then is skipped (default: %(default)s)"
    )
    parser.add_argument("--row-seconds", type=float, help="skip rows whose single call is modelled to take longer")
    parser.add_argument("--row-gigabytes", type=float, help="skip rows that are modelled to need more memory")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args(arguments)
    small = settings.quick or settings.device == "cpu"
    defaults = {
        "genes": [512, 1024, 2048, 4096, 8192, 20000],
        "dims": [64] if small else [64, 128, 32],
        "dtypes": ["float32"] if small else ["bfloat16", "float32"],
        "batch": 1 if small else 16,
        "heads": 4 if small else 8,
        "row_seconds": 1.5 if small else 0.5,
        "row_gigabytes": 4.0 if small else 60.0,
    }
    for name, value in defaults.items():
        if getattr(settings, name) is None:
            setattr(settings, name, value)
    return settings


def measure(settings: argparse.Namespace) -> dict[str, Any]:
    """Gate, acceptance figures, then every row while time lasts."""
    start = time.perf_counter()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    device, note = find_device(settings.device, gpu_name(settings.device))
    found, missing = providers(settings.device)
    for name, reason in missing.items():
        print(f"skipped {name}: {reason}")
    found = {name: found[name] for name in settings.providers or found}
    # A whole-graph compile for each shape would take the minutes that the rows need.
    torch._dynamo.config.recompile_limit = 64
    gates: dict[tuple[str, str, int, str], Row] = {}
    acceptance = accept(settings, found, gates)
    rows = []
    for dtype, d, option, n, both, name in itertools.product(
        settings.dtypes, settings.dims, settings.options, settings.genes, (True, False), found
    ):
        row = {
            **{"provider": name, "option": option, "dtype": dtype, "d": d, "n": n},
            **{"batch": settings.batch, "heads": settings.heads, "pass": "forward+backward" if both else "forward"},
        }
        shapes = Shapes(settings.batch, settings.heads, settings.heads, n, n, d, d, DTYPES[dtype].itemsize)
        reason = why_not(found[name], row, shapes, device, settings, time.perf_counter() - start)
        if reason is None and not checked(gates, name, found[name], option, d, dtype, settings.device)["passed"]:
            reason = "refused: it disagrees with the definition"
        rows.append({**row, "skipped": reason} if reason else timed(found[name], row, shapes, device, settings.device))
    return {
        "command": " ".join(["python", "benchmarks/attention.py", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": {**machine(settings.device), "load_before": load, "model": device.name, "figures": note},
        "versions": {name: version for name, version in versions().items() if name in ("grn", "torch", "triton")},
        "python": platform.python_version(),
        "wall_seconds": round(time.perf_counter() - start, 1),
        "missing": missing,
        "gate": list(gates.values()),
        "acceptance": acceptance,
        "rows": rows,
    }


def checked(
    gates: dict[tuple[str, str, int, str], Row],
    name: str,
    provider: Provider,
    option: str,
    d: int,
    dtype: str,
    device: str,
) -> Row:
    """Result of the gate, computed once for each provider, option, head size and dtype."""
    key = (name, option, d, dtype)
    if key not in gates:
        row: Row = {"provider": name, "option": option, "d": d, "dtype": dtype}
        try:
            passed, error = gate(provider, option, d, DTYPES[dtype], device)
            gates[key] = {**row, "passed": passed, "error": float(f"{error:.3g}")}
        except Exception as problem:
            # A provider that cannot run here is refused like one that is wrong; the others go on.
            gates[key] = {**row, "passed": False, "error": f"{type(problem).__name__}: {problem}"[:300]}
    return gates[key]


def why_not(
    provider: Provider, row: Row, shapes: Shapes, device: Device, settings: argparse.Namespace, spent: float
) -> str | None:
    """Reason to leave a row out, None to time it."""
    if row["option"] not in provider.options:
        return f"does not take {row['option']}"
    if DTYPES[row["dtype"]] not in provider.dtypes:
        return f"does not take {row['dtype']}"
    if row["provider"] == "compiled" and row["d"] != 64:
        return "compiled at head_dim 64 only"
    if spent > settings.minutes * 60:
        return f"{settings.minutes:g} minutes were used up"
    kernels = kernels_of(provider.form, shapes, device, cost_options(row, provider), backward="back" in row["pass"])
    seconds = roofline_seconds(costs(kernels, device, shapes.element_bytes), device)
    if seconds > settings.row_seconds:
        return f"modelled at {seconds:.2g} s, limit {settings.row_seconds:g} s"
    gigabytes = footprint(kernels) / 1e9
    if gigabytes > settings.row_gigabytes:
        return f"modelled at {gigabytes:.3g} GB, limit {settings.row_gigabytes:g} GB"
    return None


def cost_options(row: Row, provider: Provider) -> Options:
    if row["option"] == "own" and provider.pairs:
        return Options(pairs=row["n"] if provider.form == "linear" else 0)
    return Options() if row["option"] == "plain" else Options(mask="nm")


def timed(provider: Provider, row: Row, shapes: Shapes, device: Device, kind: str) -> Row:
    """A row with its figures, or with the reason why it has none."""
    both = "back" in row["pass"]
    try:
        q, k, v, d_output = inputs(row["n"], row["d"], row["batch"], row["heads"], DTYPES[row["dtype"]], kind)
        extra = make_extra(row["option"], row["n"], kind, written_out=not provider.pairs)
        timing = clock(lambda: call(provider, q, k, v, d_output, extra, both), kind)
    except Exception as problem:
        # One form that does not compile or fit here must not cost the other rows.
        return {**row, "skipped": f"failed: {type(problem).__name__}: {problem}"[:300]}
    kernels = kernels_of(provider.form, shapes, device, cost_options(row, provider), backward=both)
    parts = costs(kernels, device, shapes.element_bytes)
    seconds = (timing.ms if timing.processor_ms is None else timing.processor_ms) / 1e3
    return {
        **row,
        **timing.row(),
        "tflops": figure(total(parts).flops / seconds / 1e12),
        "tb_s": figure(total(parts).bytes["memory"] / seconds / 1e12),
        "roofline": figure(roofline_seconds(parts, device, launches=False) / seconds),
    }


def call(provider: Provider, q: Tensor, k: Tensor, v: Tensor, d_output: Tensor, extra: Any, both: bool) -> None:
    if both:
        torch.autograd.grad(provider.run(q, k, v, extra), (q, k, v), d_output)
    else:
        with torch.no_grad():
            provider.run(q, k, v, extra)


def accept(
    settings: argparse.Namespace, found: dict[str, Provider], gates: dict[tuple[str, str, int, str], Row]
) -> dict[str, Any]:
    """The figures that decide whether the kernels are good enough."""
    kind, dtype = settings.device, settings.dtypes[0]
    result: dict[str, Any] = {"dtype": dtype, "shape": "batch 4, heads 4, head_dim 64"}
    largest = max(settings.genes)
    for label, name, n in (
        *((name, name, min(2048, largest)) for name in NAMES),
        ("linear_long", "linear", largest),
    ):
        if name not in found or not checked(gates, name, found[name], "plain", 64, dtype, kind)["passed"]:
            result[label] = None
            continue
        q, k, v, d_output = inputs(n, 64, 4, 4, DTYPES[dtype], kind)
        extra = make_extra("plain", n, kind, written_out=True)
        provider = found[name]
        try:
            timing = clock(lambda: call(provider, q, k, v, d_output, extra, True), kind, ACCEPTANCE_SECONDS)  # noqa: B023
        except Exception as problem:
            result[label] = None
            print(f"{label} failed: {type(problem).__name__}: {problem}"[:300])
            continue
        result[label] = {"n": n, **timing.row()}
    # By processor time where there is one: the machine may have had other work.
    took = {name: result[name] and result[name].get("processor_ms", result[name]["ms"]) for name in NAMES}
    for name in ("sdpa", "eager"):
        if took["linear"] and took[name]:
            result[f"linear_faster_than_{name}"] = figure(took[name] / took["linear"])
    return {**result, "maps": accept_maps(settings, kind, DTYPES[dtype])}


def accept_maps(settings: argparse.Namespace, kind: str, dtype: torch.dtype) -> dict[str, Any]:
    """Three statistics of the map against the mean alone, and against the bare matrix product under it."""
    cells, n = (512, 5000) if kind == "cuda" else (64, 2000)
    n = min(n, max(settings.genes))
    generator = torch.Generator(kind).manual_seed(0)
    q, k = (torch.randn(cells, 1, n, 64, generator=generator, device=kind).to(dtype) for _ in range(2))
    left, right = (tensor.squeeze(1).transpose(0, 1).reshape(n, -1) for tensor in (q, k))
    result: dict[str, Any] = {"cells": cells, "genes": n, "head_dim": 64}
    for label, run in (
        ("product", lambda: left @ right.T),
        ("mean", lambda: attention_maps(q, k, statistics=("mean",))),
        ("three", lambda: attention_maps(q, k, statistics=("mean", "abs", "square"))),
    ):
        try:
            result[label] = clock(run, kind, ACCEPTANCE_SECONDS).row()
        except Exception as problem:
            result[label] = None
            print(f"maps {label} failed: {type(problem).__name__}: {problem}"[:300])
    if result["three"] and result["product"]:
        key = "processor_ms" if kind == "cpu" else "ms"
        result["three_over_product"] = figure(result["three"][key] / result["product"][key])
    return result


def gpu_name(kind: str) -> str:
    return torch.cuda.get_device_name() if kind == "cuda" else ""


def machine(kind: str) -> dict[str, Any]:
    """Kind of machine: cores or GPU, never a host's name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = gpu_name(kind)
    return {
        "kind": "-".join(name.lower().split()) or f"{platform.machine()}-{cores}-cores",
        "device": name or "cpu",
        "cores": cores,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    sys.exit(main())
