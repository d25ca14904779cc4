"""|weight| against confidence."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection

from grn import pl
from grn._errors import InputError
from grn.network import GeneNetwork
from grn.network.network import HOW_TO_TEST
from grn.plotting.confidence import DENSE, LABELS, _spread


def with_evidence(network: GeneNetwork, share: float = 0.1, seed: int = 0) -> GeneNetwork:
    """A network with made-up evidence: the strongest `share` of its edges has q-values below 0.05."""
    edges = network.edges.copy()
    edges["confidence"] = np.random.default_rng(seed).uniform(size=len(edges))
    edges["qvalue"] = np.where(np.arange(len(edges)) < share * len(edges), 0.01, 0.5)
    return GeneNetwork.from_edges(edges)


def points(ax, label) -> np.ndarray:
    found = [line.get_xydata() for line in ax.lines if line.get_label() == label]
    return np.concatenate(found) if found else np.zeros((0, 2))


def hexagons(ax) -> list[PolyCollection]:
    return [one for one in ax.collections if isinstance(one, PolyCollection)]


def test_points_are_the_edges(make):
    network = with_evidence(make(5, 60))
    ax = pl.confidence(network)
    edges = network.edges.assign(strength=network.edges["weight"].abs())
    sure = edges["qvalue"] <= 0.05
    for label, chosen in (
        ("activates", sure & (edges["sign"] > 0)),
        ("represses", sure & (edges["sign"] < 0)),
        ("not marked", ~sure),
    ):
        np.testing.assert_allclose(points(ax, label), edges.loc[chosen, ["confidence", "strength"]], rtol=1e-6)
    markers = {line.get_label(): line.get_marker() for line in ax.lines}
    assert (markers["activates"], markers["represses"], markers["not marked"]) == ("^", "v", "o")
    assert ax.get_title(loc="left") == f"{len(edges):,} edges, {int(sure.sum())} with q ≤ 0.05"


def test_the_strongest_marked_are_named(make):
    network = with_evidence(make(5, 60))
    named = [text.get_text() for text in pl.confidence(network).texts]
    arrows = {1: "→", -1: "⊣"}
    best = network.edges.head(LABELS)
    expected = [f"{s} {arrows[sign]} {t}" for s, t, sign in zip(best.source, best.target, best.sign, strict=True)]
    assert named == expected
    # Other thresholds mark others.
    assert not len(points(pl.confidence(network, fdr=0.001), "activates"))
    assert len(points(pl.confidence(network, fdr=0.5), "not marked")) == 0


def test_many_edges_are_density(make):
    network = with_evidence(make(30, 300))
    assert len(network) > DENSE
    ax = pl.confidence(network)
    (density,) = hexagons(ax)
    assert density.get_array().sum() == len(network)
    assert len(points(ax, "activates")) + len(points(ax, "represses")) == np.ceil(0.1 * len(network))


def test_many_marked_edges_are_borders(make):
    network = with_evidence(make(30, 300), share=0.6)
    ax = pl.confidence(network)
    density, borders = hexagons(ax)
    assert len(density.get_offsets()) == len(borders.get_offsets())  # the same hexagons
    alpha = borders.get_edgecolor()[:, 3]
    assert 0 < alpha.sum() < len(alpha)
    # The marked edges are the strongest, so the bordered hexagons are the upper ones.
    heights = borders.get_offsets()[:, 1]
    assert heights[alpha > 0].mean() > heights[alpha == 0].max() * 0.9
    assert "at least half marked" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_without_q_values(make, caplog):
    network = with_evidence(make(5, 60))
    plain = GeneNetwork.from_edges(network.edges.drop(columns="qvalue"))
    with caplog.at_level(logging.INFO, logger="grn"):
        ax = pl.confidence(plain)
    assert "no q-values, so none is marked at fdr=0.05" in caplog.text
    assert ax.get_title(loc="left") == f"{len(plain):,} edges"
    assert len(ax.texts) == LABELS
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="grn"):
        pl.confidence(plain, fdr=None)
    assert not caplog.text


def test_groups(make):
    parts = [with_evidence(make(3, 30), seed=i).edges.assign(group=name) for i, name in enumerate(("x", "CD4/CD8"))]
    grouped = GeneNetwork.from_edges(pd.concat(parts))
    with pytest.raises(InputError, match="give group=, one of 'CD4/CD8', 'x'"):
        pl.confidence(grouped)
    ax = pl.confidence(grouped, group="x")
    assert ax.get_title(loc="left").endswith(": x")
    assert len(points(ax, "not marked")) == (parts[0]["qvalue"] > 0.05).sum()
    with pytest.raises(InputError, match=r"No group 'X'.*Did you mean 'x'"):
        pl.confidence(grouped, group="X")


@pytest.mark.parametrize(
    ("regulators", "genes", "stem", "signed"),
    [(30, 300, "GENE", True), (1, 2, "G", True), (5, 60, "a_name$of_very_many$_letters_and_more_", False)],
)
def test_legible(make, legible, regulators, genes, stem, signed):
    legible(pl.confidence(with_evidence(make(regulators, genes, stem=stem, signed=signed))).figure)


def test_a_long_name_of_a_group(make, legible):
    edges = with_evidence(make(5, 60)).edges.assign(group="a group of a very long name indeed, " * 4)
    legible(pl.confidence(GeneNetwork.from_edges(edges), group=edges["group"].iloc[0]).figure)


def test_legible_in_small_axes(make, legible):
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    network = with_evidence(make(5, 60, stem="quite_a_long_name_"))
    assert pl.confidence(network, ax=axes[0]) is axes[0]
    pl.confidence(network, ax=axes[1])
    legible(figure)


def test_spread_keeps_order_distance_and_bounds():
    wanted = np.array([9.9, 9.9, 9.9, 5.0, 4.9, 0.0])
    rows = _spread(wanted, 1.0, 0.0, 10.0)
    assert (-np.diff(rows) >= 1 - 1e-9).all()
    assert rows.max() <= 9.5
    assert rows.min() >= 0.5 - 1e-9
    np.testing.assert_allclose(rows[3:5], [5.45, 4.45])  # moved as little as is possible


def test_refusals(make):
    with pytest.raises(InputError, match="no confidence") as error:
        pl.confidence(make())
    assert HOW_TO_TEST in str(error.value)
    with pytest.raises(InputError, match=r"fdr=1\.5: expected the accepted share"):
        pl.confidence(with_evidence(make()), fdr=1.5)
    whole = with_evidence(make(2, 5))
    with pytest.raises(InputError, match="no edges"):
        pl.confidence(GeneNetwork(whole.edges.head(0), whole.genes, whole.regulators))
