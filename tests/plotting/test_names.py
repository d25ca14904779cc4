"""Names that no gene should have, in every figure: drawn as they are written, in one line."""

from __future__ import annotations

import io
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from grn import pl
from grn.network import GeneNetwork, add_to_anndata
from grn.plotting import benchmark as draw_benchmark

NAMES = [
    r"$\frac{$",
    "$x^$",
    "a_{b",
    "\x1b[2J",
    "\u202eevil",
    "two\nlines",
    "\x00",
    "a\tb",
    "<b>&amp;",
    "%s",
    "{0}",
    "=1",
]


def network(**columns: object) -> GeneNetwork:
    edges = pd.DataFrame({"source": NAMES[0], "target": NAMES[1:], "weight": np.linspace(1, -1, len(NAMES) - 1)})
    edges = pd.concat([edges, edges.assign(source=NAMES[1], target=NAMES[2:] + NAMES[:1])])
    return GeneNetwork.from_edges(edges[edges["weight"] != 0].assign(**columns))


def activity() -> Axes:
    adata = anndata.AnnData(np.ones((9, 2), dtype=np.float32))
    adata.obsm["X_um\nap$"] = np.random.default_rng(0).normal(size=(9, 2))
    adata.obsm["grn_activity"] = pd.DataFrame(adata.X[:, :1], index=adata.obs_names, columns=NAMES[:1])
    return pl.activity(adata, NAMES[0], basis="um\nap$")


def differential() -> Axes:
    table = network().edges.rename(columns={"weight": "effect"})
    return pl.differential(table.assign(group=NAMES[0], reference=NAMES[5], qvalue=0.01))


def benchmark() -> Axes:
    rows = [
        {"family": NAMES[0], "method": name, "auprc_ratio": 2.0, "shortcut_ratio": 1.5, "pairs": 2} for name in NAMES
    ]
    return draw_benchmark(pd.DataFrame(rows), titles={NAMES[0]: NAMES[1]})


def precision_recall() -> Axes:
    truth = network().edges.head(4)[["source", "target"]]
    return pl.precision_recall({NAMES[0]: network(), NAMES[4]: network()}, truth)


def slots() -> Axes:
    adata = anndata.AnnData(var=pd.DataFrame(index=NAMES))
    add_to_anndata(adata, network())
    return pl.network(adata)


DRAWN = {
    "activity": activity,
    "benchmark": benchmark,
    "confidence": lambda: pl.confidence(network(confidence=0.9)),
    "differential": differential,
    "heatmap": lambda: pl.heatmap(network()),
    "network": lambda: pl.network(network()),
    "of a group": lambda: pl.network(network(group=NAMES[4]), group=NAMES[4]),
    "precision_recall": precision_recall,
    "regulators": lambda: pl.regulators(network()),
    "slots": slots,
}


@pytest.mark.parametrize("name", DRAWN)
def test_names_are_drawn_as_they_are_written(name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Glyph")  # a letter that no font has
        figure = DRAWN[name]().get_figure(root=True)
        assert figure is not None
        figure.savefig(io.BytesIO(), format="png")
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert all(text.get_text().replace("\n", "").isprintable() for text in shown)
    assert not any(text.get_parse_math() for text in shown if set(text.get_text()) & set("$\\"))
