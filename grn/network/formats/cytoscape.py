"""The JSON of Cytoscape.js, which Cytoscape imports as well (.cyjs) and networkx reads with `cytoscape_graph`.

Notable choices: a gene is a node whose `id`, `name` and (for networkx) `value` are the gene's name; the ids of edges
are numbers after a word that begins no gene's name, because ids are unique over nodes and edges together; edges of
several groups differ in `group`, which is also their `key` for networkx.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError
from grn.network.formats.checks import broken, refuse_many, written_numbers
from grn.network.formats.sif import WORDS
from grn.network.metadata import CONVENTION, dump_params, version
from grn.network.table import EVIDENCE

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

LIMIT = 200_000
KEPT = ("weight", "sign", *EVIDENCE, "group")


def write(network: GeneNetwork, path: Path) -> None:
    """Write the genes that have an edge as nodes, and the edges with all their columns and their `interaction`.

    Raises
    ------
    InputError
        For more than 200,000 edges: what reads this JSON holds all of it in memory.
    """
    refuse_many(network, "Cytoscape.js JSON", LIMIT)
    edges = network.edges
    used = network.genes[network.genes.isin(edges["source"]) | network.genes.isin(edges["target"])]
    nodes = [
        {"data": {"id": gene, "name": gene, "value": gene, "is_tf": bool(is_tf)}}
        for gene, is_tf in zip(used, used.isin(network.regulators), strict=True)
    ]
    word = "edge"
    while any(gene.startswith(word) for gene in used):
        word = f"_{word}"
    columns = {
        "id": [f"{word}{number}" for number in range(len(edges))],
        "source": edges["source"].tolist(),
        "target": edges["target"].tolist(),
        "interaction": edges["sign"].map(WORDS).tolist(),
        **written_numbers(edges),
    }
    if network.groups:
        columns["group"] = columns["key"] = edges["group"].tolist()
    about = {"name": "grn", "convention": CONVENTION, "version": version(), "params": dump_params(network.params)}
    graph = {
        "data": about,
        "directed": True,
        "multigraph": bool(network.groups),
        "elements": {
            "nodes": nodes,
            "edges": [{"data": dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)],
        },
    }
    path.write_text(json.dumps(graph, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read(path: Path) -> GeneNetwork:
    """Read a directed graph whose edges have a weight; genes are the `name` of nodes, or else their `id`."""
    import pandas as pd

    from grn.network.network import GeneNetwork

    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise broken(path, "Cytoscape.js JSON", error) from error
    if isinstance(graph, dict) and graph.get("directed") is False:
        raise InputError(f"The graph in {path} has no directions; a network needs edges source -> target.")
    try:
        nodes, edges = _elements(graph)
        names = {str(node["id"]): str(node.get("name", node["id"])) for node in nodes}
        ends = [(names[str(edge["source"])], names[str(edge["target"])]) for edge in edges]
        params = json.loads(dict(graph.get("data", {})).get("params", "{}"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is JSON, but no graph of Cytoscape.js: expected elements.nodes whose data have an id and "
            f"elements.edges whose data name two of them as source and target ({type(error).__name__}: {error})."
        ) from error
    table = pd.DataFrame(ends, columns=["source", "target"])
    for column in KEPT:
        if column == "weight" or any(column in edge for edge in edges):
            table[column] = pd.Series([edge.get(column) for edge in edges], dtype=object)
    regulators = [names[str(node["id"])] for node in nodes if node.get("is_tf") is True]
    return GeneNetwork.from_edges(table, genes=names.values(), regulators=regulators or None, params=params)


def _elements(graph: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The data of the nodes and of the edges, which may also stand in one list."""
    elements = graph["elements"]
    if isinstance(elements, dict):
        return [each["data"] for each in elements["nodes"]], [each["data"] for each in elements["edges"]]
    data = [each["data"] for each in elements]
    return [each for each in data if "source" not in each], [each for each in data if "source" in each]
