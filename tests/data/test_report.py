from __future__ import annotations

from dataclasses import replace

import anndata
import pytest

from grn.data import GateReport, check


@pytest.fixture
def report(counts: anndata.AnnData) -> GateReport:
    return check(counts).report


def test_rows_are_pairs_of_text(report: GateReport) -> None:
    labels = [label for label, _ in report.rows()]
    assert labels == ["Cells", "Genes", "Zeros", "Values", "Kind", "Treatment", "Gene names", "TFs"]
    assert all(isinstance(value, str) for _, value in report.rows())


def test_long_lists_are_cut(report: GateReport) -> None:
    absent = {f"TF{number}": "not in the data" for number in range(30)}
    groups = {f"group {number}": number + 1 for number in range(30)}
    rows = replace(report, tf_absent=absent, groups=groups).rows()
    assert ("TF left out", "and 22 more") in rows
    label, text = rows[-1]
    assert label == "Groups (30)"
    assert text.startswith("group 29 (30), ")
    assert text.endswith(" and 22 more")


def test_notes_stand_at_the_end(report: GateReport) -> None:
    assert replace(report, notes=("look here",)).rows()[-1] == ("Note", "look here")
