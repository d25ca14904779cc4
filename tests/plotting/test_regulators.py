"""The figure of the main regulators."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError
from grn.network import GeneNetwork, add_to_anndata
from grn.plotting.style import ACTIVATION, HATCH, REPRESSION, UNSIGNED


def bars(ax, label) -> np.ndarray:
    return np.array([bar.get_width() for bars in ax.containers if bars.get_label() == label for bar in bars])


def dots(ax) -> np.ndarray:
    """Out-strengths, read off their own axis above."""
    (line,) = [line for line in ax.lines if line.get_label() == "out-strength"]
    (lane,) = ax.child_axes
    return lane._functions[0](line.get_xdata())


def test_bars_and_dots_are_the_table(make):
    network = make()
    ax = pl.regulators(network, top=12, edges=400)
    table = network.regulator_table(400).head(12)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    np.testing.assert_array_equal(bars(ax, "activated"), table["activated"])
    np.testing.assert_array_equal(bars(ax, "repressed"), -table["repressed"])
    np.testing.assert_allclose(dots(ax), table["out_strength"], rtol=1e-6)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the strongest on top
    printed = [text.get_text() for text in ax.texts]
    assert sorted(printed) == sorted(f"{n}" for n in [*table["activated"], *table["repressed"]] if n)
    assert "400 strongest edges" in ax.get_xlabel()


def test_signs_differ_in_side_colour_and_hatch(make):
    ax = pl.regulators(make())
    up, down = (next(bars for bars in ax.containers if bars.get_label() == name) for name in ("activated", "repressed"))
    assert {bar.get_hatch() for bar in down} == {HATCH}
    assert not any(bar.get_hatch() for bar in up)
    assert plt.matplotlib.colors.to_hex(up[0].get_facecolor()).upper() == ACTIVATION
    assert plt.matplotlib.colors.to_hex(down[0].get_edgecolor()).upper() == REPRESSION
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["activated", "repressed"]


def test_unsigned(make):
    network = make(4, 20, signed=False)
    ax = pl.regulators(network, edges=15)
    counts = network.top(15).edges["source"].value_counts()
    expected = [counts.get(name, 0) for name in network.regulator_table().index]
    np.testing.assert_array_equal(bars(ax, "regulated"), expected)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["regulated"]
    assert plt.matplotlib.colors.to_hex(ax.containers[0][0].get_facecolor()).upper() == UNSIGNED
    assert ax.get_xlim()[0] == 0


@pytest.mark.parametrize(
    ("regulators", "top", "stem"), [(60, 60, "GENE"), (1, 20, "G"), (25, 25, "a_name$of_very_many$_letters_and_more_")]
)
def test_legible(make, legible, regulators, top, stem):
    legible(pl.regulators(make(regulators, 80, stem=stem), top=top).figure)


def test_legible_with_a_group_and_in_given_axes(make, legible):
    weights = make(12, 50).matrix()
    grouped = GeneNetwork.from_matrix({"CD4/CD8": weights, "b$x$": -weights}, weights.index, weights.columns)
    ax = pl.regulators(grouped, group="b$x$")
    assert ax.get_title(loc="left") == "b$x$"
    legible(ax.figure)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    assert pl.regulators(grouped, group="CD4/CD8", top=8, ax=axes[1]) is axes[1]
    assert not axes[0].containers
    pl.regulators(make(), top=8, ax=axes[0])
    legible(figure)


def test_groups(make):
    weights = make(5, 30).matrix()
    grouped = GeneNetwork.from_matrix({"x": weights, "y": 0.5 * weights}, weights.index, weights.columns)
    mean = dots(pl.regulators(grouped))
    np.testing.assert_allclose(dots(pl.regulators(grouped, group="x")), mean / 0.75, rtol=1e-5)


def test_anndata_and_regulators_without_edges():
    network = GeneNetwork.from_matrix([[0.0, 0.9, -0.4], [0.0, 0.0, 0.0]], ["A", "B"], ["A", "B", "C"])
    adata = anndata.AnnData(np.ones((2, 3), dtype=np.float32), var=pd.DataFrame(index=["A", "B", "C"]))
    add_to_anndata(adata, network, key_added="mine")
    ax = pl.regulators(adata, key="mine")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A"]
    with pytest.raises(KeyError, match="there is one under 'mine'"):
        pl.regulators(adata)


def test_a_long_name_of_a_group(make, legible):
    weights = make(4, 30).matrix()
    name = "a group of a very long name indeed, " * 4
    grouped = GeneNetwork.from_matrix({name: weights, "b": weights}, weights.index, weights.columns)
    legible(pl.regulators(grouped, group=name).figure)


def test_refusals(make):
    with pytest.raises(InputError, match="top=0: expected 1 to 100 regulators"):
        pl.regulators(make(), top=0)
    with pytest.raises(InputError, match="edges=0"):
        pl.regulators(make(), edges=0)
    with pytest.raises(TypeError, match=r"top=1\.5: expected a whole number"):
        pl.regulators(make(), top=1.5)
    with pytest.raises(InputError, match="no edges"):
        pl.regulators(GeneNetwork.from_matrix(np.zeros((1, 2)), ["A"], ["A", "B"]))
    with pytest.raises(InputError, match="has no groups"):
        pl.regulators(make(), group="T")
    with pytest.raises(TypeError, match="Expected an AnnData with a network, or a GeneNetwork, got a DataFrame"):
        pl.regulators(make().edges)
