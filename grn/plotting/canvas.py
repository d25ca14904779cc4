"""The pieces of a drawn network: labels that keep apart, edges with heads, the strip of the legend.

The axes' data units are points, so that boxes of text can be reckoned with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn.plotting.edges import BENDS, arrow_head, bar_head, course
from grn.plotting.layout import push_apart, unit_layout
from grn.plotting.style import ACTIVATION, INK, REPRESSION, UNSIGNED, one_line, points_per_pixel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGULATOR, TARGET = INK, "#FFFFFF"
LONGEST = 230.0  # length of a short edge in a network of few genes, in points
LEGEND = 26.0  # height of the strip of the legend, in points
SMALL = 6.5  # font of a legend, in points, below which it is set in two rows


@dataclass(frozen=True)
class Stroke:
    """How an edge is drawn: `dashes` in line widths, none for a solid line; the head a bar or an arrow."""

    colour: str
    dashes: tuple[float, ...] | None = None
    bar: bool = False


ACTIVATES = Stroke(ACTIVATION)
REPRESSES = Stroke(REPRESSION, (3.2, 1.8), bar=True)
REGULATES = Stroke(UNSIGNED)


@dataclass(frozen=True)
class Scale:
    """Sizes in points."""

    width: float  # of the axes
    font: float

    @property
    def head(self) -> float:
        """Length of an arrow's head."""
        return 0.95 * self.font


def new_canvas() -> Axes:
    """Axes that fill a new figure of 10 x 7.5 inches, but for the title."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(10, 7.5), facecolor="white")
    return figure.add_axes((0.015, 0.015, 0.97, 0.93))


def draw_graph(ax: Axes, edges: pd.DataFrame, strokes: Sequence[Stroke], strength: np.ndarray, seed: int) -> Scale:
    """Draw genes as labels and edges as lines between them.

    Parameters
    ----------
    ax
        Where; its present size decides the places.
    edges
        Columns `source` and `target`.
    strokes
        One per edge.
    strength
        `(edges,)`, not negative: the larger, the wider the line.
    seed
        Start of the layout.

    Returns
    -------
    Scale
        What the legend needs.
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_edges_from(zip(edges["source"], edges["target"], strict=True))
    sources = set(edges["source"])
    width, height = _size_in_points(ax)
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    names = sorted(graph)
    layout = unit_layout(graph, aspect=width / max(height - LEGEND, 1.0), seed=seed)
    positions = np.array([layout[name] for name in names])
    centres, half, scale = _place(ax, names, sources, positions, width, height)
    for name, (x, y) in zip(names, centres, strict=True):
        _draw_label(ax, name, x, y, name in sources, scale.font)
    index = {name: i for i, name in enumerate(names)}
    pairs = set(zip(edges["source"], edges["target"], strict=True))
    strongest = max(float(np.max(strength)), 1e-30)
    for source, target, stroke, value in zip(edges["source"], edges["target"], strokes, strength, strict=True):
        # Two edges between the same genes bend to the same hand, which is to different sides.
        bends = tuple(b for b in BENDS if b > 0) if (target, source) in pairs else BENDS
        line = course(index[source], index[target], centres, half, bends, gap=0.15 * scale.font)
        _draw_edge(ax, line, stroke, 0.7 + 2.0 * float(value) / strongest, scale.head)
    return scale


def draw_legend(ax: Axes, scale: Scale, entries: Sequence[tuple[str, Stroke]], words: Sequence[str]) -> None:
    """Legend below the network, drawn with the same strokes, then `words`; in narrow axes it has two rows."""
    items: list[tuple[str, Stroke | bool | None]] = [("regulator", True), ("target", False), *entries]
    items += [(text, None) for text in words]
    length = np.cumsum([_length(*item) for item in items])
    font = min(9.0, scale.width / (1.12 * length[-1]))
    rows, heights = [items], [LEGEND / 2 - 2]
    if font < SMALL:
        longest = np.maximum(length, length[-1] - length)  # of the two rows, by the last entry of the first
        first = int(np.argmin(longest)) + 1
        font = min(7.5, scale.width / (1.12 * longest[first - 1]))
        rows, heights = [items[:first], items[first:]], [0.72 * LEGEND, 0.2 * LEGEND]
    for row, y in zip(rows, heights, strict=True):
        x = 0.6 * font
        for text, stroke in row:
            if isinstance(stroke, Stroke):
                line = np.column_stack([np.linspace(x, x + 4 * font, 40), np.full(40, y)])
                _draw_edge(ax, line, stroke, 1.6, 0.95 * font)
            elif stroke is not None:
                _draw_label(ax, "TF" if stroke else "GENE", x + 1.5 * font, y, stroke, 0.85 * font)
            ax.text(x + font * _sample(stroke), y, text, fontsize=font, va="center", ha="left", zorder=3)
            x += font * _length(text, stroke)


def _sample(stroke: Stroke | bool | None) -> float:
    """Width of what stands before the words of a legend's entry, in sizes of their font."""
    if stroke is None:
        return 0.0
    return 4.8 if isinstance(stroke, Stroke) else 3.6


def _length(words: str, stroke: Stroke | bool | None) -> float:
    """Width of an entry and the gap behind it, in sizes of its font."""
    return _sample(stroke) + 0.55 * len(words) + 2.0


def _size_in_points(ax: Axes) -> tuple[float, float]:
    box = ax.get_window_extent()
    points = points_per_pixel(ax)
    return box.width * points, box.height * points


def _place(
    ax: Axes, names: list[str], sources: set[str], positions: np.ndarray, width: float, height: float
) -> tuple[np.ndarray, np.ndarray, Scale]:
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
    return centres, half, Scale(width, font)


def _fill(positions: np.ndarray, room: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Stretch a layout over the canvas, but neither side 1.7 times more than the other, nor `LONGEST`."""
    extent = np.maximum(np.ptp(positions, axis=0), 1e-6)
    scale = np.minimum((high - low - 2 * room.max(axis=0)) / extent, LONGEST)
    scale = np.minimum(scale, 1.7 * scale.min())
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    return (positions - middle) * scale + (low + high) / 2


def _text_sizes(ax: Axes, names: list[str], sources: set[str]) -> np.ndarray:
    """Widths and heights `(nodes, 2)` of the labels in points, at a font of 10 points."""
    points = points_per_pixel(ax)
    sizes = []
    for name in names:
        text = ax.text(
            0, 0, one_line(name), fontsize=10, fontweight="bold" if name in sources else "normal", parse_math=False
        )
        box = text.get_window_extent()
        sizes.append((box.width * points, box.height * points))
        text.remove()
    return np.array(sizes)


def _draw_label(ax: Axes, name: str, x: float, y: float, regulator: bool, font: float) -> None:
    ax.text(
        x,
        y,
        one_line(name),
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


def _draw_edge(ax: Axes, line: np.ndarray, stroke: Stroke, width: float, head: float) -> None:
    from matplotlib.patches import Polygon

    head = head * (0.75 + 0.18 * width)
    dashes: dict[str, Any] = {"dashes": stroke.dashes} if stroke.dashes else {}
    # A line stops inside its arrow, or its blunt end would show beyond the tip.
    body = line
    if not stroke.bar:
        far = np.linalg.norm(line - line[-1], axis=1) > 0.7 * head
        body = line[far] if far.sum() >= 2 else line[:2]
    ax.plot(*body.T, color=stroke.colour, linewidth=width, zorder=1, solid_capstyle="butt", **dashes)
    if not stroke.bar:
        ax.add_patch(Polygon(arrow_head(line, head), closed=True, color=stroke.colour, linewidth=0, zorder=2))
    else:
        bar = bar_head(line, head).T
        ax.plot(*bar, color=stroke.colour, linewidth=max(1.6, width), zorder=2, solid_capstyle="butt")
