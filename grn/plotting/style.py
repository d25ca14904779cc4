"""What all figures share: colours of Okabe and Ito, inks, and the making of axes.

Okabe and Ito's colours are told apart with any colour vision. Nothing rests on colour alone: dash, hatch, shape or a
printed sign says the same in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grn._errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
ACTIVATION, REPRESSION, UNSIGNED = BLUE, VERMILION, "#6B7785"
INK, GRID = "#2B3A49", "#DDDDDD"
HATCH = "////"  # of bars of repression, beside their colour
# Curves of several networks: the dash repeats no earlier than the colour does.
CURVES: tuple[tuple[str, str | tuple[int, tuple[float, ...]]], ...] = (
    (BLUE, "-"),
    (VERMILION, (0, (5, 1.6))),
    (GREEN, (0, (1, 1.2))),
    (BLACK, (0, (6, 1.5, 1, 1.5))),
    (PURPLE, (0, (9, 2))),
    (ORANGE, (0, (3, 1.2, 1, 1.2, 1, 1.2))),
    (SKY, (0, (2.5, 2.5))),
    (UNSIGNED, (0, (10, 1.5, 2, 1.5))),
)


def new_axes(width: float, height: float) -> Axes:
    """Axes of a new figure of `width` x `height` inches, laid out so that no label is cut."""
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(width, height), facecolor="white", layout="constrained").add_subplot()


def tidy(ax: Axes, grid: str | None = None) -> None:
    """Leave out the frame's upper and right side; `grid` is "x", "y" or "both"."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    if grid == "both":
        ax.grid(color=GRID, linewidth=0.7)
    elif grid == "x":
        ax.grid(axis="x", color=GRID, linewidth=0.7)
    elif grid == "y":
        ax.grid(axis="y", color=GRID, linewidth=0.7)


def diverging() -> Colormap:
    """Vermilion for repression over white to blue for activation, equally dark at both ends."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("grn", ["#8A3A00", REPRESSION, "#FFFFFF", "#3E97CC", "#00456E"])


def sequential() -> Colormap:
    """White to dark, for networks without signs."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("grn_unsigned", ["#FFFFFF", "#9AA5B1", INK])


def growing() -> Colormap:
    """Light grey to dark blue: of points, where nothing must be seen too."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("grn_growing", ["#DDE1E6", SKY, BLUE, "#00263D"])


def points_per_pixel(ax: Axes) -> float:
    """Size of a pixel of the axes' figure in points."""
    figure = ax.get_figure(root=True)
    return 72.0 / figure.dpi if figure is not None else 1.0


def fit_title(ax: Axes, words: str, rest: str | None = None, *, pad: float | None = None) -> None:
    """Title "words: rest" on the left, no wider than the axes: else smaller, in two lines, with a part left out."""
    figure = ax.get_figure(root=True)
    if figure is not None and figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # decides the width of the axes
    room = max(ax.get_window_extent().width, 1.0)

    def excess(text: str, size: float) -> float:
        title = ax.set_title(text, loc="left", fontsize=size, pad=pad, parse_math=False)
        return title.get_window_extent().width / room

    words, rest = one_line(words), None if rest is None else one_line(rest)
    above, last = ("", words) if rest is None else (f"{words}\n", rest)
    whole = words if rest is None else f"{words}: {rest}"
    for text, size in [(whole, 12), (whole, 11), (whole, 10), (whole, 9), (above + last, 9), (above + last, 8)]:
        if excess(text, size) <= 1:
            return
    share = 1.0
    while (over := excess(above + elide(last, max(12, int(share * len(last)))), 8)) > 1 and share > 0.05:
        share *= 0.97 / over


def one_line(name: str) -> str:
    """A name as one line of text; what steers a terminal or turns the reading order is written out."""
    return printable(name).replace("\n", "\\n").replace("\t", "\\t")


def elide(name: str, most: int = 28) -> str:
    """A name as a label: of one longer than `most` letters the end and two thirds of the beginning."""
    name = one_line(name)
    tail = (most - 1) // 3
    return name if len(name) <= most else f"{name[: most - 1 - tail]}…{name[-tail:]}"


def letters(names: Sequence[str], font: float) -> float:
    """About how wide the longest of the names is in inches, generously, for the size of a new figure."""
    return 0.0092 * font * max((len(name) for name in names), default=0)
