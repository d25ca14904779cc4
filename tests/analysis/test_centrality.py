"""Centralities of graphs small enough to do by hand, and against other ways to get them."""

from __future__ import annotations

import itertools

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.analysis import centrality
from grn.analysis.centrality import DAMPING
from grn.network import GeneNetwork, add_to_anndata


@pytest.fixture
def by_hand() -> GeneNetwork:
    """A -> B (0.8), B -> C (-0.4), A -> C (0.1), and apart from these X -> Y (0.2)."""
    rows = [("A", "B", 0.8), ("B", "C", -0.4), ("A", "C", 0.1), ("X", "Y", 0.2)]
    return GeneNetwork.from_edges(pd.DataFrame(rows, columns=["source", "target", "weight"]))


def test_degrees_and_strengths(by_hand: GeneNetwork) -> None:
    table = centrality(by_hand)
    degrees = table[["out_degree", "in_degree"]].T.to_dict("list")
    assert degrees == {"A": [2, 0], "B": [1, 1], "C": [0, 2], "X": [1, 0], "Y": [0, 1]}
    assert table.loc["A", "out_strength"] == pytest.approx(0.9)
    assert table.loc["C", "in_strength"] == pytest.approx(0.5)
    assert table.loc["B", "out_strength"] == pytest.approx(0.4)


def test_paths(by_hand: GeneNetwork) -> None:
    # Lengths 0.8 / w: A-B 1, B-C 2, A-C 8, X-Y 4. The shortest way from A to C is by B, of length 3.
    table = centrality(by_hand)
    assert table["betweenness"].to_dict() == pytest.approx({"A": 0, "B": 1 / (4 * 3), "C": 0, "X": 0, "Y": 0})
    harmonic = {"A": (1 + 1 / 3) / 4, "B": (1 / 2) / 4, "C": 0, "X": (1 / 4) / 4, "Y": 0}
    assert table["harmonic"].to_dict() == pytest.approx(harmonic)


def test_pagerank_goes_from_targets_to_regulators(by_hand: GeneNetwork) -> None:
    # The stationary distribution of the walk, from its equations.
    genes = list("ABCXY")
    step = np.zeros((5, 5))
    step[1, 0] = 1
    step[2, 1], step[2, 0] = 0.4 / 0.5, 0.1 / 0.5
    step[4, 3] = 1
    step[[0, 3]] = 1 / 5
    expected = np.linalg.solve(np.eye(5) - DAMPING * step.T, np.full(5, (1 - DAMPING) / 5))
    table = centrality(by_hand)
    assert table["pagerank"].to_dict() == pytest.approx(dict(zip(genes, expected, strict=True)), abs=1e-8)
    assert table["pagerank"].sum() == pytest.approx(1)
    assert table.index[0] == "A"
    assert table["pagerank"].is_monotonic_decreasing


def test_against_all_paths_of_a_random_network() -> None:
    """Shortest paths by Floyd and Warshall; betweenness by asking of each pair whether the way leads through."""
    genes = [f"G{number}" for number in range(8)]
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(8, 8)) * (generator.random((8, 8)) < 0.4)
    network = GeneNetwork.from_matrix(weights, genes, genes)
    strength = np.abs(network.matrix().to_numpy(dtype=float))
    with np.errstate(divide="ignore"):
        distance = strength.max() / strength
    np.fill_diagonal(distance, 0)
    for through, start, end in itertools.product(range(8), repeat=3):
        distance[start, end] = min(distance[start, end], distance[start, through] + distance[through, end])
    table = centrality(network, top=None).reindex(genes).fillna(0)
    with np.errstate(divide="ignore"):
        harmonic = np.where(np.eye(8) > 0, 0, 1 / distance).sum(axis=1) / 7
    np.testing.assert_allclose(table["harmonic"], harmonic, rtol=1e-6)
    between = np.zeros(8)
    for start, through, end in itertools.permutations(range(8), 3):
        there = np.isfinite(distance[start, end])
        between[through] += there and np.isclose(
            distance[start, through] + distance[through, end], distance[start, end], rtol=1e-12
        )
    np.testing.assert_allclose(table["betweenness"], between / (7 * 6), rtol=1e-9)


def test_units_and_signs_change_nothing(dense: GeneNetwork) -> None:
    other = GeneNetwork.from_matrix(-1000 * dense.matrix().to_numpy(), dense.regulators, dense.genes)
    columns = ["out_degree", "in_degree", "pagerank", "betweenness", "harmonic"]
    # float32 weights: a thousandfold is rounded anew.
    pd.testing.assert_frame_equal(
        centrality(dense)[columns], centrality(other)[columns], check_index_type=False, rtol=1e-5
    )


def test_top(dense: GeneNetwork) -> None:
    table = centrality(dense, top=4)
    assert table["out_degree"].sum() == table["in_degree"].sum() == 4
    assert set(table.index) == set(dense.top(4).edges["source"]) | set(dense.top(4).edges["target"])
    assert centrality(dense, top=None)["out_degree"].sum() == len(dense)
    with pytest.raises(InputError, match="top"):
        centrality(dense, top=0)


def test_groups(grouped: GeneNetwork) -> None:
    pd.testing.assert_frame_equal(centrality(grouped, group="T"), centrality(grouped.of_group("T")))
    pd.testing.assert_frame_equal(centrality(grouped), centrality(grouped.ungrouped()))


def test_unsigned(unsigned: GeneNetwork) -> None:
    assert centrality(unsigned)["in_degree"].sum() == len(unsigned)


def test_empty_network(empty: GeneNetwork) -> None:
    table = centrality(empty)
    assert table.empty
    assert list(table)[:2] == ["out_degree", "in_degree"]
    assert list(table)[-1] == "harmonic"


def test_a_single_edge() -> None:
    table = centrality(GeneNetwork.from_matrix([[0.0, -2.0]], ["A"], ["A", "B"]))
    assert table.loc["A", ["betweenness", "harmonic"]].tolist() == [0, 1]
    assert table.loc["A", "pagerank"] > table.loc["B", "pagerank"]


def test_the_face_takes_anndata_and_networks(dense: GeneNetwork) -> None:
    adata = anndata.AnnData(np.ones((3, 12)), var=pd.DataFrame(index=dense.genes))
    add_to_anndata(adata, dense)
    pd.testing.assert_frame_equal(grn.get.centrality(adata, top=9), centrality(dense, top=9))
    pd.testing.assert_frame_equal(grn.get.centrality(dense, top=9), centrality(dense, top=9))
