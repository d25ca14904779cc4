"""The figure of |weight| against confidence: which edges are strong, which are sure, which are both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.network.network import HOW_TO_TEST, GeneNetwork
from grn.plotting.inputs import read_network
from grn.plotting.style import (
    ACTIVATION,
    INK,
    REPRESSION,
    UNSIGNED,
    elide,
    fit_title,
    new_axes,
    sequential,
    tidy,
)  # fmt: skip

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

DENSE = 3000  # edges; more are drawn as density
LABELS = 10
HEXAGONS = 42  # across the axes
RANGE = -0.03, 1.1  # of x; beyond it are the names
GAP = 0.02
# Sign: words, colour, marker, whether it is filled.
MARKS = {
    1: ("activates", ACTIVATION, "^", True),
    -1: ("represses", REPRESSION, "v", False),
    0: ("regulates", INK, "o", True),
}


def confidence(
    adata_or_network: AnnData | GeneNetwork,
    *,
    key: str = "grn",
    fdr: float | None = 0.05,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw |weight| against confidence, one point per edge.

    More than 3,000 edges are drawn as density, the darker the more. Edges with a q-value of at most `fdr` are marked:
    activation by a filled blue triangle that points up, repression by an open orange one that points down; where they
    are more than 3,000 themselves, hexagons in which they are at least half the edges have a dark border. The ten
    strongest of them (of all edges, where none is marked) are named on the right, with an arrow or a bar between
    regulator and target.

    Parameters
    ----------
    adata_or_network
        An AnnData with a network, or a network, with the column `confidence`.
    key
        Where the AnnData's network is.
    fdr
        Accepted share of false edges among those marked; none marks none. Without the column `qvalue` no edge can be
        marked; that is logged.
    group
        The group of cells; needed for a network with groups, whose confidence belongs to the single groups.
    ax
        Where to draw; by default a new figure of 7.5 x 5.5 inches. Names are placed for the present size.

    Returns
    -------
    Axes
        x is the confidence, y is |weight|.

    Raises
    ------
    InputError
        If the network has no edges or no confidence, `fdr` is not above 0 and at most 1, or the network has groups and
        none was named.

    Examples
    --------
    >>> import pandas as pd, grn
    >>> edges = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "weight": [0.9, -0.1]})
    >>> edges["confidence"], edges["qvalue"] = [0.99, 0.4], [0.01, 0.6]
    >>> ax = grn.pl.confidence(grn.GeneNetwork.from_edges(edges))
    >>> [text.get_text() for text in ax.texts]
    ['A → B']
    """
    whole = read_network(adata_or_network, key)
    if fdr is not None and (isinstance(fdr, bool) or not 0 < fdr <= 1):
        raise InputError(f"fdr={fdr!r}: expected the accepted share of false edges, above 0 and at most 1, or None.")
    if "confidence" not in whole.edges:
        raise InputError(f"The edges of this network have no confidence. {HOW_TO_TEST}")
    if group is not None:
        whole = whole.of_group(group)
    elif whole.groups:
        raise InputError(
            f"Confidence belongs to the single groups of cells: give group=, one of "
            f"{', '.join(map(repr, whole.groups))}."
        )
    if not len(whole):
        raise InputError("The network has no edges, so there is nothing to draw.")
    edges = whole.edges.assign(strength=whole.edges["weight"].abs().astype(np.float64))
    marked = _marked(edges, fdr)
    ax = new_axes(7.5, 5.5) if ax is None else ax
    ax.set_xlim(RANGE)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.spines["bottom"].set_bounds(RANGE[0], 1.0)
    ax.set_ylim(0.0, 1.15 * float(edges["strength"].max()))
    ax.set_xlabel("confidence", fontsize=10, loc="left")
    ax.set_ylabel("|weight|", fontsize=10)
    tidy(ax)
    _draw_all(ax, edges[~marked] if len(edges) <= DENSE else edges)
    if int(marked.sum()) <= DENSE:
        _draw_marks(ax, edges[marked])
    else:
        _draw_borders(ax, edges, marked)
    words = f"{len(edges):,} edges"
    if fdr is not None and "qvalue" in edges:
        words += f", {int(marked.sum()):,} with q ≤ {fdr:g}"
    drawn = ax.get_legend_handles_labels()[0]
    if drawn:  # above the axes: a strong edge may be anywhere within them
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9, borderaxespad=0.2)
    fit_title(ax, words, group, pad=22 if drawn else None)
    _draw_names(ax, (edges[marked] if marked.any() else edges).head(LABELS))
    return ax


def _marked(edges: pd.DataFrame, fdr: float | None) -> pd.Series:
    """Which of the edges to mark."""
    if fdr is not None and "qvalue" in edges:
        return edges["qvalue"] <= np.float32(fdr)
    if fdr is not None:
        logger.info("The edges have no q-values, so none is marked at fdr=%g. %s", fdr, HOW_TO_TEST)
    return pd.Series(False, index=edges.index)


def _draw_all(ax: Axes, edges: pd.DataFrame) -> None:
    if len(edges) > DENSE:
        image = ax.hexbin(**_grid(ax, edges), bins="log", cmap=sequential(), mincnt=1, linewidths=0.2)
        figure = ax.get_figure(root=True)
        if figure is not None:
            bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=18, shrink=0.7)
            bar.set_label("edges per hexagon", fontsize=9)
            bar.ax.tick_params(labelsize=8)
    elif len(edges):
        ax.plot(
            edges["confidence"],
            edges["strength"],
            "o",
            markersize=3.5,
            markerfacecolor="none",
            markeredgecolor=UNSIGNED,
            markeredgewidth=0.7,
            label="not marked" if "qvalue" in edges else None,
        )


def _draw_marks(ax: Axes, edges: pd.DataFrame) -> None:
    for sign, (words, colour, marker, filled) in MARKS.items():
        chosen = edges[edges["sign"] == sign]
        if len(chosen):
            ax.plot(
                chosen["confidence"],
                chosen["strength"],
                marker,
                markersize=4.5,
                markerfacecolor=colour if filled else "white",
                markeredgecolor=colour,
                markeredgewidth=0.9,
                label=words,
                zorder=3,
            )


def _draw_borders(ax: Axes, edges: pd.DataFrame, marked: pd.Series) -> None:
    """Border around the hexagons in which at least half of the edges are marked."""
    share = ax.hexbin(**_grid(ax, edges), C=marked.to_numpy(float), reduce_C_function=np.mean, mincnt=1)
    most = np.asarray(share.get_array()) >= 0.5
    share.set_array(None)
    share.set_facecolor("none")
    share.set_edgecolor([ACTIVATION if one else "none" for one in most])
    share.set_linewidth(1.1)
    share.set_zorder(3)
    ax.plot([], [], "h", markersize=9, markerfacecolor="none", markeredgecolor=ACTIVATION, label="at least half marked")


def _grid(ax: Axes, edges: pd.DataFrame) -> dict:
    """Arguments of a hexbin, the same for densities and borders, so that their hexagons agree."""
    extent = (*ax.get_xlim(), *ax.get_ylim())
    return {"x": edges["confidence"], "y": edges["strength"], "gridsize": HEXAGONS, "extent": extent}


def _draw_names(ax: Axes, edges: pd.DataFrame) -> None:
    """Name edges in a column right of the points, the strongest on top, with lines to their points."""
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.draw_without_rendering()  # the layout decides the size of the axes
    frame = ax.get_window_extent()
    arrows = {1: "→", -1: "⊣", 0: "→"}
    for most, size in ((20, 8.0), (20, 7.0), (14, 7.0), (10, 6.0), (8, 5.0)):  # small axes: the points need a place too
        names = [
            f"{elide(str(source), most)} {arrows[sign]} {elide(str(target), most)}"
            for source, target, sign in zip(edges["source"], edges["target"], edges["sign"], strict=True)
        ]
        wide, high = _extent(ax, names, size)
        if wide <= 0.45 * frame.width:
            break
    wide = min(wide, 0.8 * frame.width)
    left, right = RANGE
    units = (right - left) / (frame.width - wide)  # of confidence, per pixel
    ax.set_xlim(left, left + units * frame.width)
    bottom, top = ax.get_ylim()
    rows = _spread(edges["strength"].to_numpy(), 1.05 * high * (top - bottom) / frame.height, bottom, top)
    for name, row, sure, strength in zip(names, rows, edges["confidence"], edges["strength"], strict=True):
        ax.annotate(
            name,
            (sure, strength),
            xytext=(right - GAP, row),
            textcoords="data",
            ha="left",
            va="center",
            fontsize=size,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 1.0, "shrinkB": 2.5, "relpos": (0.0, 0.5),
            },
        )  # fmt: skip


def _extent(ax: Axes, names: list[str], size: float) -> tuple[float, float]:
    """Largest width and height of the names, in pixels."""
    boxes = []
    for name in names:
        text = ax.text(0, 0, name, fontsize=size, parse_math=False)
        boxes.append(text.get_window_extent())
        text.remove()
    return max(box.width for box in boxes), max(box.height for box in boxes)


def _spread(wanted: np.ndarray, step: float, bottom: float, top: float) -> np.ndarray:
    """Heights at least `step` apart, falling, as near to the wanted (falling) ones as can be, between two bounds."""
    from sklearn.isotonic import isotonic_regression

    behind = step * np.arange(len(wanted))
    rows = isotonic_regression(wanted + behind, increasing=False) - behind
    rows = np.minimum(rows, top - step / 2 - behind)
    return np.maximum(rows, bottom + step / 2 + behind[::-1])
