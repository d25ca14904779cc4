"""The figure of the main regulators: what each does among the strongest edges, and its out-strength."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn.network.network import GeneNetwork
from grn.plotting.inputs import check_number, drawable
from grn.plotting.style import (
    ACTIVATION,
    GRID,
    HATCH,
    INK,
    REPRESSION,
    UNSIGNED,
    elide,
    fit_title,
    letters,
    new_axes,
    tidy,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

MOST = 100  # regulators; one page
LANE = 0.45  # width of the part for the out-strength, in widths of the part with the bars


def regulators(
    adata_or_network: AnnData | GeneNetwork,
    *,
    key: str = "grn",
    top: int = 20,
    edges: int = 1000,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the regulators of the largest out-strength.

    One row per regulator, the strongest on top. Bars say how many targets it activates (blue, to the right) and
    represses (hatched orange, to the left) among the strongest edges; grey bars of a network without signs, how many
    it regulates. Dots in the part on the right are the out-strength, the sum of |weight| over all edges.

    Parameters
    ----------
    adata_or_network
        An AnnData with a network, or a network.
    key
        Where the AnnData's network is.
    top
        How many regulators, at most 100. Those without an edge are left out.
    edges
        Among how many of the strongest edges the targets are counted: a trained network has an edge for nearly every
        pair, so that counting all of them says nothing.
    group
        The group of cells; without it a network with groups is drawn as the mean over groups.
    ax
        Where to draw; by default a new figure whose height goes with `top`.

    Returns
    -------
    Axes
        The axes; rows are at 0, 1, ... from the top, and numbers of targets are the units of x.

    Raises
    ------
    InputError
        If the network has no edges, or a number is out of bounds.

    Examples
    --------
    >>> import grn
    >>> from grn.network import GeneNetwork
    >>> small = GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"])
    >>> ax = grn.pl.regulators(small)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['A']
    """
    check_number("top", top, 1, MOST, "regulators; more cannot be read in one figure")
    check_number("edges", edges, 1, 10**9, "edges among which targets are counted")
    whole = drawable(adata_or_network, key, group)
    table = _table(whole, edges).head(top)
    names = [elide(str(name)) for name in table.index]
    ax = new_axes(5.2 + letters(names, 9), 1.3 + 0.26 * len(table)) if ax is None else ax
    rows = np.arange(len(table))
    left = _bars(ax, rows, table, whole.signed)
    ax.set_yticks(rows, names, fontsize=9, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(table) - 0.4, -0.6)
    # A bar of the largest count, and beside it a place for the number.
    right = max(float(table[["activated", "regulated"]].to_numpy().max()), 0.08 * left, 1.0)
    margin = 0.15 * (left + right)
    low, high = -left - margin if left else 0.0, right + margin
    _strengths(ax, rows, table["out_strength"].to_numpy(), low, high)
    among = min(edges, len(whole))
    ax.set_xlabel(f"targets among the {among:,} strongest edges", loc="left", fontsize=9.5)
    if group is not None:
        fit_title(ax, group)
    return ax


def _table(network: GeneNetwork, edges: int) -> pd.DataFrame:
    """The network's table of regulators that have an edge, with `regulated`: targets whose sign is not told."""
    table = network.regulator_table(edges)
    best = network.top(edges).edges
    unknown = best.loc[best["sign"] == 0, "source"].value_counts()
    table["regulated"] = unknown.reindex(table.index, fill_value=0).astype(np.int64)
    return table[table["out_strength"] > 0]


def _bars(ax: Axes, rows: np.ndarray, table: pd.DataFrame, signed: bool) -> float:
    """Draw bars with their numbers and a legend; returns the length of the longest one to the left."""
    from matplotlib.patches import Patch

    style: dict[str, Any] = {"height": 0.66, "linewidth": 0.8}
    kinds = [("activated", 1, ACTIVATION, ""), ("repressed", -1, REPRESSION, HATCH)] if signed else []
    kinds = kinds or [("regulated", 1, UNSIGNED, "")]
    handles = []
    for name, side, colour, hatch in kinds:
        counts = table[name].to_numpy()
        face = "white" if hatch else colour
        ax.barh(rows, side * counts, facecolor=face, edgecolor=colour, hatch=hatch, label=name, **style)
        handles.append(Patch(facecolor=face, edgecolor=colour, hatch=hatch, label=name))
        for row, count in zip(rows, counts, strict=True):
            if count:
                ax.annotate(
                    f"{count:,}",
                    (side * count, row),
                    xytext=(3 * side, 0),
                    textcoords="offset points",
                    ha="left" if side > 0 else "right",
                    va="center",
                    fontsize=7.5,
                )
    ax.axvline(0.0, color=INK, linewidth=1.0, zorder=2)
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
    )
    return float(table["repressed"].max()) if signed else 0.0


def _strengths(ax: Axes, rows: np.ndarray, strength: np.ndarray, low: float, high: float) -> None:
    """Draw the out-strengths as dots in a lane right of `high`, with an axis of its own above."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    span = high - low
    start, end = high + 0.05 * span, high + LANE * span
    unit = (end - start) / float(strength.max())
    places = start + unit * strength
    ax.hlines(rows, start, places, color=INK, linewidth=1.0)
    ax.plot(places, rows, "o", color=INK, markersize=5, label="out-strength")
    ax.axvline(start, color=INK, linewidth=1.0)
    ax.set_xlim(low, end + 0.03 * span)
    steps = MaxNLocator(nbins=5, integer=True).tick_values(low, high)
    ax.set_xticks([step for step in steps if low <= step <= high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    tidy(ax)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(low, high)
    for tick in ax.get_xticks():
        ax.axvline(tick, color=GRID, linewidth=0.7, zorder=0)

    def to_strength(place: Any) -> Any:
        return (place - start) / unit

    def to_place(strength: Any) -> Any:
        return start + unit * strength

    lane = ax.secondary_xaxis("top", functions=(to_strength, to_place))
    lane.set_xticks([step for step in MaxNLocator(nbins=3).tick_values(0, strength.max()) if step <= strength.max()])
    lane.spines["top"].set_visible(False)
    lane.tick_params(labelsize=8, length=2)
    lane.set_xlabel("out-strength", loc="right", fontsize=9.5)
    ax.tick_params(axis="x", labelsize=8.5)
