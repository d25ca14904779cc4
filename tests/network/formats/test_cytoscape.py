"""The JSON of Cytoscape.js: by its own rules, in networkx, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.network import GeneNetwork
from grn.network.formats import cytoscape

GENES = ["SPI1", "NA", "edge0", "_edge1", 'odd, "name"', "Σ β", "007", "lonely"]

# The elements JSON of https://js.cytoscape.org/#notation/elements-json, keyed by group: data with an id that is text,
# for edges a source and a target; plus what we promise to write.
TEXT = {"type": "string", "minLength": 1}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
SCHEMA = {
    "type": "object",
    "required": ["elements", "data", "directed", "multigraph"],
    "properties": {
        "directed": {"const": True},
        "multigraph": {"type": "boolean"},
        "data": {"type": "object", "required": ["convention", "version", "params"]},
        "elements": {
            "type": "object",
            "required": ["nodes", "edges"],
            "additionalProperties": False,
            "properties": {
                "nodes": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["data"],
                        "properties": {
                            "data": {
                                "type": "object",
                                "required": ["id", "name", "is_tf"],
                                "properties": {"id": TEXT, "name": TEXT, "is_tf": {"type": "boolean"}},
                                "not": {"required": ["source"]},
                            }
                        },
                    },
                },
                "edges": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["data"],
                        "properties": {
                            "data": {
                                "type": "object",
                                "required": ["id", "source", "target", "weight", "sign", "interaction"],
                                "properties": {
                                    "id": TEXT,
                                    "source": TEXT,
                                    "target": TEXT,
                                    "weight": {"type": "number"},
                                    "sign": {"enum": [-1, 0, 1]},
                                    "interaction": {"enum": ["activates", "represses", "regulates"]},
                                    "confidence": SHARE,
                                    "pvalue": SHARE,
                                    "qvalue": SHARE,
                                    "group": TEXT,
                                    "key": TEXT,
                                },
                                "additionalProperties": False,
                            }
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture
def values() -> np.ndarray:
    given = np.random.default_rng(4).normal(size=(3, 8)).astype(np.float32)
    given[:, 7] = 0
    return given


@pytest.fixture
def network(values: np.ndarray) -> GeneNetwork:
    plain = GeneNetwork.from_matrix(values, GENES[:3], GENES)
    shares = np.linspace(0, 1, len(plain))
    edges = plain.edges.assign(confidence=shares, pvalue=shares, qvalue=shares)
    return GeneNetwork.from_edges(edges, params={"seed": 0, "settings": {"a": [1, None]}})


@pytest.fixture
def grouped(values: np.ndarray) -> GeneNetwork:
    return GeneNetwork.from_matrix({"CD4/CD8": values, "B": -values}, GENES[:3], GENES)


def written(network: GeneNetwork, folder: Path) -> dict[str, Any]:
    network.write(folder / "n.cyjs")
    graph: dict[str, Any] = json.loads((folder / "n.cyjs").read_text(encoding="utf-8"))
    return graph


@pytest.mark.parametrize("which", ["network", "grouped", "unsigned", "empty"])
def test_it_follows_the_format(which: str, request: pytest.FixtureRequest, values: np.ndarray, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    if which == "unsigned":
        given = GeneNetwork.from_matrix(abs(values), GENES[:3], GENES, signed=False)
    elif which == "empty":
        given = GeneNetwork.from_matrix(values * 0, GENES[:3], GENES)
    else:
        given = request.getfixturevalue(which)
    graph = written(given, tmp_path)
    jsonschema.validate(graph, SCHEMA)
    nodes, edges = graph["elements"]["nodes"], graph["elements"]["edges"]
    ids = [element["data"]["id"] for element in [*nodes, *edges]]
    assert len(ids) == len(set(ids)), "ids are unique over nodes and edges together"
    genes = {node["data"]["id"] for node in nodes}
    assert all({edge["data"]["source"], edge["data"]["target"]} <= genes for edge in edges)
    assert len(edges) == len(given)
    assert "lonely" not in genes


def test_the_schema_can_fail() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    graph = {"data": {}, "directed": True, "multigraph": False, "elements": {"nodes": [{"data": {}}], "edges": []}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(graph, SCHEMA)


def test_networkx_opens_it(network: GeneNetwork, grouped: GeneNetwork, tmp_path: Path) -> None:
    graph = nx.cytoscape_graph(written(network, tmp_path))
    assert isinstance(graph, nx.DiGraph)
    assert not graph.is_multigraph()
    assert graph.nodes["NA"]["is_tf"]
    assert not graph.nodes["007"]["is_tf"]
    for edge in network.edges.itertuples():
        data = graph.edges[edge.source, edge.target]
        assert (np.float32(data["weight"]), data["sign"]) == (edge.weight, edge.sign)
    several = nx.cytoscape_graph(written(grouped, tmp_path))
    assert several.is_multigraph()
    assert several.number_of_edges() == len(grouped)
    first = grouped.edges.iloc[0]
    assert np.float32(several.edges[first["source"], first["target"], first["group"]]["weight"]) == first["weight"]


@pytest.mark.parametrize("which", ["network", "grouped"])
def test_it_comes_back(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    given = request.getfixturevalue(which)
    given.write(tmp_path / "n.json", format="cytoscape")
    back = GeneNetwork.read(tmp_path / "n.json", format="cytoscape")
    pd.testing.assert_frame_equal(back.edges, given.edges)
    assert back.genes.tolist() == [gene for gene in given.genes if gene != "lonely"]
    assert (back.regulators.tolist(), back.params) == (given.regulators.tolist(), given.params)


def test_numbers_are_short_and_text_is_plain(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["Σ"], "target": ["B"], "weight": [0.1], "confidence": [0.9]})
    GeneNetwork.from_edges(table).write(tmp_path / "n.cyjs")
    text = (tmp_path / "n.cyjs").read_text(encoding="utf-8")
    assert '"weight": 0.1' in text
    assert '"confidence": 0.9' in text
    assert '"source": "Σ"' in text


def test_an_export_of_cytoscape_is_read(tmp_path: Path) -> None:
    """Cytoscape numbers its nodes, writes further columns, and may say nothing of directions."""
    graph = {
        "format_version": "1.0",
        "data": {"name": "net", "SUID": 1},
        "elements": {
            "nodes": [
                {"data": {"id": "62", "SUID": 62, "name": "SPI1", "shared_name": "SPI1"}, "position": {"x": 1, "y": 2}},
                {"data": {"id": "63", "SUID": 63, "name": "CD14"}, "selected": False},
            ],
            "edges": [{"data": {"id": "64", "source": "62", "target": "63", "weight": -0.5, "interaction": "x"}}],
        },
    }
    (tmp_path / "n.cyjs").write_text(json.dumps(graph))
    edges = GeneNetwork.read(tmp_path / "n.cyjs").edges
    assert edges[["source", "target", "weight", "sign"]].to_numpy().tolist() == [["SPI1", "CD14", -0.5, -1]]
    graph["elements"] = [*graph["elements"]["nodes"], *graph["elements"]["edges"]]  # type: ignore[index]
    (tmp_path / "flat.cyjs").write_text(json.dumps(graph))
    pd.testing.assert_frame_equal(GeneNetwork.read(tmp_path / "flat.cyjs").edges, edges)


def test_a_graph_of_networkx_is_read(tmp_path: Path) -> None:
    graph = nx.DiGraph([("A", "B", {"weight": 2.0})])
    (tmp_path / "n.cyjs").write_text(json.dumps(nx.cytoscape_data(graph)))
    assert GeneNetwork.read(tmp_path / "n.cyjs").edges["source"].tolist() == ["A"]
    (tmp_path / "n.cyjs").write_text(json.dumps(nx.cytoscape_data(graph.to_undirected())))
    with pytest.raises(InputError, match="no directions"):
        GeneNetwork.read(tmp_path / "n.cyjs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"elements": {"nodes": [], "edges": [', "cannot be read as Cytoscape.js JSON"),
        ("[1, 2]", "is JSON, but no graph of Cytoscape.js"),
        ('{"elements": {"nodes": [{"data": {"name": "A"}}], "edges": []}}', "expected elements.nodes"),
        (
            '{"elements": {"nodes": [{"data": {"id": "A"}}], "edges": [{"data": {"source": "A", "target": "B"}}]}}',
            "KeyError: 'B'",
        ),
        (
            '{"elements": {"nodes": [{"data": {"id": "A"}}, {"data": {"id": "B"}}], '
            '"edges": [{"data": {"source": "A", "target": "B"}}]}}',
            "1 weights are no finite numbers",
        ),
    ],
)
def test_other_json_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "n.cyjs").write_text(text)
    with pytest.raises(InputError, match=words):
        GeneNetwork.read(tmp_path / "n.cyjs")


def test_many_edges_are_refused(network: GeneNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cytoscape, "LIMIT", 5)
    with pytest.raises(InputError, match=r"at most 5 edges.*network\.top"):
        network.write(tmp_path / "n.cyjs")
