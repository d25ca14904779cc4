"""The figure of regulators' activity: cells on an embedding, coloured by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn.plotting.inputs import check_names
from grn.plotting.style import INK, growing, new_axes, one_line

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

MOST = 24  # panels of a figure
COLUMNS = 4  # at most
HOW_TO_SCORE = "Run grn.tl.activity(adata) first, or name its key."


def activity(
    adata: AnnData,
    regulators: str | Sequence[str],
    *,
    basis: str = "umap",
    key: str = "grn_activity",
    ax: Axes | None = None,
) -> Axes:
    """Draw the activity of one or several regulators on an embedding of the cells.

    One panel per regulator with a colour bar of its own, since activities of different regulators are on different
    scales. The darker, the more active, in grey too; where activities have both signs, the scale has the same length
    to both sides of zero. It spans all but the outermost percent of the cells; the most active cells lie on top.
    Cells without an activity (NaN) are crosses.

    Parameters
    ----------
    adata
        With activities in `obsm[key]` and an embedding in `obsm`.
    regulators
        Name, or names; at most 24.
    basis
        The embedding: "umap" for `obsm["X_umap"]`; its full name is accepted too.
    key
        Where the activities are: a DataFrame (cells x regulators).
    ax
        Where to draw, for one regulator; several make a new figure, at most four panels to a row.

    Returns
    -------
    Axes
        The first panel; its figure holds all.

    Raises
    ------
    KeyError
        If there is no such embedding or activity; what there is, is named.
    InputError
        If a regulator has no activity (near misses are named), the slot holds no table, values are infinite or all
        NaN, or `ax` was given for several regulators.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd, grn
    >>> adata = anndata.AnnData(np.ones((3, 2)))
    >>> adata.obsm["X_umap"] = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> adata.obsm["grn_activity"] = pd.DataFrame({"SPI1": [0.0, 2.0, -1.0]}, index=adata.obs_names)
    >>> grn.pl.activity(adata, "SPI1").get_title(loc="left")
    'SPI1'
    """
    from matplotlib import pyplot as plt

    names = [regulators] if isinstance(regulators, str) else list(regulators)
    table = _table(adata, key)
    check_names(names, map(str, table.columns), "regulator", f"adata.obsm[{key!r}]")
    if len(names) > MOST:
        raise InputError(f"{len(names)} regulators: expected at most {MOST} in one figure.")
    places, label = _embedding(adata, basis)
    if ax is not None:
        if len(names) > 1:
            raise InputError(f"ax= holds one panel, and {len(names)} regulators were given: leave ax out.")
        panels = [ax]
    elif len(names) == 1:
        panels = [new_axes(5.0, 4.2)]
    else:
        rows = -(-len(names) // COLUMNS)
        columns = -(-len(names) // rows)
        _, grid = plt.subplots(
            rows,
            columns,
            figsize=(3.3 * columns, 2.8 * rows),
            squeeze=False,
            layout="constrained",
            facecolor="white",
        )
        panels = list(grid.flat)
        for empty in panels[len(names) :]:
            empty.remove()
    for name, panel in zip(names, panels, strict=False):
        values = table[name].to_numpy(dtype=np.float64)
        if np.isinf(values).any() or np.isnan(values).all():
            raise InputError(
                f"{int((~np.isfinite(values)).sum()):,} of {len(values):,} activities of {name!r} are not finite "
                "numbers; only cells without any expression may have none."
            )
        _draw(panel, places, values, label)
        panel.set_title(one_line(name), loc="left", fontsize=11, parse_math=False)
    return panels[0]


def _table(adata: AnnData, key: str) -> pd.DataFrame:
    if key not in adata.obsm:
        there = [name for name, value in adata.obsm.items() if isinstance(value, pd.DataFrame)]
        tables = f" Tables there: {', '.join(map(repr, there))}." if there else ""
        raise KeyError(f"adata.obsm has no {key!r}.{did_you_mean(key, adata.obsm)}{tables} {HOW_TO_SCORE}")
    table = adata.obsm[key]
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            f"adata.obsm[{key!r}] is a {type(table).__name__} without names of regulators; expected a DataFrame, "
            f"cells x regulators. {HOW_TO_SCORE}"
        )
    return table.rename(columns=str)


def _embedding(adata: AnnData, basis: str) -> tuple[np.ndarray, str]:
    """Places of the cells `(cells, 2)`, and the name of the axes."""
    slot = basis if basis in adata.obsm else f"X_{basis}"
    if slot not in adata.obsm:
        there = [name.removeprefix("X_") for name in adata.obsm if str(name).startswith("X_")]
        known = f" There are {', '.join(map(repr, there))}." if there else " There is no embedding."
        raise KeyError(
            f"adata.obsm has no 'X_{basis}'.{did_you_mean(basis, there)}{known} For instance scanpy.tl.umap(adata) "
            "makes one."
        )
    places = np.asarray(adata.obsm[slot], dtype=np.float64)
    if places.ndim != 2 or places.shape[1] < 2:
        raise InputError(f"adata.obsm[{slot!r}] has the shape {places.shape}; expected two columns or more.")
    return places[:, :2], slot.removeprefix("X_")


def _draw(ax: Axes, places: np.ndarray, values: np.ndarray, label: str) -> None:
    missing = np.isnan(values)
    dot = float(np.clip(20_000 / len(values), 1.5, 30.0))
    if missing.any():
        ax.scatter(
            places[missing, 0], places[missing, 1], s=dot, marker="x", color=INK, linewidths=0.7, label="no activity"
        )
    places, values = places[~missing], values[~missing]
    signed = bool((values < 0).any())
    size = np.abs(values) if signed else values
    span = float(np.quantile(size, 0.99)) or float(size.max()) or 1.0
    low = -span if signed else 0.0
    beyond = {(False, False): "neither", (False, True): "max", (True, False): "min", (True, True): "both"}
    order = np.argsort(values, kind="stable")
    dots = ax.scatter(
        places[order, 0],
        places[order, 1],
        c=values[order],
        s=dot,
        # Both become darker all the way; cividis does so from yellow over grey at zero to dark blue.
        cmap="cividis_r" if signed else growing(),
        vmin=low,
        vmax=span,
        linewidths=0,
        rasterized=len(values) > 5000,
    )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(f"{one_line(label)} 1", fontsize=8.5, loc="left", parse_math=False)
    ax.set_ylabel(f"{one_line(label)} 2", fontsize=8.5, loc="bottom", parse_math=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure = ax.get_figure(root=True)
    if figure is not None:
        extend = beyond[bool(values.min() < low), bool(values.max() > span)]
        bar = figure.colorbar(dots, ax=ax, fraction=0.06, pad=0.02, aspect=18, shrink=0.8, extend=extend)
        bar.set_label("activity", fontsize=8.5)
        bar.ax.tick_params(labelsize=8)
