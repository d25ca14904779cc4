"""The figure of a benchmark: geometric-mean AUPRC ratio by family and method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn.plotting.style import BLUE, GRID, INK, VERMILION, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by fill and shape, not by colour alone.
OURS, OTHERS, SHORTCUT = BLUE, "#FFFFFF", VERMILION


def benchmark(families: pd.DataFrame, titles: Mapping[str, str] | None = None, *, ours: str = "regulatory") -> Axes:
    """Draw one panel per family: a dot per method on a logarithmic axis, chance and the best shortcut as lines.

    Parameters
    ----------
    families
        Columns `family`, `method`, `auprc_ratio`, `shortcut_ratio` and `pairs`, of one convention of candidates; as
        `grn.evaluation.benchmark.Results.families`.
    titles
        Titles of the panels by family.
    ours
        The method whose dot, and those whose name begins so, is filled.

    Returns
    -------
    Axes
        The first panel; its figure holds all.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, NullLocator

    if families.empty:
        raise InputError("There is no result to draw.")
    names = list(families["family"].unique())
    order = np.exp(np.log(families["auprc_ratio"]).groupby(families["method"]).mean()).sort_values()
    figure, axes = plt.subplots(
        1,
        len(names),
        figsize=(2.2 + 2.6 * len(names), 1.5 + 0.3 * len(order)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, name in zip(axes[0], names, strict=True):
        chosen = families[families["family"] == name].set_index("method")
        most = int(chosen["pairs"].max())
        ax.axvline(1.0, color=INK, linewidth=1.2)
        shortcut = float(chosen.loc[chosen["pairs"] == most, "shortcut_ratio"].iloc[0])
        if np.isfinite(shortcut):
            ax.axvline(shortcut, color=SHORTCUT, linewidth=1.2, linestyle=(0, (4, 2)))
        for place, method in enumerate(order.index):
            if method not in chosen.index:
                continue
            value, mine = float(chosen.loc[method, "auprc_ratio"]), str(method).startswith(ours)
            ax.plot(
                value,
                place,
                marker="D" if mine else "o",
                markersize=7 if mine else 6.5,
                markerfacecolor=OURS if mine else OTHERS,
                markeredgecolor=OURS if mine else INK,
                markeredgewidth=1.3,
                linestyle="",
                zorder=3,
            )
        title = f"{one_line(str((titles or {}).get(name, name)))} ({most} pair{'s' if most > 1 else ''})"
        ax.set_title(title, fontsize=9.5, parse_math=False)
        ax.set_yticks(range(len(order)), [one_line(str(method)) for method in order.index], parse_math=False)
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        low, high = min(low, 0.9), max(high, 1.3)
        ax.set_xlim(low, high)
        fine = [tick for tick in (0.5, 1, 1.25, 1.5, 2, 3, 4) if low <= tick <= high]
        coarse = [tick for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if low <= tick <= high]
        ax.set_xticks(fine if high < 4 else coarse)
        ax.set_ylim(-0.6, len(order) - 0.4)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.grid(axis="y", color=GRID, linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("AUPRC ratio, geometric mean over pairs of set and reference", fontsize=9.5)
    handles = [
        Line2D([], [], color=INK, linewidth=1.2, label="chance"),
        Line2D([], [], color=SHORTCUT, linewidth=1.2, linestyle=(0, (4, 2)), label="best shortcut"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    first: Axes = axes[0][0]
    return first
