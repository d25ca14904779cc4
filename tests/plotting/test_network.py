import anndata
import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.patches import Polygon

from grn import pl
from grn._errors import InputError
from grn.network import GeneNetwork, add_to_anndata
from grn.plotting import save
from grn.plotting.network import ACTIVATION, REPRESSION


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def make(regulators=45, genes=765, seed=0) -> GeneNetwork:
    names = [f"GENE{i}" for i in range(genes)]
    weights = np.random.default_rng(seed).standard_t(3, size=(regulators, genes))
    return GeneNetwork.from_matrix(weights, names[:regulators], names)


def labels(ax):
    return [
        text
        for text in ax.texts
        if text.get_bbox_patch() and text.get_text().startswith("GENE") and len(text.get_text()) > 4
    ]


@pytest.mark.parametrize(("regulators", "genes"), [(45, 765), (11, 11), (1, 80), (2, 3)])
def test_labels_neither_overlap_nor_leave_the_axes(regulators, genes):
    network = make(regulators, genes)
    ax = pl.network(network)
    shown = network.top(60).edges
    drawn = labels(ax)
    assert {text.get_text() for text in drawn} == set(shown["source"]) | set(shown["target"])
    ax.figure.canvas.draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in drawn]
    frame = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert frame.x0 - 2 <= box.x0
        assert box.x1 <= frame.x1 + 2
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_signs_differ_in_colour_line_and_head():
    ax = pl.network(GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"]))
    solid = [line for line in ax.lines if line.get_color() == ACTIVATION]
    dashed = [line for line in ax.lines if line.get_color() == REPRESSION and line.is_dashed()]
    bars = [line for line in ax.lines if line.get_color() == REPRESSION and not line.is_dashed()]
    arrows = [patch for patch in ax.patches if isinstance(patch, Polygon)]
    # One of each in the network and one in the legend.
    assert [len(kind) for kind in (solid, dashed, bars, arrows)] == [2, 2, 2, 2]
    assert not any(line.is_dashed() for line in solid)


def test_legend_and_title():
    ax = pl.network(make(), top=10)
    words = {text.get_text() for text in ax.texts}
    assert {"regulator", "target", "activates", "represses"} <= words
    assert ax.get_title(loc="left") == "The 10 strongest of 34,380 edges"


def test_options_change_the_figure():
    weights = make(3, 12).matrix()
    grouped = GeneNetwork.from_matrix({"x": weights, "y": -weights.iloc[:, ::-1]}, weights.index, weights.columns)
    titles = {pl.network(grouped, group=group).get_title(loc="left") for group in (None, "x", "y")}
    assert len(titles) == 3
    places = [[text.get_position() for text in labels(pl.network(make(5, 20), seed=seed))] for seed in (0, 0, 1)]
    assert places[0] == places[1]
    assert places[0] != places[2]


def test_anndata_and_given_axes():
    adata = anndata.AnnData(np.ones((2, 12), dtype=np.float32))
    adata.var_names = [f"GENE{i}" for i in range(12)]
    add_to_anndata(adata, make(3, 12), key_added="mine")
    _, axes = plt.subplots(1, 2, figsize=(8, 4))
    assert pl.network(adata, key="mine", top=8, ax=axes[1]) is axes[1]
    assert not axes[0].texts
    with pytest.raises(KeyError, match="there is one under 'mine'"):
        pl.network(adata)


def test_names_are_no_mathematics():
    ax = pl.network(GeneNetwork.from_matrix([[0.0, 1.0]], ["a$b$"], ["a$b$", "x^2_y$"]))
    ax.figure.canvas.draw()


def test_refusals():
    with pytest.raises(InputError, match="top=500: expected 1 to 200"):
        pl.network(make(), top=500)
    with pytest.raises(InputError, match="no edges"):
        pl.network(GeneNetwork.from_matrix(np.zeros((1, 2)), ["A"], ["A", "B"]))
    with pytest.raises(InputError, match="has no groups"):
        pl.network(make(), group="T")


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_save(tmp_path, ending):
    path = save(pl.network(make(3, 12)), tmp_path / f"n.{ending}")
    assert path.stat().st_size > 1000
    assert not plt.get_fignums()
    assert [child.name for child in tmp_path.iterdir()] == [f"n.{ending}"]
