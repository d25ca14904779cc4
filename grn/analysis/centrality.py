"""Centralities: which genes hold a network together, by networkx on |weight|."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grn.network.network import GeneNetwork

DAMPING = 0.85


def centrality(network: GeneNetwork, *, top: int | None = 1000, group: str | None = None) -> pd.DataFrame:
    r"""Centralities of the genes among the strongest edges of a network.

    Signs play no part: a strong repressor is as central as a strong activator.

    Parameters
    ----------
    network
        The network.
    top
        Only this many strongest edges count; None for all. A trained network has an edge for nearly every pair, in
        which all degrees are equal and every path is one step.
    group
        The network of this group of cells; without it, a network with groups gives the mean over its groups.

    Returns
    -------
    DataFrame
        Indexed by gene, for the n genes that have one of these edges, highest `pagerank` first:

        - `out_degree`, `in_degree`: numbers of targets and of regulators
        - `out_strength`, `in_strength`: sums of abs(weight) over them
        - `pagerank`: of a walk **against** the edges, from a target to one of its regulators, drawn in proportion to
          abs(weight); with probability 0.15, and always at a gene without regulators, it starts anew at any gene. So
          a gene ranks high that regulates much, above all if what it regulates is itself a strong regulator. Sums
          to 1 (Page et al. 1999, with edges reversed).
        - `betweenness`: share of the shortest paths between two other genes that pass through the gene, over the
          (n - 1)(n - 2) ordered pairs (Freeman 1977; Brandes 2001)
        - `harmonic`: mean over the other genes of 1 / (length of the shortest path to them), 0 for those out of reach
          (Marchiori & Latora 2000), so that genes in separate parts of the network need no special treatment. With the
          lengths below it lies between 0 and 1.

        An edge has the length max(abs(weight)) / abs(weight): positive, the shorter the stronger, 1 for the strongest
        edge, and the same whatever unit the weights are in (Newman 2001). A logarithm would need weights that are
        probabilities, and would give the strongest edge no length.

    Raises
    ------
    InputError
        For an unknown group, or `top` below 1.

    Notes
    -----
    Kleinberg's hubs and authorities are left out: in a network of several parts, all of the score goes to one of them.

    Examples
    --------
    >>> from grn.network import GeneNetwork
    >>> network = GeneNetwork.from_matrix([[0.0, 0.9, -0.3], [0.0, 0.0, 0.6]], ["A", "B"], ["A", "B", "C"])
    >>> centrality(network)[["out_degree", "in_degree"]].T.to_dict("list")
    {'A': [2, 0], 'B': [1, 1], 'C': [0, 2]}
    """
    import networkx as nx

    chosen = network.ungrouped() if group is None else network.of_group(group)
    if top is not None:
        chosen = chosen.top(top)
    edges = chosen.edges
    genes = pd.Index(pd.unique(pd.concat([edges["source"], edges["target"]])), dtype=object, name="gene")
    strength = edges["weight"].abs().astype(np.float64)
    table = pd.DataFrame(index=genes)
    for direction, column in (("out", "source"), ("in", "target")):
        table[f"{direction}_degree"] = edges[column].value_counts().reindex(genes, fill_value=0).astype(np.int64)
    for direction, column in (("out", "source"), ("in", "target")):
        table[f"{direction}_strength"] = strength.groupby(edges[column]).sum().reindex(genes, fill_value=0.0)
    graph = nx.DiGraph()
    graph.add_nodes_from(genes)
    length = strength.max() / strength if len(edges) else strength
    for source, target, weight, distance in zip(edges["source"], edges["target"], strength, length, strict=True):
        # Reversed, from target to regulator: what the walk needs, and what networkx's harmonic centrality needs,
        # which follows paths into a gene. Betweenness is the same in both directions.
        graph.add_edge(target, source, weight=weight, distance=distance)
    n = len(genes)
    table["pagerank"] = pd.Series(_pagerank(graph), dtype=np.float64).reindex(genes)
    table["betweenness"] = pd.Series(nx.betweenness_centrality(graph, weight="distance"), dtype=np.float64)
    harmonic = pd.Series(nx.harmonic_centrality(graph, distance="distance"), dtype=np.float64)
    table["harmonic"] = harmonic.reindex(genes) / max(n - 1, 1)
    return table.sort_values("pagerank", ascending=False, kind="stable")


def _pagerank(graph: Any) -> dict[str, float]:
    import networkx as nx

    return nx.pagerank(graph, alpha=DAMPING, weight="weight", tol=1e-10, max_iter=1000) if len(graph) else {}
