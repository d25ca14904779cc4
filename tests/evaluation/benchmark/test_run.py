"""Cells in processes of their own: resumed, failing, stopped, measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from grn._errors import InputError
from grn.evaluation import best_shortcut, evaluate_matrix
from grn.evaluation.benchmark import Method, SetSpec, load_problem, plan, run
from grn.evaluation.benchmark.worker import measure

COUNTS, PLAIN = SetSpec("counts", "small"), SetSpec("plain", "small")


def notes(tmp_path: Path) -> list[str]:
    path = tmp_path / "notes"
    return path.read_text().split() if path.exists() else []


def records(folder: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "cells").glob("*.json")}


def test_a_cell_has_the_scores_of_evaluate(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    cells, skipped = plan(
        [Method("pearson", fakes.pearson)], [COUNTS], [0], ["all_genes", "reference_genes"], root=root
    )
    assert not skipped
    assert not run(cells, tmp_path / "out")
    found = records(tmp_path / "out")
    assert sorted(found) == ["counts--pearson--seed0", "counts--shortcuts--seed0"]
    problem, references = load_problem(COUNTS, root)
    names = problem.genes[problem.regulators]
    for one in found["counts--pearson--seed0"]["scores"]:
        reference = references[one["reference"]]
        expected = evaluate_matrix(
            fakes.pearson(problem, 0), names, problem.genes, reference, candidates=one["candidates"]
        )
        given = {name: float("nan") if value is None else value for name, value in one["metrics"].items()}
        assert given == pytest.approx(expected, nan_ok=True)
    for one in found["counts--shortcuts--seed0"]["scores"]:
        reference = references[one["reference"]]
        best, ratio, _ = best_shortcut(problem.x, problem.genes, names, reference, candidates=one["candidates"])
        assert (one["metrics"]["shortcut"], one["metrics"]["auprc_ratio"]) == (best, pytest.approx(ratio))
    assert found["counts--pearson--seed0"]["peak_memory_bytes"] > 2**20
    assert not list((tmp_path / "out" / "cells").glob("*.log"))


def test_finished_cells_are_not_run_again(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    methods = [Method("pearson", fakes.pearson, seeded=False), Method("noisy", fakes.noisy)]
    cells, _ = plan(methods, [PLAIN], [0], ["all_genes"], root=root)
    run(cells, tmp_path / "out")
    assert sorted(notes(tmp_path)) == ["noisy0", "pearson", "pearson"]
    before = (tmp_path / "out" / "cells" / "plain--noisy--seed0.json").stat().st_mtime_ns
    more, _ = plan(methods, [PLAIN], [0, 1], ["all_genes"], root=root)
    run(more, tmp_path / "out", workers=2)
    # One more call of each of the two that the second seed needs; a method without chance runs once.
    assert sorted(notes(tmp_path)) == ["noisy0", "noisy1", "pearson", "pearson", "pearson"]
    assert (tmp_path / "out" / "cells" / "plain--noisy--seed0.json").stat().st_mtime_ns == before


def test_changed_settings_are_refused_before_anything_runs(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    method = Method("pearson", fakes.pearson, settings={"overrides": []})
    run(plan([method], [PLAIN], [0], ["all_genes"], root=root)[0], tmp_path / "out")
    calls = notes(tmp_path)
    changed = Method("pearson", fakes.pearson, settings={"overrides": ["a=1"]})
    for arguments, words in [
        (([changed], [PLAIN], [0], ["all_genes"]), "method.overrides differs"),
        (([method], [PLAIN], [1, 0], ["reference_genes"]), "candidates differs"),
        (([method], [SetSpec("plain", "small", cells=20)], [0], ["all_genes"]), "set.cells differs"),
    ]:
        with pytest.raises(InputError, match=words):
            run(plan(*arguments, root=root)[0], tmp_path / "out")
    assert notes(tmp_path) == calls


def test_a_failing_cell_does_not_stop_the_rest(
    fakes: ModuleType, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    methods = [Method(name, getattr(fakes, name)) for name in ("broken", "dies", "undefined", "pearson")]
    cells, _ = plan(methods, [PLAIN], [0], ["all_genes"], root=root)
    failures = run(cells, tmp_path / "out", workers=2)
    assert {one.cell.method.name: one.error for one in failures} == {
        "broken": "RuntimeError: no convergence",
        "dies": "its process ended with exit code 3 and wrote nothing",
        "undefined": "InputError: The method gave 24 weights that are no finite numbers.",
    }
    log = (tmp_path / "out" / "cells" / "plain--broken--seed0.log").read_text()
    assert "what it printed" in log
    assert "Traceback" in log
    assert "plain, broken, seed 0 failed: RuntimeError: no convergence" in caplog.text
    found = records(tmp_path / "out")
    assert {name: one["status"] for name, one in found.items()} == {
        **dict.fromkeys((f"plain--{name}--seed0" for name in ("broken", "dies", "undefined")), "failed"),
        **dict.fromkeys((f"plain--{name}--seed0" for name in ("pearson", "shortcuts")), "done"),
    }
    # Repaired, it is run again; what was done is not.
    calls = len(notes(tmp_path))
    methods[0] = Method("broken", fakes.pearson)
    assert len(run(plan([methods[0], methods[3]], [PLAIN], [0], ["all_genes"], root=root)[0], tmp_path / "out")) == 0
    assert len(notes(tmp_path)) == calls + 1


def test_a_slow_cell_is_stopped(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    cells, _ = plan([Method("sleeps", fakes.sleeps)], [PLAIN], [0], ["all_genes"], root=root)
    failures = run(cells[1:], tmp_path / "out", time_limit=3)
    assert [(one.cell.method.name, one.error) for one in failures] == [("sleeps", "stopped after 3 seconds")]


def test_memory_and_threads_are_each_cells_own(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    methods = [Method(name, getattr(fakes, name)) for name in ("greedy", "threads")]
    assert not run(plan(methods, [PLAIN], [0], ["all_genes"], root=root)[0], tmp_path / "out")
    found = records(tmp_path / "out")
    difference = (
        found["plain--greedy--seed0"]["peak_memory_bytes"] - found["plain--threads--seed0"]["peak_memory_bytes"]
    )
    # 40 million numbers of 8 bytes.
    assert difference == pytest.approx(320e6, rel=0.1)


def test_unsigned_methods_have_no_sign_metrics(fakes: ModuleType, root: Path) -> None:
    cells, _ = plan([Method("pearson", fakes.pearson, signed=False)], [PLAIN], [0], ["all_genes"], root=root)
    (metrics,) = (one["metrics"] for one in measure(cells[1])["scores"])
    assert np.isnan([metrics[name] for name in ("sign_accuracy", "sign_auroc", "signed_epr")]).all()
    assert metrics["sign_majority"] == pytest.approx(2 / 3)
    assert metrics["auprc_ratio"] > 1


def test_broken_files_are_named(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    cells, _ = plan([Method("pearson", fakes.pearson)], [PLAIN], [0], ["all_genes"], root=root)
    path = tmp_path / "out" / "cells" / f"{cells[1].name}.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(InputError, match=r"pearson--seed0.json cannot be read .*: remove it"):
        run(cells, tmp_path / "out")
