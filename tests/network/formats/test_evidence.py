"""Confidence, p-value and q-value of the edges, through every format that keeps them."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from grn.network import GeneNetwork

GENES = ["SPI1", "NA", "1e5", "007", 'odd, "name"', "Σ β"]
KEEPERS = ["parquet", "tsv", "csv", "graphml", "h5ad", "cytoscape"]


def made(which: tuple[str, ...], *, groups: bool = False, signed: bool = True) -> GeneNetwork:
    """A network whose edges carry the named columns, with the values that are hard to write: 0, 1, 0.1, 1e-30."""
    rng = np.random.default_rng(3)
    weights = np.abs(rng.normal(size=(2, 6))) if not signed else rng.normal(size=(2, 6))
    given = {"a/b": weights, "c, d": weights * 0.7} if groups else weights
    edges = GeneNetwork.from_matrix(given, GENES[:2], GENES, signed=signed).edges
    for name in which:
        values = rng.random(len(edges))
        values[:4] = 0, 1, 0.1, 1e-30
        edges[name] = values
    return GeneNetwork.from_edges(edges, genes=GENES, regulators=GENES[:2])


@pytest.mark.parametrize("name", KEEPERS)
@pytest.mark.parametrize("which", [("confidence",), ("pvalue", "qvalue"), ("confidence", "pvalue", "qvalue")])
@pytest.mark.parametrize("groups", [False, True])
def test_evidence_comes_back_exactly(name: str, which: tuple[str, ...], groups: bool, tmp_path: Path) -> None:
    given = made(which, groups=groups)
    given.write(tmp_path / "n", format=name)
    back = GeneNetwork.read(tmp_path / "n", format=name)
    assert list(back.edges) == ["source", "target", "weight", "sign", *which, *(["group"] if groups else [])]
    by = ["source", "target", "group"] if groups else ["source", "target"]
    pd.testing.assert_frame_equal(
        back.edges.sort_values(by, ignore_index=True), given.edges.sort_values(by, ignore_index=True)
    )


@pytest.mark.parametrize("name", KEEPERS)
def test_unsigned_edges_stay_unsigned(name: str, tmp_path: Path) -> None:
    given = made(("confidence",), signed=False)
    given.write(tmp_path / "n", format=name)
    back = GeneNetwork.read(tmp_path / "n", format=name)
    assert not back.signed
    assert len(back) == len(given)


def test_evidence_as_graph_viewers_see_it(tmp_path: Path) -> None:
    given = made(("confidence", "qvalue"))
    given.write(tmp_path / "n.graphml")
    graph = nx.read_graphml(tmp_path / "n.graphml")
    for edge in given.edges.itertuples():
        data = graph.edges[edge.source, edge.target]
        assert (np.float32(data["confidence"]), np.float32(data["qvalue"])) == (edge.confidence, edge.qvalue)
    assert 0.1 in {data for _, _, data in graph.edges(data="qvalue")}  # not 0.10000000149011612


def test_text_shows_evidence_beside_the_sign(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["A"], "target": ["B"], "weight": [0.1], "qvalue": [0.05], "confidence": [0.9]})
    GeneNetwork.from_edges(table).write(tmp_path / "n.tsv")
    assert (tmp_path / "n.tsv").read_text() == (
        "source\ttarget\tweight\tsign\tconfidence\tqvalue\nA\tB\t0.1\t1\t0.9\t0.05\n"
    )


def test_formats_of_signs_drop_it(tmp_path: Path) -> None:
    for name in ("sif", "gmt"):
        given = GeneNetwork.from_edges(made(("confidence", "pvalue", "qvalue")).edges)
        given.write(tmp_path / f"n.{name}")
        assert list(GeneNetwork.read(tmp_path / f"n.{name}").edges) == ["source", "target", "weight", "sign"]
