"""The heatmap of regulators x modules."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError
from grn.network import GeneNetwork
from grn.plotting.heatmap import FAINT


def blocks() -> GeneNetwork:
    """Three modules that nobody could miss: A activates 4 genes and represses 3, B activates 5."""
    genes = ["A", "B", *(f"up{i}" for i in range(4)), *(f"down{i}" for i in range(3)), *(f"b{i}" for i in range(5))]
    weights = np.zeros((2, len(genes)))
    weights[0, 2:6] = [1.0, 0.9, 0.8, 0.7]
    weights[0, 6:9] = [-1.0, -0.9, -0.8]
    weights[1, 9:] = [0.5, 0.6, 0.7, 0.8, 0.9]
    return GeneNetwork.from_matrix(weights, ["A", "B"], genes)


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_modules_means_and_labels():
    ax = pl.heatmap(blocks(), modules=3)
    rows, columns = labels(ax.yaxis), labels(ax.xaxis)
    expected = {
        "4 genes: up0, up1, up2, …": {"A": 0.85, "B": 0.0},
        "3 genes: down0, down1, down2": {"A": -0.9, "B": 0.0},
        "5 genes: b4, b3, b2, …": {"A": 0.0, "B": 0.7},
    }
    drawn = np.asarray(ax.images[0].get_array())
    assert set(rows) == set(expected)
    for row, name in enumerate(rows):
        np.testing.assert_allclose(drawn[row], [expected[name][regulator] for regulator in columns], atol=1e-6)
    assert ax.get_title(loc="left") == "12 targets of 2 regulators in 3 modules"


def test_signs_are_printed(make):
    ax = pl.heatmap(make())
    drawn = np.asarray(ax.images[0].get_array())
    signs = {tuple(int(v) for v in text.get_position()[::-1]): text.get_text() for text in ax.texts}
    clear = np.abs(drawn) >= FAINT * np.abs(drawn).max()
    assert set(signs) == {(int(r), int(c)) for r, c in zip(*np.nonzero(clear), strict=True)}
    assert all(sign == ("+" if drawn[place] > 0 else "−") for place, sign in signs.items())
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_every_target_is_in_one_module(make):
    network = make(10, 100)
    ax = pl.heatmap(network, regulators=5, modules=7, edges=150)
    names = list(network.regulator_table().index[:5])
    mine = network.edges[network.edges["source"].isin(names)]
    targets = mine["target"].head(150).nunique()
    assert set(labels(ax.xaxis)) == set(names)
    assert len(labels(ax.yaxis)) == 7
    sizes = np.array([int(label.split(" ")[0]) for label in labels(ax.yaxis)])
    assert sizes.sum() == targets
    # The mean over targets is the mean over modules, weighted by their sizes.
    drawn = np.asarray(ax.images[0].get_array())
    chosen = network.matrix().loc[labels(ax.xaxis), sorted(mine["target"].head(150).unique())]
    np.testing.assert_allclose(sizes @ drawn / sizes.sum(), chosen.mean(axis=1), atol=1e-5)


def test_the_same_every_time(make):
    network = make()
    again = GeneNetwork.from_edges(network.edges.sample(frac=1, random_state=1), genes=network.genes[::-1])
    first, second = pl.heatmap(network), pl.heatmap(again)
    assert labels(first.yaxis) == labels(second.yaxis)
    assert labels(first.xaxis) == labels(second.xaxis)
    np.testing.assert_array_equal(first.images[0].get_array(), second.images[0].get_array())


def test_unsigned_has_no_signs(make):
    ax = pl.heatmap(make(5, 40, signed=False))
    assert not ax.texts
    assert ax.images[0].get_clim()[0] == 0
    grey = plt.get_cmap(ax.images[0].get_cmap())(np.linspace(0, 1, 9))[:, :3] @ (0.299, 0.587, 0.114)
    assert (np.diff(grey) < 0).all()


def test_names_and_groups(make):
    weights = make(6, 40).matrix()
    grouped = GeneNetwork.from_matrix({"x": weights, "y": -weights}, weights.index, weights.columns)
    ax = pl.heatmap(grouped, regulators=["GENE4", "GENE1"], group="y", modules=4)
    assert set(labels(ax.xaxis)) == {"GENE4", "GENE1"}
    assert ax.get_title(loc="left").endswith(": y")
    assert labels(pl.heatmap(grouped, regulators="GENE2", group="x").xaxis) == ["GENE2"]


@pytest.mark.parametrize(
    ("regulators", "modules", "stem"),
    [(60, 40, "GENE"), (1, 1, "G"), (2, 12, "G"), (20, 12, "a_name$of_very_many$_letters_and_more_")],
)
def test_legible(make, legible, regulators, modules, stem):
    network = make(regulators, 150, stem=stem)
    legible(pl.heatmap(network, regulators=regulators, modules=modules, edges=2000).figure)


def test_given_axes(make, legible):
    figure, axes = plt.subplots(1, 2, figsize=(14, 5), layout="constrained")
    assert pl.heatmap(make(), regulators=10, ax=axes[1]) is axes[1]
    assert not axes[0].images
    legible(figure)


def test_a_long_name_of_a_group(make, legible):
    weights = make(4, 30).matrix()
    name = "a group of a very long name indeed, " * 4
    grouped = GeneNetwork.from_matrix({name: weights, "b": weights}, weights.index, weights.columns)
    legible(pl.heatmap(grouped, group=name, modules=5).figure)


def test_refusals(make):
    with pytest.raises(InputError, match=r"'Gene3' is no regulator .* Did you mean 'GENE3'"):
        pl.heatmap(make(), regulators=["Gene3"])
    with pytest.raises(InputError, match="'GENE3' was given twice"):
        pl.heatmap(make(), regulators=["GENE3", "GENE3"])
    with pytest.raises(InputError, match="No regulator was given"):
        pl.heatmap(make(), regulators=[])
    with pytest.raises(InputError, match="regulators=61: expected 1 to 60"):
        pl.heatmap(make(), regulators=61)
    with pytest.raises(InputError, match="modules=41: expected 1 to 40"):
        pl.heatmap(make(), modules=41)
    with pytest.raises(InputError, match="no edges"):
        pl.heatmap(GeneNetwork.from_matrix(np.zeros((1, 2)), ["A"], ["A", "B"]))
