"""The figures of the report: drawn by `grn.plotting`, embedded in the page, each with its words."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn._errors import InputError
from grn.network.network import GeneNetwork
from grn.plotting.confidence import confidence as draw_confidence
from grn.plotting.heatmap import heatmap as draw_heatmap
from grn.plotting.network import MOST
from grn.plotting.network import network as draw_network
from grn.plotting.regulators import regulators as draw_regulators
from grn.plotting.training import training as draw_training

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

TOP = 60  # edges of the first figure, where the run's settings say nothing
NAMED = 5  # regulators that the words for a figure name
# Beyond this many bytes of vectors a picture of dots is the smaller one.
LARGEST_SVG = 250_000
FEW = 3000  # edges; a cloud of more points is never the smaller one as vectors
DPI = 130
PIXELS_PER_INCH = 100  # of the page; letters of 9 points are then as large as the page's smallest


@dataclass(frozen=True)
class Figure:
    """A picture as the source of an `img` with its width in pixels, its heading, and what it shows in words."""

    title: str
    source: str
    width: int
    alt: str
    caption: str


def figures(network: GeneNetwork, record: dict[str, Any]) -> list[Figure]:
    """The figures that this network has; none of a network without edges."""
    if not len(network):
        return []
    whole, mean = network.ungrouped(), " The mean over the groups of cells." if network.groups else ""
    found = [_network(whole, record, mean), _regulators(whole, mean)]
    if min(len(whole.edges[name].unique()) for name in ("source", "target")) > 1:
        found.append(_heatmap(whole, mean))
    if "confidence" in network.edges:
        found.append(_confidence(network, record))
    return found


def training_figure(metrics: pd.DataFrame | None) -> Figure | None:
    """The losses by epoch, where there is more than one."""
    if metrics is None or len(metrics) < 2 or "train_loss" not in metrics or metrics["train_loss"].isna().all():
        return None
    first, last = (float(metrics["train_loss"].iloc[place]) for place in (0, -1))
    return _figure(
        "Training",
        lambda: draw_training(metrics),
        f"Losses by epoch: the training loss goes from {first:.4g} to {last:.4g} in {len(metrics)} epochs.",
        "The network was read from the best epoch. The loss says how well genes are predicted, not how true the "
        "network is.",
    )


def _network(whole: GeneNetwork, record: dict[str, Any], mean: str) -> Figure:
    # As many as the figure in the run's folder shows.
    asked = ((record.get("config") or {}).get("network") or {}).get("figure_top", TOP)
    top = max(1, min(int(asked), MOST, len(whole)))
    shown = whole.top(top).edges
    count = shown["source"].value_counts(sort=False).sort_values(ascending=False, kind="stable").head(NAMED)
    told = ", ".join(f"{name} with {edges}" for name, edges in count.items())
    colours = (
        "Activation is a solid blue line with an arrow, repression a dashed orange line with a bar"
        if whole.signed
        else "The method tells no signs, so all lines are grey"
    )
    return _figure(
        "The strongest edges",
        lambda: draw_network(whole, top=top),
        f"The {len(shown):,} strongest of {len(whole):,} edges as a drawing. The regulators with most of them: {told}. "
        "The table of edges below lists them.",
        f"Regulators dark, other genes light. {colours}; the wider, the larger |weight|.{mean}",
    )


def _regulators(network: GeneNetwork, mean: str) -> Figure:
    names = ", ".join(network.regulator_table().head(NAMED).index)
    bars = (
        "Bars: how many targets each activates (right, blue) and represses (left, hatched orange)"
        if network.signed
        else "Bars: how many targets each regulates"
    )
    return _figure(
        "Main regulators",
        lambda: draw_regulators(network),
        f"Bars of the main regulators, the first of them {names}. The table of regulators below has the figures.",
        f"{bars} among the 1,000 strongest edges. Dots: the sum of |weight| over all its edges.{mean}",
    )


def _heatmap(network: GeneNetwork, mean: str) -> Figure:
    return _figure(
        "Modules of targets",
        lambda: draw_heatmap(network),
        "Mean weight of each main regulator for each module of targets, as a heatmap.",
        "Targets that answer to the same regulators in the same direction are one module, labelled by its size and its "
        f"strongest genes. Blue with + is activation, orange with \u2212 repression.{mean}",
    )


def _confidence(network: GeneNetwork, record: dict[str, Any]) -> Figure:
    cells = (record.get("gate") or {}).get("groups") or {}
    # Confidence belongs to single groups: that with most cells is shown.
    group = max(network.groups, key=lambda name: cells.get(name, 0)) if network.groups else None
    tested = "qvalue" in network.edges
    marks = " Marked: q at most 0.05." if tested else ""
    of = f" In {group}, the group with most cells." if group is not None and cells else ""
    return _figure(
        "Weight and confidence",
        lambda: draw_confidence(network, group=group, fdr=0.05 if tested else None),
        f"The size of the weight against the confidence of every edge{'' if group is None else f' in {group}'}.",
        f"Strong edges are at the top, steady ones on the right.{marks}{of}",
        vectors=len(network) <= FEW,
    )


def _figure(title: str, draw: Callable[[], Axes], alt: str, caption: str, *, vectors: bool = True) -> Figure:
    """A figure drawn and embedded: as vectors, or as dots where these are fewer bytes; always with the same bytes."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    # Letters become outlines, for the browser may lack the font; names of parts are made from the content.
    with mpl.rc_context({"svg.hashsalt": "grn", "svg.fonttype": "path"}):
        figure = draw().get_figure(root=True)
        if figure is None:
            raise InputError("These axes belong to no figure, so there is nothing to embed.")
        try:
            content, kind = b"", "svg+xml"
            if vectors:
                content = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
            if not 0 < len(content) <= LARGEST_SVG:
                content, kind = _saved(figure, format="png", dpi=DPI, metadata={"Software": None}), "png"
            width = round(PIXELS_PER_INCH * float(figure.get_size_inches()[0]))
        finally:
            plt.close(figure)
    return Figure(title, f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, alt, caption)


def _saved(figure: MatplotlibFigure, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, facecolor="white", **options)
    return stream.getvalue()
