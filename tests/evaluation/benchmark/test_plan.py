"""Which cells there are, and what is left out."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from grn._errors import InputError
from grn.evaluation.benchmark import Method, SetSpec, plan
from grn.evaluation.benchmark.worker import measure

COUNTS, PLAIN = SetSpec("counts", "small"), SetSpec("plain", "small")


def test_every_combination_once(fakes: ModuleType, root: Path) -> None:
    methods = [Method("pearson", fakes.pearson, seeded=False), Method("noisy", fakes.noisy)]
    sets = [COUNTS, SetSpec("plain", "small", replicates=(0, 1))]
    cells, skipped = plan(methods, sets, [0, 1], ["all_genes"], root=root)
    found = [(cell.spec.name, cell.replicate, cell.method.name, cell.seed) for cell in cells]
    expected = [
        (name, replicate, method, seed)
        for name, replicate in [("counts", None), ("plain", 0), ("plain", 1)]
        for method, seed in [("shortcuts", 0), ("pearson", 0), ("noisy", 0), ("noisy", 1)]
    ]
    assert (found, skipped) == (expected, [])
    assert len({cell.name for cell in cells}) == len(cells)


def test_what_is_not_there_is_skipped_with_its_reason(fakes: ModuleType, root: Path) -> None:
    sets = [SetSpec("counts", "small", references=("other", "string")), SetSpec("gone", "small")]
    cells, skipped = plan([Method("pearson", fakes.pearson)], sets, [0], ["all_genes"], root=root)
    assert {cell.spec.name for cell in cells} == {"counts"}
    assert skipped == [
        {"set": "counts", "reason": "there is no reference string"},
        {"set": "gone", "reason": "no expression.h5ad and no tfs.txt in its folder"},
    ]
    with pytest.raises(InputError, match=r"No set of the suite can be read \(counts: no data.root was given"):
        plan([Method("pearson", fakes.pearson)], sets, [0], ["all_genes"])


def test_other_tools_networks(fakes: ModuleType, root: Path, tmp_path: Path) -> None:
    edges = pd.DataFrame({"TF": ["g0", "g0", "g7"], "target": ["g3", "g4", "g1"], "importance": [9.0, 5.0, 1.0]})
    edges.to_csv(tmp_path / "other.tsv", sep="\t", index=False)
    entry = {"name": "other", "path": str(tmp_path / "other.tsv"), "set": "plain"}
    cells, _ = plan([], [COUNTS, PLAIN], [0, 1], ["all_genes"], root=root, files=[entry])
    (cell,) = (one for one in cells if one.method.name == "other")
    found = measure(cell)
    assert (found["seconds"], found["peak_memory_bytes"]) == (None, None)
    metrics = found["scores"][0]["metrics"]
    # Regulators g0 and g1, 14 candidates, three true; the two listed ones are the best, the third is tied with 11.
    assert (metrics["candidates"], metrics["weighted"]) == (14, 2)
    assert metrics["auprc"] == pytest.approx((1 + 1 + 3 / 14) / 3)
    assert metrics["sign_accuracy"] != metrics["sign_accuracy"]
    (signed,) = (
        one
        for one in plan([], [PLAIN], [0], ["all_genes"], root=root, files=[{**entry, "signed": True}])[0]
        if one.method.name == "other"
    )
    assert measure(signed)["scores"][0]["metrics"]["sign_accuracy"] == 0.5
    assert signed.settings != cell.settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set": "plian"}, "the suite has no set 'plian'. Did you mean 'plain'"),
        ({"path": "gone.csv"}, "there is no file gone.csv"),
        ({"name": "pearson"}, "'pearson' is the name of a method"),
        ({"name": None}, "needs name, as text"),
        ({"sined": True}, "Did you mean 'signed'"),
    ],
)
def test_entries_of_files_are_checked(
    fakes: ModuleType, root: Path, tmp_path: Path, change: dict, message: str
) -> None:
    (tmp_path / "other.csv").write_text("source,target,weight\ng0,g3,1\n")
    entry = {"name": "other", "path": str(tmp_path / "other.csv"), "set": "plain", **change}
    with pytest.raises((InputError, FileNotFoundError), match=message):
        plan([Method("pearson", fakes.pearson)], [PLAIN], [0], ["all_genes"], root=root, files=[entry])


def test_repeats_are_refused(fakes: ModuleType, root: Path) -> None:
    method = Method("pearson", fakes.pearson)
    with pytest.raises(InputError, match="methods: 'pearson' is given twice"):
        plan([method, method], [PLAIN], [0], ["all_genes"], root=root)
    with pytest.raises(InputError, match="seeds: 1 is given twice"):
        plan([method], [PLAIN], [1, 1], ["all_genes"], root=root)
    with pytest.raises(InputError, match="There is nothing to compare"):
        plan([], [PLAIN], [1], ["all_genes"], root=root)
