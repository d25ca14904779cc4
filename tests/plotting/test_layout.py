import networkx as nx
import numpy as np
import pytest

from grn.plotting.layout import push_apart, unit_layout


def test_pushed_boxes_do_not_overlap_and_stay_on_the_canvas():
    rng = np.random.default_rng(0)
    half = rng.uniform(5, 25, (60, 1)) * [1.0, 0.3]
    centres, apart = push_apart(rng.uniform(150, 250, (60, 2)), half, np.zeros(2), np.array([500.0, 400.0]))
    assert apart
    distance = np.abs(centres[:, None] - centres[None]) - (half[:, None] + half[None])
    overlapping = (distance < -1e-6).all(axis=2)
    assert not np.triu(overlapping, 1).any()
    assert (centres - half >= -1e-9).all()
    assert (centres + half <= [500 + 1e-9, 400 + 1e-9]).all()


def test_coinciding_boxes_part():
    centres, apart = push_apart(np.full((5, 2), 50.0), np.full((5, 2), 4.0), np.zeros(2), np.full(2, 100.0))
    assert apart
    assert len(np.unique(centres.round(3), axis=0)) == 5


def test_too_many_boxes_are_told():
    assert not push_apart(np.zeros((50, 2)), np.full((50, 2), 10.0), np.zeros(2), np.full(2, 30.0))[1]


def test_layout_depends_on_graph_and_seed_alone():
    graph = nx.gnm_random_graph(20, 25, seed=1)
    graph = nx.relabel_nodes(graph, str)
    other = nx.Graph()
    other.add_edges_from(sorted(((b, a) for a, b in graph.edges), reverse=True))
    other.add_nodes_from(graph)
    first, second = unit_layout(graph, 1.5, seed=0), unit_layout(other, 1.5, seed=0)
    for node, place in first.items():
        np.testing.assert_allclose(place, second[node])
    third = unit_layout(graph, 1.5, seed=1)
    assert not all(np.allclose(first[node], third[node]) for node in graph)


def test_components_lie_apart():
    graph = nx.Graph([(f"a{i}", f"b{i}") for i in range(12)])
    layout = unit_layout(graph, 1.5, seed=0)
    for i in range(12):
        inner = np.linalg.norm(layout[f"a{i}"] - layout[f"b{i}"])
        assert inner == pytest.approx(1)
        others = [np.linalg.norm(layout[f"a{i}"] - layout[f"a{j}"]) for j in range(12) if j != i]
        assert min(others) > 0.8
    spread = np.ptp(list(layout.values()), axis=0)
    assert 0.5 < spread[0] / spread[1] < 4
