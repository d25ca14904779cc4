"""Networks of methods that tell no signs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError
from grn.evaluation import evaluate
from grn.network import GeneNetwork
from grn.plotting.network import ACTIVATION, REPRESSION, UNSIGNED

WEIGHTS = np.array([[0.0, 0.9, 0.2], [0.4, 0.0, 0.0]])


@pytest.fixture
def unsigned() -> GeneNetwork:
    return GeneNetwork.from_matrix(WEIGHTS, ["A", "B"], ["A", "B", "C"], signed=False)


def test_every_sign_is_unknown(unsigned: GeneNetwork) -> None:
    assert unsigned.edges["sign"].tolist() == [0, 0, 0]
    assert unsigned.edges["sign"].dtype == np.int8
    assert not unsigned.signed
    assert repr(unsigned).startswith("GeneNetwork: 3 edges (unsigned), 2 regulators")
    assert GeneNetwork.from_matrix(WEIGHTS, ["A", "B"], ["A", "B", "C"]).signed


def test_negative_importances_are_refused() -> None:
    with pytest.raises(InputError, match="2 weights are negative, but signed=False"):
        GeneNetwork.from_matrix([[0.0, -0.5, -0.1]], ["A"], ["A", "B", "C"], signed=False)


@pytest.mark.parametrize("ending", ["parquet", "h5ad", "tsv", "csv", "graphml", "sif", "gmt"])
def test_files_keep_it(unsigned: GeneNetwork, tmp_path: Path, ending: str) -> None:
    unsigned.write(tmp_path / f"network.{ending}")
    again = GeneNetwork.read(tmp_path / f"network.{ending}")
    assert again.edges["sign"].tolist() == [0, 0, 0]
    pairs = set(zip(again.edges["source"], again.edges["target"], strict=True))
    assert pairs == {("A", "B"), ("A", "C"), ("B", "A")}


def test_words_in_files(unsigned: GeneNetwork, tmp_path: Path) -> None:
    unsigned.write(tmp_path / "n.sif")
    assert (tmp_path / "n.sif").read_text().splitlines()[0] == "A\tregulates\tB"
    unsigned.write(tmp_path / "n.gmt")
    assert (tmp_path / "n.gmt").read_text().splitlines()[0] == "A(?)\tregulated by A\tB\tC"


def test_groups_keep_it() -> None:
    network = GeneNetwork.from_matrix({"x": WEIGHTS, "y": 2 * WEIGHTS}, ["A", "B"], ["A", "B", "C"], signed=False)
    assert not network.of_group("x").signed
    assert network.ungrouped().edges["sign"].tolist() == [0, 0, 0]


def test_tables_may_say_so_for_all_edges_or_none() -> None:
    edges = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "weight": [0.9, 0.1], "sign": [0, 0]})
    assert not GeneNetwork.from_edges(edges).signed
    for change in ({"sign": [0, 1]}, {"weight": [0.9, -0.1]}):
        with pytest.raises(InputError, match="0 in every row is for unsigned ones"):
            GeneNetwork.from_edges(edges.assign(**change))


def test_metrics_of_signs_are_not_defined(unsigned: GeneNetwork) -> None:
    truth = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "sign": [1, -1]})
    signed = GeneNetwork.from_matrix(WEIGHTS, ["A", "B"], ["A", "B", "C"])
    scores, others = evaluate(unsigned, truth), evaluate(signed, truth)
    for name in ("signed_epr", "activation_epr", "repression_epr", "sign_accuracy", "sign_majority"):
        assert math.isnan(scores[name])
        assert not math.isnan(others[name])
    assert scores["auprc"] == others["auprc"]


def test_the_figure_is_grey(unsigned: GeneNetwork) -> None:
    ax = pl.network(unsigned)
    colours = {line.get_color() for line in ax.lines}
    words = {text.get_text() for text in ax.texts}
    plt.close("all")
    assert UNSIGNED in colours
    assert not colours & {ACTIVATION, REPRESSION}
    assert "regulates" in words
    assert not words & {"activates", "represses"}
