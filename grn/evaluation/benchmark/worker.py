"""One cell of the table in a process of its own, so that its time and its peak of memory are its own."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._files import write_text
from grn._provenance import commit, peak_memory
from grn.evaluation.benchmark.plan import Cell
from grn.evaluation.benchmark.sets import Problem, load_problem
from grn.evaluation.evaluate import evaluate, evaluate_matrix
from grn.evaluation.shortcuts import best_shortcut

# Without meaning where weights have no sign; the majority stays, it is the reference's.
SIGNED = ("signed_epr", "activation_epr", "repression_epr", "sign_accuracy", "sign_auroc")


def work(cell: Cell, path: Path, log: Path) -> None:
    """Run a cell and write its file; what is printed on the way goes to `log`, kept where the cell fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    record: dict[str, Any] = {"settings": cell.settings, "commit": commit()}
    try:
        record |= {"status": "done", **measure(cell)}
    except Exception as error:  # whatever a method raises belongs to its cell, not to the table
        traceback.print_exc()
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    sys.stdout.flush()
    sys.stderr.flush()
    write_record(path, record)
    if record["status"] == "done":
        log.unlink()


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a cell's file; a metric that is not defined is null there."""
    write_text(path, json.dumps(_plain(record), indent=1) + "\n")


def measure(cell: Cell) -> dict[str, Any]:
    """Run the method and score it: `seconds`, `peak_memory_bytes` and `scores`, one for each reference and convention.

    The time is the method's alone: the data are read and its modules are imported before.
    """
    problem, references = load_problem(cell.spec, cell.root, cell.replicate)
    if cell.method.function is None:
        return {"seconds": None, "peak_memory_bytes": None, "scores": _shortcuts(cell, problem, references)}
    for module in cell.method.imports:
        import_module(module)
    start = time.perf_counter()
    result = cell.method.function(problem, cell.seed)
    seconds = time.perf_counter() - start
    peak = peak_memory().get("cpu")
    scores = []
    for name, reference in references.items():
        for convention in cell.candidates:
            found = _score(result, problem, reference, convention)
            if not cell.method.signed:
                found |= dict.fromkeys(SIGNED, float("nan"))
            scores.append({"reference": name, "candidates": convention, "metrics": found})
    measured = cell.method.measured
    return {
        "seconds": round(seconds, 3) if measured else None,
        "peak_memory_bytes": peak if measured else None,
        "scores": scores,
    }


def _score(
    result: np.ndarray | pd.DataFrame, problem: Problem, reference: pd.DataFrame, convention: str
) -> dict[str, Any]:
    if isinstance(result, pd.DataFrame):
        return dict(evaluate(result, reference, genes=problem.genes, candidates=convention))
    weights = np.asarray(result, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise InputError(f"The method gave {int((~np.isfinite(weights)).sum())} weights that are no finite numbers.")
    names = problem.genes[problem.regulators]
    return dict(evaluate_matrix(weights, names, problem.genes, reference, candidates=convention))


def _shortcuts(cell: Cell, problem: Problem, references: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    names = problem.genes[problem.regulators]
    scores = []
    for name, reference in references.items():
        for convention in cell.candidates:
            best, ratio, ratios = best_shortcut(problem.x, problem.genes, names, reference, candidates=convention)
            found = {"shortcut": best, "auprc_ratio": ratio, "ratios": ratios}
            scores.append({"reference": name, "candidates": convention, "metrics": found})
    return scores


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
