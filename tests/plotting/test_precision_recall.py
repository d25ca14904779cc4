"""Precision by recall against a reference."""

from __future__ import annotations

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError
from grn.evaluation import evaluate
from grn.network import GeneNetwork, add_to_anndata


@pytest.fixture
def truth(make) -> pd.DataFrame:
    """A tenth of the pairs of five regulators, the stronger ones of the first network rather than the others."""
    strong = make(5, 40).edges.head(60).sample(15, random_state=0)[["source", "target"]]
    weak = make(5, 40).edges.sample(5, random_state=1)[["source", "target"]]
    return pd.concat([strong, weak]).drop_duplicates(ignore_index=True)


def area(line) -> float:
    """Area under the drawn steps: each height holds back to the point before it."""
    assert line.get_drawstyle() == "steps-pre"
    recall, precision = line.get_data()
    return float(np.sum(np.diff(recall) * precision[1:]))


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("candidates", ["all_genes", "reference_genes"])
def test_the_area_is_the_auprc(make, truth, candidates):
    whole = make(5, 40)
    coarse = whole.edges[["source", "target"]].assign(weight=whole.edges["weight"].round(0))  # many ties
    for network in (whole, whole.top(30), GeneNetwork.from_edges(coarse, genes=whole.genes)):
        ax = pl.precision_recall(network, truth, candidates=candidates)
        scores = evaluate(network, truth, candidates=candidates)
        curve, chance = ax.lines
        assert area(curve) == pytest.approx(scores["auprc"], abs=1e-12)
        assert curve.get_xdata()[[0, -1]].tolist() == [0, 1]
        assert set(chance.get_ydata()) == {scores["density"]}
        assert words(ax) == [
            f"AUPRC {scores['auprc']:.3f} ({scores['auprc_ratio']:.1f} x chance)",
            f"chance {scores['density']:.3f}",
        ]


def test_several_networks_of_several_kinds(make, truth, tmp_path, legible):
    network, other = make(5, 40), make(5, 40, seed=1)
    adata = anndata.AnnData(np.ones((2, 40), dtype=np.float32), var=pd.DataFrame(index=network.genes))
    add_to_anndata(adata, other, key_added="mine")
    path = tmp_path / "reference.csv"
    truth.to_csv(path, index=False)
    named = {"first": network, "a$b$": adata, "_a table of a very long name, longer than fits": network.top(50).edges}
    ax = pl.precision_recall(named, path, key="mine", genes=network.genes)
    assert [text.partition(":")[0] for text in words(ax)[:2]] == ["first", "a$b$"]
    assert len({line.get_linestyle() for line in ax.lines[:3]} | {line.get_color() for line in ax.lines[:3]}) >= 4
    assert words(ax)[2].startswith("_a table of a very")
    assert len(words(ax)) == 4
    for line, one in zip(ax.lines, (network, other, network.top(50)), strict=False):
        assert area(line) == pytest.approx(evaluate(one, truth, genes=network.genes)["auprc"])
    legible(ax.figure)


def test_other_candidates_are_told(make, truth, caplog, legible):
    small = make(5, 30)
    with caplog.at_level(logging.INFO, logger="grn"):
        ax = pl.precision_recall({"whole": make(5, 40), "small": small}, truth)
    assert "differ in their candidates" in caplog.text
    chance = [line for line in ax.lines if line.get_linewidth() < 1.5 and len(set(line.get_ydata())) == 1]
    densities = {evaluate(network, truth)["density"] for network in (make(5, 40), small)}
    assert len(densities) == 2
    assert densities <= {float(line.get_ydata()[0]) for line in chance}
    assert words(ax)[-1] == "chance of each network"
    legible(ax.figure)


def test_groups(make, truth):
    weights = make(5, 40).matrix()
    other = make(5, 40, seed=1).matrix()
    grouped = GeneNetwork.from_matrix({"x": weights, "y": other}, weights.index, weights.columns)
    for group in ("x", "y", None):
        one = grouped.ungrouped() if group is None else grouped.of_group(group)
        drawn = area(pl.precision_recall(grouped, truth, group=group).lines[0])
        assert drawn == pytest.approx(evaluate(one, truth)["auprc"])


def test_eight_networks_in_given_axes(make, truth, legible):
    figure, axes = plt.subplots(1, 2, figsize=(11, 6), layout="constrained")
    named = {f"number {i}": make(5, 40, seed=i) for i in range(8)}
    assert pl.precision_recall(named, truth, ax=axes[0]) is axes[0]
    assert len(words(axes[0])) == 9
    legible(figure)


def test_refusals(make, truth):
    with pytest.raises(InputError, match="No network was given"):
        pl.precision_recall({}, truth)
    with pytest.raises(InputError, match="9 networks: expected at most 8"):
        pl.precision_recall({str(i): make(5, 40) for i in range(9)}, truth)
    with pytest.raises(InputError, match="None of the reference's 1 regulators"):
        pl.precision_recall(make(5, 40), pd.DataFrame({"source": ["Z"], "target": ["GENE3"]}))
    with pytest.raises(InputError, match="Did you mean 'all_genes'"):
        pl.precision_recall(make(5, 40), truth, candidates="allgenes")
    with pytest.raises(InputError, match="no edges"):
        pl.precision_recall(GeneNetwork.from_matrix(np.zeros((1, 2)), ["A"], ["A", "B"]), truth)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        pl.precision_recall(make(5, 40), "nowhere.csv")
