"""Edge lists of other tools, by the names of their columns."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from grn._errors import InputError
from grn.network import GeneNetwork


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("adj.tsv", "TF\ttarget\timportance\nA\tNA\t2.5\nB\tA\t1\n"),
        ("rankedEdges.csv", "Gene1,Gene2,EdgeWeight\nA,NA,2.5\nB,A,1\n"),
        ("other.csv", ",Regulator,Target,Score\n0,A,NA,2.5\n1,B,A,1\n"),
        ("ours.csv", "source,target,weight,importance\nA,NA,2.5,0\nB,A,1,9\n"),
    ],
)
def test_columns_of_other_tools(tmp_path: Path, name: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / name).write_text(text)
    with caplog.at_level(logging.INFO, logger="grn"):
        edges = GeneNetwork.read(tmp_path / name).edges
    assert edges[["source", "target", "weight"]].to_numpy().tolist() == [["A", "NA", 2.5], ["B", "A", 1.0]]
    assert ("taken as" in caplog.text) == (name in ("adj.tsv", "other.csv"))
    assert ("by its columns" in caplog.text) == (name == "rankedEdges.csv")


def test_a_table_without_any_of_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("head,tail,w\nA,B,1\n")
    with pytest.raises(InputError, match=r"names no column that is known .*sed -i '1i source,target,weight'"):
        GeneNetwork.read(tmp_path / "x.csv")


@pytest.mark.parametrize(("weights", "signs"), [((2.5, 1.0), [0, 0]), ((2.5, -1.0), [1, -1])])
def test_an_importance_has_no_sign_unless_it_is_written(
    tmp_path: Path, weights: tuple[float, float], signs: list[int]
) -> None:
    rows = "".join(f"{edge}\t{weight}\n" for edge, weight in zip(("A\tB", "B\tA"), weights, strict=True))
    (tmp_path / "adj.csv").write_text(f"TF\ttarget\timportance\n{rows}")
    assert GeneNetwork.read(tmp_path / "adj.csv").edges["sign"].tolist() == signs
