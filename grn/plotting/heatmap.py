"""The figure of regulators x modules: targets that answer to the same regulators, and in which direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn.network.network import GeneNetwork
from grn.plotting.inputs import check_names, check_number, drawable
from grn.plotting.style import diverging, elide, fit_title, letters, new_axes, sequential

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

MOST_REGULATORS, MOST_MODULES = 60, 40
MOST_TARGETS = 20_000  # Ward's distances between more targets do not fit into memory
NAMED = 3  # targets in the label of a module
FAINT = 0.1  # means below this share of the largest get no sign: nothing could be seen in them


def heatmap(
    adata_or_network: AnnData | GeneNetwork,
    *,
    key: str = "grn",
    regulators: int | Sequence[str] = 20,
    modules: int = 12,
    edges: int = 1000,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean weight of each regulator for each module of targets.

    The targets are those of the strongest edges of the chosen regulators. They are joined into modules by Ward's
    method (1963, Journal of the American Statistical Association 58:236) on their signed weights from these
    regulators, so genes of a module answer to the same regulators in the same direction. Rows are modules, labelled by
    the number of their genes and the three with the largest sum of |weight|; columns are regulators. Blue with "+" is
    activation, orange with "−" repression; a mean below a tenth of the largest has no sign. Rows and columns are put
    in the order in which neighbours are most alike. The same network gives the same modules every time.

    Parameters
    ----------
    adata_or_network
        An AnnData with a network, or a network.
    key
        Where the AnnData's network is.
    regulators
        How many, by their out-strength, or their names; at most 60.
    modules
        How many, at most 40; fewer where there are fewer targets.
    edges
        How many of the strongest edges of the chosen regulators give the targets. Their weights from all chosen
        regulators count, strong or weak.
    group
        The group of cells; without it a network with groups is drawn as the mean over groups.
    ax
        Where to draw; by default a new figure whose size goes with the numbers of modules and regulators. The colour
        bar takes its place from the axes.

    Returns
    -------
    Axes
        The axes of the heatmap, without the colour bar.

    Raises
    ------
    InputError
        If the network has no edges, a regulator is unknown (near misses are named), or a number is out of bounds.

    Examples
    --------
    >>> import grn
    >>> from grn.network import GeneNetwork
    >>> weights = [[0.0, 0.0, 0.9, 0.8, -0.7], [0.0, 0.0, 0.1, 0.0, 0.6]]
    >>> small = GeneNetwork.from_matrix(weights, ["A", "B"], ["A", "B", "C", "D", "E"])
    >>> ax = grn.pl.heatmap(small, modules=2)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['2 genes: C, D', '1 gene: E']
    """
    check_number("modules", modules, 1, MOST_MODULES, "modules; more cannot be read in one figure")
    check_number("edges", edges, 1, 10**9, "edges of the chosen regulators")
    whole = drawable(adata_or_network, key, group)
    weights = _weights(whole, _chosen(whole, regulators), edges)
    means, sizes, names = _modules(weights, modules)
    labels = [_label(size, targets) for size, targets in zip(sizes, names, strict=True)]
    columns = [elide(str(name)) for name in means.columns]
    if ax is None:
        width = 1.6 + letters(labels, 8.5) + max(0.27 * len(columns), 3.0)
        ax = new_axes(width, 1.4 + letters(columns, 8.5) + 0.27 * max(len(labels), 5))
    _draw(ax, means.to_numpy(), whole.signed)
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8.5, parse_math=False)
    ax.set_yticks(range(len(labels)), labels, fontsize=8.5, parse_math=False)
    fit_title(ax, f"{int(sizes.sum()):,} targets of {len(columns)} regulators in {len(labels)} modules", group)
    return ax


def _chosen(network: GeneNetwork, regulators: int | Sequence[str]) -> list[str]:
    """Names of the regulators to be drawn."""
    table = network.regulator_table()
    strong = list(table.index[table["out_strength"] > 0])
    if isinstance(regulators, str):
        regulators = [regulators]
    if not isinstance(regulators, Sequence):
        check_number("regulators", regulators, 1, MOST_REGULATORS, "regulators; more cannot be read in one figure")
        return strong[:regulators]
    names = list(regulators)
    check_names(names, strong, "regulator", "the network's regulators with edges")
    check_number("len(regulators)", len(names), 1, MOST_REGULATORS, "regulators; more cannot be read in one figure")
    return names


def _weights(network: GeneNetwork, regulators: list[str], edges: int) -> pd.DataFrame:
    """Signed weights `(targets, regulators)` of the targets of the regulators' strongest edges."""
    mine = network.edges[network.edges["source"].isin(regulators)]
    targets = mine["target"].head(edges).unique()
    if len(targets) > MOST_TARGETS:
        raise InputError(
            f"The {min(edges, len(mine)):,} strongest edges have {len(targets):,} targets; modules can be made of "
            f"{MOST_TARGETS:,}. Give a smaller edges=."
        )
    kept = mine[mine["target"].isin(targets)]
    table = kept.pivot_table(index="target", columns="source", values="weight", aggfunc="sum", fill_value=0.0)
    # In an order that does not depend on ties between weights.
    return table.reindex(index=sorted(targets), columns=regulators, fill_value=0.0).astype(np.float64)


def _modules(weights: pd.DataFrame, modules: int) -> tuple[pd.DataFrame, np.ndarray, list[list[str]]]:
    """Mean weights `(modules, regulators)` in drawing order, sizes of the modules, their strongest targets."""
    from scipy.cluster.hierarchy import fcluster, linkage

    values = weights.to_numpy()
    number = np.ones(len(values), dtype=int)
    if len(values) > 1 and modules > 1:
        number = fcluster(linkage(values, method="ward"), t=modules, criterion="maxclust")
    means = weights.groupby(number).mean()
    means = means.iloc[_order(means.to_numpy()), _order(means.to_numpy().T)]
    strength = weights.abs().sum(axis=1)
    sizes, names = [], []
    for module in means.index:
        members = strength[number == module].sort_values(ascending=False, kind="stable")
        sizes.append(len(members))
        names.append([str(name) for name in members.index[: NAMED + 1]])
    return means, np.array(sizes), names


def _order(rows: np.ndarray) -> np.ndarray:
    """Order of rows in which neighbours are most alike, those with the largest sum at the beginning."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(rows) < 3:
        return np.argsort(-rows.sum(axis=1), kind="stable")
    order = leaves_list(linkage(rows, method="average", optimal_ordering=True))
    half = len(order) // 2
    return order if rows[order[:half]].sum() >= rows[order[-half:]].sum() else order[::-1]


def _label(size: int, names: list[str]) -> str:
    shown = ", ".join(elide(name, 18) for name in names[:NAMED])
    return f"{size:,} gene{'s' if size > 1 else ''}: {shown}{', …' if size > NAMED else ''}"


def _draw(ax: Axes, means: np.ndarray, signed: bool) -> None:
    """Draw the cells, their signs and the colour bar."""
    largest = max(float(np.abs(means).max()), 1e-30)
    image = ax.imshow(
        means,
        cmap=diverging() if signed else sequential(),
        vmin=-largest if signed else 0.0,
        vmax=largest,
        aspect="auto",
        interpolation="nearest",
    )
    ax.set_xticks(np.arange(-0.5, means.shape[1]), minor=True)
    ax.set_yticks(np.arange(-0.5, means.shape[0]), minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    if signed:
        ax.set_xlabel("+ activates, − represses", fontsize=8.5, loc="left")
        for row, column in zip(*np.nonzero(np.abs(means) >= FAINT * largest), strict=True):
            value = means[row, column]
            dark = abs(value) > 0.55 * largest
            ax.text(
                column,
                row,
                "+" if value > 0 else "−",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    figure = ax.get_figure(root=True)
    if figure is None:
        return
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=14, shrink=0.7)
    bar.set_label("mean weight", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]
