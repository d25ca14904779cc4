"""The figure of a network: its strongest edges, activation and repression told apart also in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grn._errors import InputError
from grn.network.network import GeneNetwork
from grn.plotting.canvas import ACTIVATES, REGULATES, REPRESSES, draw_graph, draw_legend, new_canvas
from grn.plotting.inputs import read_network
from grn.plotting.style import ACTIVATION, REPRESSION, UNSIGNED, fit_title

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

__all__ = ["ACTIVATION", "MOST", "REPRESSION", "UNSIGNED", "network"]

MOST = 200  # edges; beyond them no label can be read


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
    whole = read_network(adata_or_network, key)
    whole = whole.ungrouped() if group is None else whole.of_group(group)
    if not 1 <= top <= MOST:
        raise InputError(f"top={top}: expected 1 to {MOST} edges; more cannot be read in one figure.")
    if not len(whole):
        raise InputError("The network has no edges, so there is nothing to draw.")
    edges = whole.top(top).edges
    strokes = {1: ACTIVATES, -1: REPRESSES, 0: REGULATES}
    ax = new_canvas() if ax is None else ax
    scale = draw_graph(ax, edges, [strokes[sign] for sign in edges["sign"]], edges["weight"].abs().to_numpy(), seed)
    signed = [("activates", ACTIVATES), ("represses", REPRESSES)]
    draw_legend(ax, scale, signed if whole.signed else [("regulates", REGULATES)], ["width: |weight|"])
    shown = (
        f"The {len(edges):,} strongest of {len(whole):,} edges"
        if len(edges) < len(whole)
        else f"All {len(edges):,} edges"
    )
    fit_title(ax, shown, group)
    return ax
