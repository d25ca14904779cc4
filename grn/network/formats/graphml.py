"""GraphML through networkx, for Gephi, Cytoscape and igraph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from grn._errors import InputError
from grn.network.formats.checks import broken, refuse_many, refuse_names, written_numbers
from grn.network.metadata import CONVENTION, dump_params, version

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

LIMIT = 200_000
# XML 1.0 knows no other control letters than tab and line end, and reads a carriage return as a line end.
_NO_XML = r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


def write(network: GeneNetwork, path: Path) -> None:
    """Write the genes that have an edge as nodes, and the edges with all their columns.

    Raises
    ------
    InputError
        For more than 200,000 edges: programs that read GraphML hold the whole text in memory.
    """
    import networkx as nx

    refuse_names([*network.genes, *network.groups], "GraphML", _NO_XML, "parquet, tsv or csv")
    refuse_many(network, "GraphML", LIMIT)
    graph: Any = nx.MultiDiGraph() if network.groups else nx.DiGraph()
    graph.graph.update(convention=CONVENTION, version=version(), params=dump_params(network.params))
    edges = network.edges
    used = network.genes[network.genes.isin(edges["source"]) | network.genes.isin(edges["target"])]
    for gene, is_tf in zip(used, used.isin(network.regulators), strict=True):
        graph.add_node(gene, is_tf=bool(is_tf))
    columns = written_numbers(edges)
    if network.groups:
        columns["group"] = edges["group"].tolist()
    for source, target, *values in zip(edges["source"], edges["target"], *columns.values(), strict=True):
        graph.add_edge(source, target, **dict(zip(columns, values, strict=True)))
    nx.write_graphml(graph, path)


def read(path: Path) -> GeneNetwork:
    """Read a directed GraphML file whose edges have a weight."""
    import networkx as nx
    import pandas as pd

    from grn.network.network import GeneNetwork

    try:
        graph = nx.read_graphml(path)
    except (ParseError, nx.NetworkXError, KeyError, ValueError, OSError) as error:
        raise broken(path, "GraphML", error) from error
    if not graph.is_directed():
        raise InputError(f"The graph in {path} has no directions; a network needs edges source -> target.")
    rows = [{"source": source, "target": target, **data} for source, target, data in graph.edges(data=True)]
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["source", "target", "weight"])
    flags = graph.nodes(data="is_tf")
    return GeneNetwork.from_edges(
        table.drop(columns="id", errors="ignore"),
        genes=list(graph),
        regulators=[gene for gene, is_tf in flags if is_tf] or None,
        params=json.loads(graph.graph.get("params", "{}")),
    )
