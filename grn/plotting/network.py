"""The figure of a network: its strongest edges, activation and repression told apart also in grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grn._errors import InputError
from grn.network.network import COLUMNS, GeneNetwork
from grn.network.slots import from_anndata
from grn.plotting.edges import BENDS, arrow_head, bar_head, course
from grn.plotting.layout import push_apart, unit_layout

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

MOST = 200  # edges; beyond them no label can be read
# Okabe and Ito's blue and vermilion: told apart with any colour vision. Line and head differ as well.
ACTIVATION, REPRESSION = "#0072B2", "#D55E00"
UNSIGNED = "#6B7785"
REGULATOR, TARGET = "#2B3A49", "#FFFFFF"
DASHES = (3.2, 1.8)  # in line widths
LONGEST = 230.0  # length of a short edge in a network of few genes, in points
LEGEND = 26.0  # height of the strip of the legend, in points


@dataclass(frozen=True)
class _Scale:
    """Sizes in points; the axes' data units are points, so that boxes of text can be reckoned with."""

    width: float  # of the axes
    font: float

    @property
    def head(self) -> float:
        return 0.95 * self.font


def network(
    adata_or_network: AnnData | GeneNetwork,
    *,
    key: str = "grn",
    top: int = 60,
    group: str | None = None,
    ax: Axes | None = None,
    seed: int = 0,
) -> Axes:
    """Draw the strongest edges of a network.

    Activation is a solid blue line with an arrow, repression a dashed orange line with a bar, an edge of a network
    without signs a grey line with an arrow; a line is the wider, the larger |weight|. Regulators (sources of an edge
    shown) are dark, other genes light.

    Parameters
    ----------
    adata_or_network
        An AnnData with a network, or a network.
    key
        Where the AnnData's network is.
    top
        How many edges to draw, at most 200; beyond about 60 the figure is hard to read.
    group
        The group of cells; without it a network with groups is drawn as the mean over groups.
    ax
        Where to draw; by default a new figure of 10 x 7.5 inches. The place of labels is made for the
        present size of the axes.
    seed
        Start of the layout: another seed arranges the same network in another way.

    Returns
    -------
    Axes
        The axes; their data units are points.

    Raises
    ------
    InputError
        If the network has no edges, or `top` is not between 1 and 200.

    Examples
    --------
    >>> import numpy as np, grn
    >>> from grn.network import GeneNetwork
    >>> small = GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"])
    >>> ax = grn.pl.network(small)
    """
    import networkx as nx

    whole = adata_or_network if isinstance(adata_or_network, GeneNetwork) else from_anndata(adata_or_network, key)
    whole = whole.ungrouped() if group is None else whole.of_group(group)
    if not 1 <= top <= MOST:
        raise InputError(f"top={top}: expected 1 to {MOST} edges; more cannot be read in one figure.")
    if not len(whole):
        raise InputError("The network has no edges, so there is nothing to draw.")
    edges = whole.top(top).edges
    graph = nx.Graph()
    graph.add_edges_from(zip(edges["source"], edges["target"], strict=True))
    ax = _new_axes() if ax is None else ax
    sources = set(edges["source"])
    width, height = _size_in_points(ax)
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()

    names = sorted(graph)
    layout = unit_layout(graph, aspect=width / max(height - LEGEND, 1.0), seed=seed)
    positions = np.array([layout[name] for name in names])
    centres, half, scale = _place(ax, names, sources, positions, width, height)
    _draw_labels(ax, names, sources, centres, scale)
    index = {name: i for i, name in enumerate(names)}
    pairs = set(zip(edges["source"], edges["target"], strict=True))
    strongest = float(edges["weight"].abs().max())
    for source, target, weight, sign in zip(*(edges[name] for name in COLUMNS), strict=True):
        # Two edges between the same genes bend to the same hand, which is to different sides.
        bends = tuple(b for b in BENDS if b > 0) if (target, source) in pairs else BENDS
        line = course(index[source], index[target], centres, half, bends, gap=0.15 * scale.font)
        _draw_edge(ax, line, sign, 0.7 + 2.0 * abs(weight) / strongest, scale.head)
    _draw_legend(ax, scale, signed=whole.signed)
    shown = (
        f"The {len(edges):,} strongest of {len(whole):,} edges"
        if len(edges) < len(whole)
        else f"All {len(edges):,} edges"
    )
    ax.set_title(shown if group is None else f"{shown}: {group}", loc="left", fontsize=12)
    return ax


def _new_axes() -> Axes:
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(10, 7.5), facecolor="white")
    return figure.add_axes((0.015, 0.015, 0.97, 0.93))


def _size_in_points(ax: Axes) -> tuple[float, float]:
    box = ax.get_window_extent()
    points = _points_per_pixel(ax)
    return box.width * points, box.height * points


def _points_per_pixel(ax: Axes) -> float:
    figure = ax.get_figure(root=True)
    return 72.0 / figure.dpi if figure is not None else 1.0


def _place(
    ax: Axes, names: list[str], sources: set[str], positions: np.ndarray, width: float, height: float
) -> tuple[np.ndarray, np.ndarray, _Scale]:
    """Middles and half sizes `(nodes, 2)` of the labels, in points, with the largest font that fits."""
    low, high = np.array([0.0, LEGEND]), np.array([width, height])
    at_ten = _text_sizes(ax, names, sources)
    centres = half = positions
    for font in (9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0, 4.5, 4.0):
        half = at_ten * font / 10 / 2 + 0.3 * font
        room = half + np.array([0.9, 0.45]) * font  # heads of edges need a place between the labels
        centres, apart = push_apart(_fill(positions, room, low, high), room, low, high)
        if apart:
            break
    return centres, half, _Scale(width, font)


def _fill(positions: np.ndarray, room: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Stretch a layout over the canvas, but neither side 1.7 times more than the other, nor `LONGEST`."""
    extent = np.maximum(np.ptp(positions, axis=0), 1e-6)
    scale = np.minimum((high - low - 2 * room.max(axis=0)) / extent, LONGEST)
    scale = np.minimum(scale, 1.7 * scale.min())
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    return (positions - middle) * scale + (low + high) / 2


def _text_sizes(ax: Axes, names: list[str], sources: set[str]) -> np.ndarray:
    """Widths and heights `(nodes, 2)` of the labels in points, at a font of 10 points."""
    points = _points_per_pixel(ax)
    sizes = []
    for name in names:
        text = ax.text(0, 0, name, fontsize=10, fontweight="bold" if name in sources else "normal", parse_math=False)
        box = text.get_window_extent()
        sizes.append((box.width * points, box.height * points))
        text.remove()
    return np.array(sizes)


def _draw_labels(ax: Axes, names: list[str], sources: set[str], centres: np.ndarray, scale: _Scale) -> None:
    for name, (x, y) in zip(names, centres, strict=True):
        _draw_label(ax, name, x, y, name in sources, scale.font)


def _draw_label(ax: Axes, name: str, x: float, y: float, regulator: bool, font: float) -> None:
    ax.text(
        x,
        y,
        name,
        fontsize=font,
        fontweight="bold" if regulator else "normal",
        color="white" if regulator else "black",
        ha="center",
        va="center",
        zorder=3,
        parse_math=False,
        bbox={
            "boxstyle": "round,pad=0.3,rounding_size=0.35",
            "facecolor": REGULATOR if regulator else TARGET,
            "edgecolor": REGULATOR if regulator else "#9AA5B1",
            "linewidth": 0.8,
        },
    )


def _draw_edge(ax: Axes, line: np.ndarray, sign: int, width: float, head: float) -> None:
    from matplotlib.patches import Polygon

    head = head * (0.75 + 0.18 * width)
    colour = {1: ACTIVATION, -1: REPRESSION, 0: UNSIGNED}[sign]
    dashes: dict[str, Any] = {"dashes": DASHES} if sign < 0 else {}
    # A solid line stops inside its arrow, or its blunt end would show beyond the tip.
    body = line
    if sign >= 0:
        far = np.linalg.norm(line - line[-1], axis=1) > 0.7 * head
        body = line[far] if far.sum() >= 2 else line[:2]
    ax.plot(*body.T, color=colour, linewidth=width, zorder=1, solid_capstyle="butt", **dashes)
    if sign >= 0:
        ax.add_patch(Polygon(arrow_head(line, head), closed=True, color=colour, linewidth=0, zorder=2))
    else:
        ax.plot(*bar_head(line, head).T, color=colour, linewidth=max(1.6, width), zorder=2, solid_capstyle="butt")


def _draw_legend(ax: Axes, scale: _Scale, *, signed: bool) -> None:
    """One row below the network, drawn with the same strokes; as wide as five of its entries need."""
    font = min(9.0, scale.width / 62)
    y = LEGEND / 2 - 2
    x = 0.6 * font
    for name, regulator in (("TF", True), ("GENE", False)):
        _draw_label(ax, name, x + 1.5 * font, y, regulator, 0.85 * font)
        x = _legend_words(ax, "regulator" if regulator else "target", x + 3.6 * font, y, font)
    for words, sign in (("activates", 1), ("represses", -1)) if signed else (("regulates", 0),):
        line = np.column_stack([np.linspace(x, x + 4 * font, 40), np.full(40, y)])
        _draw_edge(ax, line, sign, 1.6, 0.95 * font)
        x = _legend_words(ax, words, x + 4.8 * font, y, font)
    _legend_words(ax, "width: |weight|", x, y, font)


def _legend_words(ax: Axes, words: str, x: float, y: float, font: float) -> float:
    """Write words of the legend; returns where the next entry starts."""
    ax.text(x, y, words, fontsize=font, va="center", ha="left", zorder=3)
    return x + 0.55 * font * len(words) + 2.0 * font
