"""Where the nodes of a drawn network go: components laid out, packed side by side, labels pushed apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

GAP = 0.9  # between components, in lengths of a short edge


def unit_layout(graph: nx.Graph, aspect: float, seed: int) -> dict[str, np.ndarray]:
    """Positions of the nodes: edges about 1 long, or more at a hub; width / height is about `aspect`.

    Each connected component is laid out by Kamada and Kawai's springs (1989, Information Processing Letters
    31:7), which start from a seeded force layout, and turned so that its long side is horizontal.
    """
    import networkx as nx

    parts = [_component(graph.subgraph(nodes), seed) for nodes in nx.connected_components(graph)]
    # Large ones first; equal ones by name, because sets of names have no order.
    parts.sort(key=lambda part: (-len(part), min(part)))
    sizes = np.array([np.ptp(list(part.values()), axis=0) + GAP for part in parts])
    corners = _pack(sizes, aspect)
    positions = {}
    for part, corner in zip(parts, corners, strict=True):
        low = np.min(list(part.values()), axis=0)
        positions.update({node: place - low + corner for node, place in part.items()})
    return positions


def _component(graph: nx.Graph, seed: int) -> dict[str, np.ndarray]:
    import networkx as nx

    graph = _sorted_copy(graph)
    nodes = list(graph)
    if len(nodes) <= 2:
        return {node: np.array([float(i), 0.0]) for i, node in enumerate(nodes)}
    start = nx.spring_layout(graph, seed=seed)
    springs = nx.kamada_kawai_layout(graph, pos=start, weight="length")
    points = np.array([springs[node] for node in nodes])
    points -= points.mean(axis=0)
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    points = points @ axes.T
    index = {node: i for i, node in enumerate(nodes)}
    ends = np.array([(index[a], index[b]) for a, b in graph.edges])
    length = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1).mean()
    wanted = np.mean([value for _, _, value in graph.edges(data="length")])
    points *= wanted / max(length, 1e-9)
    return dict(zip(nodes, points, strict=True))


def _sorted_copy(graph: nx.Graph) -> nx.Graph:
    """The same graph in the order of names, so that graph and seed decide the layout; edges get a length."""
    import networkx as nx

    ordered = nx.Graph()
    ordered.add_nodes_from(sorted(graph))
    ordered.add_edges_from(sorted(tuple(sorted(edge)) for edge in graph.edges))
    for a, b in ordered.edges:
        # Fifty targets of one hub need a circle that has room for fifty labels.
        ordered.edges[a, b]["length"] = max(1.0, 0.4 * np.sqrt(max(ordered.degree(a), ordered.degree(b))))
    return ordered


def _pack(sizes: np.ndarray, aspect: float) -> np.ndarray:
    """Lower left corners of boxes `(boxes, 2)`, on shelves of the width that wastes the least canvas."""
    area = float(np.prod(sizes, axis=1).sum())
    widths = np.maximum(sizes[:, 0].max(), np.sqrt(area * aspect) * np.linspace(0.7, 2.0, 27))
    best, best_loss = np.zeros_like(sizes), np.inf
    for width in widths:
        corners = _shelves(sizes, float(width))
        outline = (corners + sizes).max(axis=0)
        # The scale is set by the tighter side: keep the outline small in units of the canvas.
        loss = max(outline[0] / aspect, outline[1])
        if loss < best_loss:
            best, best_loss = corners, loss
    return best


def _shelves(sizes: np.ndarray, width: float) -> np.ndarray:
    """Boxes in shelves of `width`; small ones are stacked in columns within the height of their shelf."""
    corners = np.zeros_like(sizes)
    shelf_y = shelf_height = column_x = column_width = column_y = 0.0
    for i, (w, h) in enumerate(sizes):
        if not (column_y + h <= shelf_height + 1e-9 and w <= column_width + 1e-9):
            column_x, column_y, column_width = column_x + column_width, 0.0, w
            if column_x + w > width + 1e-9:
                shelf_y, column_x = shelf_y + shelf_height, 0.0
                shelf_height = h
            shelf_height = max(shelf_height, h)
        corners[i] = column_x, shelf_y + column_y
        column_y += h
    return corners


def push_apart(centres: np.ndarray, half: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, bool]:
    """Move boxes as little as is simple, until none overlap and all lie within the canvas.

    Parameters
    ----------
    centres, half
        `(boxes, 2)`: middles, and half widths and heights with the distance to be kept.
    low, high
        `(2,)`: corners of the canvas.

    Returns
    -------
    centres, apart
        The new middles, and whether all overlaps could be removed.
    """
    centres = np.clip(centres, low + half, high - half)
    reach = half[:, None, :] + half[None, :, :]
    upper = np.triu(np.ones((len(half), len(half)), dtype=bool), k=1)
    for _ in range(600):
        apart = centres[:, None, :] - centres[None, :, :]
        overlap = reach - np.abs(apart)
        touching = upper & (overlap > 1e-6).all(axis=2)
        if not touching.any():
            return centres, True
        first, second = np.nonzero(touching)
        depth = overlap[first, second]
        axis = np.argmin(depth, axis=1)
        rows = np.arange(len(first))
        direction = np.where(apart[first, second][rows, axis] >= 0, 1.0, -1.0)
        step = np.zeros_like(depth)
        # A little too far, or a crowd would spread ever more slowly.
        step[rows, axis] = 0.5 * direction * (depth[rows, axis] + 1.0)
        move = np.zeros_like(centres)
        np.add.at(move, first, step)
        np.add.at(move, second, -step)
        centres = np.clip(centres + move, low + half, high - half)
    return centres, False
