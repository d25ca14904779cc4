"""The figure of a training: losses by epoch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean, near_misses
from grn.plotting.style import BLUE, INK, VERMILION, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TABLE = "metrics.csv"
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "train_loss": ("training", {"color": BLUE, "linestyle": "-", "marker": "o"}),
    "val_loss": ("validation", {"color": VERMILION, "linestyle": (0, (5, 1.6)), "marker": "s"}),
}


def training(run: pd.DataFrame | str | os.PathLike[str], ax: Axes | None = None) -> Axes:
    """Draw the training loss and, where cells were held out, the validation loss by epoch.

    The epoch of the lowest validation loss (training loss where there is no other) has a ring.

    Parameters
    ----------
    run
        Folder of a run, its `metrics.csv`, or a table with `epoch`, `train_loss` and optionally `val_loss`.
    ax
        Where to draw; by default a new figure of 6 x 4 inches.

    Returns
    -------
    Axes
        One line per loss; epochs are counted as in the table, from 0.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file; near misses beside it are named.
    InputError
        If the folder holds no metrics.csv, or the table has no epochs or no losses.

    Examples
    --------
    >>> import pandas as pd, grn
    >>> ax = grn.pl.training(pd.DataFrame({"epoch": [0, 1], "train_loss": [0.9, 0.7], "val_loss": [0.8, 0.75]}))
    >>> len(ax.lines)
    3
    """
    from matplotlib.ticker import MaxNLocator

    table, where = (run, "The table") if isinstance(run, pd.DataFrame) else _read(Path(run))
    losses = _losses(table, where)
    epochs = pd.to_numeric(table["epoch"], errors="coerce").to_numpy(np.float64)
    ax = new_axes(6.0, 4.0) if ax is None else ax
    for name, values in losses.items():
        words, style = LOSSES[name]
        size = 4.0 if len(epochs) <= 60 else 0.0
        ax.plot(epochs, values, linewidth=1.8, markersize=size, label=words, **style)
    name, values = list(losses.items())[-1]
    best = int(np.nanargmin(values))
    lowest = f"lowest {LOSSES[name][0]} loss: {values[best]:.4g}, epoch {epochs[best]:.0f}"
    ax.plot(
        epochs[best],
        values[best],
        "o",
        markersize=12,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=1.4,
        linestyle="",
        label=lowest,
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch", fontsize=10)
    # Losses that hardly fall are written in full: an offset above the axes would lie on the legend.
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_ylabel("loss", fontsize=10)
    tidy(ax, grid="y")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, columnspacing=1.2, frameon=False, fontsize=9,
        borderaxespad=0.3,
    )  # fmt: skip
    return ax


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        close = near_misses(path.name, beside)
        raise FileNotFoundError(f"There is no run {path}." + (f" Beside it: {', '.join(close)}." if close else ""))
    if path.is_dir():
        if not (path / TABLE).is_file():
            raise InputError(
                f"The folder {path} holds no {TABLE}: it is no folder of a training, or its first epoch did not end. "
                "Methods without training have none."
            )
        path = path / TABLE
    try:
        return pd.read_csv(path), str(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table of losses: {error}") from error


def _losses(table: pd.DataFrame, where: str) -> dict[str, np.ndarray]:
    """The losses that the table has, those without any number left out."""
    for column in ("epoch", "train_loss"):
        if column not in table:
            there = ", ".join(map(repr, table.columns))
            raise InputError(
                f"{where} has no column {column!r}; it has {there}.{did_you_mean(column, map(str, table.columns))}"
            )
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in LOSSES if name in table
    }
    found = {name: values for name, values in numbers.items() if np.isfinite(values).any()}
    if not found:
        raise InputError(f"{where} holds no loss, so there is nothing to draw.")
    return found
