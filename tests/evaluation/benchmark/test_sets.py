"""The protocol: what every method is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from scipy import sparse

from grn._errors import InputError
from grn.data import check
from grn.data.matrix import TARGET_SUM
from grn.evaluation.benchmark import SetSpec, load_problem
from grn.evaluation.benchmark.sets import absent, fingerprint, log_normalised


def test_counts_are_normalised_and_other_values_are_not(root: Path) -> None:
    problem, _ = load_problem(SetSpec("counts", "small"), root)
    counts = anndata.read_h5ad(root / "counts" / "expression.h5ad").layers["counts"]
    np.testing.assert_allclose(np.expm1(problem.x).sum(axis=1), TARGET_SUM, rtol=1e-5)
    np.testing.assert_allclose(np.expm1(problem.x[3, 2]), counts[3, 2] / counts[3].sum() * TARGET_SUM, rtol=1e-5)
    problem, _ = load_problem(SetSpec("plain", "small"), root)
    np.testing.assert_array_equal(problem.x, anndata.read_h5ad(root / "plain" / "expression.h5ad").X)


COUNTS = np.random.default_rng(0).poisson(3.0, (30, 12)).astype(np.float32)
PER_CELL = COUNTS / COUNTS.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (COUNTS, "counts"),
        (sparse.csr_matrix(COUNTS), "counts"),
        (PER_CELL * 1e4, "normalised"),
        ((PER_CELL * 1e4)[:, 2:], "normalised"),
        (np.log1p(PER_CELL * 1e4), "log-normalised"),
        (np.sqrt(COUNTS + 0.3), "continuous"),
    ],
)
def test_the_bench_sees_what_the_input_check_hands_to_the_models(values: Any, kind: str) -> None:
    """One normalisation: a baseline of the bench and `grn infer method=...` score the same numbers."""
    adata = anndata.AnnData(values)
    checked = check(adata, tf="all")
    assert checked.report.kind == kind
    expected = checked.x.toarray() if sparse.issparse(checked.x) else checked.x
    np.testing.assert_array_equal(log_normalised(adata), expected)


def test_results_at_another_size_of_cells_are_not_taken_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(SetSpec("counts", "small"), root)
    monkeypatch.setattr("grn.evaluation.benchmark.sets.TARGET_SUM", 10_000.0)
    assert fingerprint(SetSpec("counts", "small"), root) != before


def test_regulators_are_the_listed_ones_in_the_data(root: Path) -> None:
    problem, _ = load_problem(SetSpec("plain", "small"), root)
    assert problem.regulators.tolist() == [0, 1, 2]
    (root / "plain" / "tfs.txt").write_text("elsewhere")
    with pytest.raises(InputError, match=r"none of the 1 names in tfs\.txt is a gene"):
        load_problem(SetSpec("plain", "small"), root)


def test_references_by_the_names_of_their_files(root: Path) -> None:
    assert list(load_problem(SetSpec("counts", "small"), root)[1]) == ["truth", "other"]
    _, references = load_problem(SetSpec("counts", "small", references=("other",)), root)
    assert list(references) == ["other"]
    assert len(references["other"]) == 2


def test_cells_are_drawn_the_same_way_every_time(root: Path) -> None:
    first, second = (load_problem(SetSpec("plain", "small", cells=15), root)[0] for _ in range(2))
    assert first.x.shape == (15, 8)
    np.testing.assert_array_equal(first.x, second.x)


def test_replicates(root: Path) -> None:
    spec = SetSpec("plain", "small", replicates=(0, 1))
    whole = load_problem(SetSpec("plain", "small"), root)[0].x
    np.testing.assert_array_equal(load_problem(spec, root, 1)[0].x, whole[20:])
    with pytest.raises(InputError, match="plain has no replicate 7; there are 0, 1"):
        load_problem(spec, root, 7)


def test_bundled_sets_need_no_folder() -> None:
    krumsiek = SetSpec("krumsiek11", "small", data={"_target_": "grn.datasets.krumsiek11"})
    assert absent(krumsiek, None) is None
    problem, references = load_problem(krumsiek, None)
    assert problem.regulators.tolist() == list(range(11))
    assert len(references["truth"]) == 26
    small = {"_target_": "grn.datasets.simulated", "n_cells": 50, "n_genes": 30, "n_tfs": 6, "n_masters": 2}
    assert load_problem(SetSpec("sim", "small", data=small), None)[0].regulators.tolist() == list(range(6))


def test_absent_sets_say_why(root: Path) -> None:
    assert absent(SetSpec("counts", "small"), root) is None
    assert absent(SetSpec("counts", "small"), None) == "no data.root was given"
    assert absent(SetSpec("counts", "small", replicates=(0,)), root) == "no replicates.h5ad in its folder"
    assert absent(SetSpec("else", "small"), root) == "no expression.h5ad and no tfs.txt in its folder"


def test_the_fingerprint_follows_the_files(root: Path) -> None:
    spec = SetSpec("counts", "small")
    before = fingerprint(spec, root)
    assert fingerprint(SetSpec("counts", "real"), root) == before
    assert fingerprint(SetSpec("counts", "small", cells=10), root) != before
    (root / "counts" / "tfs.txt").write_text("g0")
    assert fingerprint(spec, root) != before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a"}, "needs family, as text"),
        ({"name": "a", "family": "b", "celsl": 3}, "Did you mean 'cells'"),
        ({"name": "a", "family": "b", "cells": 0}, "expected at least 2"),
        ({"name": "a", "family": "b", "references": "x"}, "expected a list"),
    ],
)
def test_entries_are_checked(entry: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SetSpec.of(entry)
