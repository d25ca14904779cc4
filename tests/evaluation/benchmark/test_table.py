"""From the cells to tables: means, marks, and a page that says what the CSV says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grn.evaluation.benchmark import Results, write_results
from grn.evaluation.benchmark.report import number
from grn.evaluation.benchmark.table import family_means

ORIGIN = {
    "suite": "test",
    "command": "grn benchmark",
    "commit": "abc",
    "date": "today",
    "machine": {"processor": "some"},
    "workers": 1,
}


def page(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[field.strip() for field in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_page_and_the_csv_agree(results: Results, tmp_path: Path) -> None:
    write_results(results, tmp_path, ORIGIN)
    rows = pd.read_csv(tmp_path / "results.csv")
    # Three pairs, each with one run of pearson and two of the noisy method.
    assert len(rows) == 9
    table = page(tmp_path / "results.md")
    for (name, reference, method), chosen in rows.groupby(["set", "reference", "method"]):
        (line,) = (one for one in table if one[:3] == [name, reference, method])
        several = len(chosen) > 1
        for place, metric, digits in [(3, "auprc_ratio", 2), (5, "epr", 2), (7, "auroc_by_target", 3)]:
            spread = chosen[metric].std(ddof=1) if several else math.nan
            assert line[place] == number(chosen[metric].mean(), digits, spread)
            assert ("±" in line[place]) == several or line[place] == "–"
    means = [one for one in table if one[0] == "real" and one[1] == "pearson"]
    pearson = rows.query("family == 'real' and method == 'pearson'")
    assert [line[3] for line in means] == [f"{np.exp(np.log(pearson['auprc_ratio']).mean()):.2f}"]
    text = (tmp_path / "results.md").read_text()
    assert "- counts, broken, seed 0: RuntimeError: no convergence" in text
    assert "- gone: no folder" in text


def test_json_has_the_origin_and_every_row(results: Results, tmp_path: Path) -> None:
    write_results(results, tmp_path, ORIGIN)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["command"] == "grn benchmark"
    assert len(written["rows"]) == 9
    assert len(written["failed"]) == 2
    assert "NaN" not in (tmp_path / "results.json").read_text()


def test_no_evidence_is_marked_on_real_references_only(results: Results, tmp_path: Path) -> None:
    pairs = results.pairs.set_index(["set", "reference", "method"])
    for _, row in pairs.iterrows():
        assert row["no_evidence"] == (row["family"] == "real" and row["auprc_ratio"] < row["shortcut_ratio"])
    worse = results.pairs.assign(auprc_ratio=0.5)
    worse["no_evidence"] = worse["family"] == "real"
    marked = Results(results.rows, worse, family_means(worse), titles=results.titles)
    write_results(marked, tmp_path, ORIGIN)
    lines = [one for one in page(tmp_path / "results.md") if one[2] in ("pearson", "noisy") and len(one) == 14]
    assert {one[0]: one[-1] for one in lines} == {"counts": "no evidence", "plain": ""}


def test_geometric_means_by_hand() -> None:
    pairs = pd.DataFrame(
        {
            "convention": "all_genes",
            "family": ["a", "a", "b"],
            "method": "m",
            "auprc_ratio": [1.0, 4.0, 3.0],
            "auprc_ratio_levelled": [2.0, 8.0, 1.0],
            "epr": [0.0, 10.0, 1.0],
            "shortcut_ratio": [1.0, 1.0, np.nan],
            "auroc": [0.5, 0.7, 0.6],
            "auroc_by_target": [0.5, np.nan, 0.6],
            **dict.fromkeys(("sign_accuracy", "sign_majority", "sign_auroc", "seconds", "peak_memory_bytes"), np.nan),
            "no_evidence": [True, False, False],
        }
    )
    means = family_means(pairs).set_index("family")
    assert means.loc["a", "auprc_ratio"] == pytest.approx(2.0)
    assert means.loc["a", "auprc_ratio_levelled"] == pytest.approx(4.0)
    assert means.loc["a", "epr"] == pytest.approx(math.sqrt(0.1 * 10))
    assert means.loc["a", "auroc"] == pytest.approx(0.6)
    assert means.loc["a", "auroc_by_target"] == pytest.approx(0.5)
    assert means.loc["b", "auprc_ratio"] == pytest.approx(3.0)
    assert means.loc["all", "auprc_ratio"] == pytest.approx(12 ** (1 / 3))
    assert means["pairs"].to_dict() == {"a": 2, "b": 1, "all": 3}
    assert means["no_evidence"].to_dict() == {"a": 1, "b": 0, "all": 1}


def test_numbers() -> None:
    assert number(1.689, 2) == "1.69"
    assert number(1.689, 2, 0.021) == "1.69 ± 0.02"
    assert number(float("nan"), 2) == "–"
