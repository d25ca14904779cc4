"""The figure of a differential network: edges that differ most between two groups of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn.plotting.canvas import Stroke, draw_graph, draw_legend, new_canvas
from grn.plotting.inputs import check_number
from grn.plotting.network import MOST
from grn.plotting.style import BLUE, PURPLE, VERMILION, fit_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("source", "target", "group", "reference", "effect")
# Optional: the edge's weight in either group, by which a lost activation is told from a gained repression.
WEIGHTS = ("weight_group", "weight_reference")
REVERSED = 0.25  # the smaller of two weights of opposite sign, as a share of the larger, that makes it a reversal
LOOKS: dict[str, tuple[str, tuple[float, ...] | None]] = {
    "gained": (BLUE, None),
    "lost": (VERMILION, (3.2, 1.8)),
    "reversed": (PURPLE, (5.0, 1.2, 1.0, 1.2)),
    "higher": (BLUE, None),
    "lower": (VERMILION, (3.2, 1.8)),
}


def differential(
    table: pd.DataFrame,
    *,
    top: int = 40,
    fdr: float | None = None,
    ax: Axes | None = None,
    seed: int = 0,
) -> Axes:
    """Draw the edges whose weights differ most between a group of cells and the reference group.

    A line is the wider, the larger |effect|. With the columns `weight_group` and `weight_reference`, a gained edge
    (stronger in the group) is solid blue, a lost one (stronger in the reference) dashed orange, a reversed one (of
    opposite signs, the weaker at least a quarter of the stronger) dash-dotted purple; the head is an arrow where the
    edge activates and a bar where it represses, in the group where it is stronger (reversed: in the group). Without
    these columns only the direction of the effect is known: a weight that is higher in the group is a solid blue line
    with an arrow, a lower one a dashed orange line with a bar.

    Parameters
    ----------
    table
        One row per edge: `source`, `target`, `group` and `reference` (names of the two groups, the same in every
        row), `effect` (weight in `group` minus weight in `reference`) and optionally `qvalue`, `weight_group` and
        `weight_reference`.
    top
        How many edges to draw, at most 200.
    fdr
        Draw only edges with a q-value of at most this; none draws the largest effects, whether significant or not.
    ax
        Where to draw; by default a new figure of 10 x 7.5 inches.
    seed
        Start of the layout.

    Returns
    -------
    Axes
        The axes; their data units are points.

    Raises
    ------
    InputError
        If a column is missing (near misses are named), the table holds several comparisons or an edge twice, effects
        are not finite, no edge is left, or `top` or `fdr` is out of bounds.

    Examples
    --------
    >>> import pandas as pd, grn
    >>> table = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "effect": [0.9, -0.1]})
    >>> ax = grn.pl.differential(table.assign(group="treated", reference="control"))
    >>> ax.get_title(loc="left")
    'All 2 differences: treated against control'
    """
    check_number("top", top, 1, MOST, "edges; more cannot be read in one figure")
    _check(table)
    table = table.assign(source=table["source"].astype(str), target=table["target"].astype(str))
    kept = table[table["effect"] != 0]
    if fdr is not None:
        kept = kept[_significant(kept, fdr)]
    if kept.empty:
        within = "" if fdr is None else f" with q ≤ {fdr:g}"
        raise InputError(f"The table has no edge that differs{within}, so there is nothing to draw.")
    # Equal effects in the order of names, so that the table's order does not decide.
    order = kept.assign(size=kept["effect"].abs()).sort_values(
        ["size", "source", "target"], ascending=[False, True, True], kind="stable"
    )
    edges = order.head(top)
    kinds, bars = _kinds(edges)
    strokes = [Stroke(*LOOKS[kind], bar=bool(bar)) for kind, bar in zip(kinds, bars, strict=True)]
    ax = new_canvas() if ax is None else ax
    scale = draw_graph(ax, edges, strokes, edges["size"].to_numpy(np.float64), seed)
    weighted = all(name in table for name in WEIGHTS)
    # Entries only for what is drawn; those without a head of their own show the line with that of activation.
    entries = [(name, Stroke(*LOOKS[name], bar=name == "lower")) for name in LOOKS if name in set(kinds)]
    words = ["arrow: activates", "bar: represses", "width: |effect|"] if weighted else ["width: |effect|"]
    draw_legend(ax, scale, entries, words)
    most = "largest" if len(edges) == 1 else f"{len(edges):,} largest"
    count = f"The {most} of {len(kept):,}" if len(edges) < len(kept) else f"All {len(edges):,}"
    group, reference = table["group"].iloc[0], table["reference"].iloc[0]
    among = "differences" if fdr is None else f"differences with q ≤ {fdr:g}"
    fit_title(ax, f"{count} {among}", f"{group} against {reference}")
    return ax


def _check(table: pd.DataFrame) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"Expected a table (DataFrame) of differences, got a {type(table).__name__}.")
    for column in COLUMNS:
        if column not in table:
            raise InputError(
                f"The table of differences has no column {column!r}; expected {', '.join(COLUMNS)}, got "
                f"{', '.join(map(repr, table.columns))}.{did_you_mean(column, map(str, table.columns))}"
            )
    if table.empty:
        raise InputError("The table of differences is empty, so there is nothing to draw.")
    compared = table[["group", "reference"]].drop_duplicates()
    if len(compared) > 1:
        shown = "; ".join(f"{group!r} against {reference!r}" for group, reference in compared.head(3).to_numpy())
        raise InputError(
            f"The table holds {len(compared)} comparisons ({shown}{'; …' if len(compared) > 3 else ''}); draw one: "
            "table[table['group'] == NAME]."
        )
    if table.duplicated(["source", "target"]).any():
        source, target = table.loc[table.duplicated(["source", "target"]), ["source", "target"]].iloc[0]
        raise InputError(f"The edge {source!r} -> {target!r} is in the table twice; expected one row per edge.")
    for column in ("effect", *(name for name in WEIGHTS if name in table)):
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"The column {column!r} of the differences holds {table[column].dtype}, expected numbers.")
        wrong = int((~np.isfinite(table[column].to_numpy(np.float64))).sum())
        if wrong:
            raise InputError(f"{wrong:,} values of {column!r} are not finite numbers.")


def _significant(table: pd.DataFrame, fdr: float) -> pd.Series:
    if isinstance(fdr, bool) or not 0 < fdr <= 1:
        raise InputError(f"fdr={fdr!r}: expected the accepted share of false edges, above 0 and at most 1.")
    if "qvalue" not in table:
        raise InputError(f"fdr={fdr} needs q-values, and the table of differences has no column 'qvalue'.")
    return table["qvalue"] <= fdr


def _kinds(edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What each edge is called, and whether its head is a bar."""
    if not all(name in edges for name in WEIGHTS):
        falls = edges["effect"].to_numpy() < 0
        return np.where(falls, "lower", "higher"), falls
    here, there = (edges[name].to_numpy(np.float64) for name in WEIGHTS)
    stronger = np.abs(here) >= np.abs(there)
    small, large = np.sort(np.abs([here, there]), axis=0)
    turned = (here * there < 0) & (small >= REVERSED * large)
    kinds = np.where(turned, "reversed", np.where(stronger, "gained", "lost"))
    return kinds, np.where(stronger | turned, here, there) < 0
