"""The course of a drawn edge between two label boxes, and its head."""

from __future__ import annotations

import numpy as np

BENDS = (0.0, 0.12, -0.12, 0.24, -0.24, 0.36, -0.36)


def curve(start: np.ndarray, end: np.ndarray, bend: float, points: int = 80) -> np.ndarray:
    """Quadratic curve `(points, 2)` whose middle lies `bend` / 2 of its length beside the straight line."""
    t = np.linspace(0.0, 1.0, points)[:, None]
    along = end - start
    middle = (start + end) / 2 + bend * np.array([-along[1], along[0]])
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


def inside(points: np.ndarray, centres: np.ndarray, half: np.ndarray) -> np.ndarray:
    """`(points, boxes)`: which of the points lie in which of the boxes."""
    return (np.abs(points[:, None, :] - centres[None]) < half[None]).all(axis=2)


def course(
    source: int, target: int, centres: np.ndarray, half: np.ndarray, bends: tuple[float, ...], gap: float
) -> np.ndarray:
    """The edge's line `(points, 2)` from the border of one box to the border of another.

    Of the `bends` the one that hides behind the fewest other boxes is taken, the earlier one if equal.
    The line ends `gap` before the target's border.
    """
    best, fewest = np.zeros((0, 2)), np.inf
    others = np.ones(len(centres), dtype=bool)
    others[[source, target]] = False
    for bend in bends:
        line = curve(centres[source], centres[target], bend)
        hidden = inside(line, centres[others], half[others]).any(axis=0).sum()
        if hidden < fewest:
            best, fewest = line, hidden
    out = ~inside(best, centres[[source]], half[[source]])[:, 0]
    out &= ~inside(best, centres[[target]], half[[target]] + gap)[:, 0]
    kept = best[out]
    # Boxes that touch leave no room between them: a line from middle to middle is then better than none.
    return kept if len(kept) >= 3 else best


def arrow_head(line: np.ndarray, size: float) -> np.ndarray:
    """Triangle `(3, 2)` whose tip is at the end of `line`."""
    along, across = _directions(line)
    base = line[-1] - size * along
    return np.array([line[-1], base + 0.42 * size * across, base - 0.42 * size * across])


def bar_head(line: np.ndarray, size: float) -> np.ndarray:
    """Bar `(2, 2)` across the end of `line`."""
    _, across = _directions(line)
    return np.array([line[-1] + 0.55 * size * across, line[-1] - 0.55 * size * across])


def _directions(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    along = line[-1] - line[max(0, len(line) - 4)]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    return along, np.array([-along[1], along[0]])
