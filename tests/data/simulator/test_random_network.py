from __future__ import annotations

import numpy as np
import pytest

from grn.data.simulator.random_network import random_network


def draw(seed: int = 0, **options):
    defaults = {
        "n_genes": 2000,
        "n_tfs": 100,
        "n_masters": 10,
        "mean_regulators": 3.0,
        "repression": 0.3,
        "strength": (1.0, 5.0),
    }
    return random_network(np.random.default_rng(seed), **(defaults | options))


def test_degrees_have_the_mean_asked_for_and_hubs():
    edges = draw().strength != 0
    incoming = edges.sum(axis=0)
    assert (incoming[:10] == 0).all()
    assert (incoming[10:] >= 1).all()
    assert incoming[100:].mean() == pytest.approx(3.0, rel=0.1)
    outgoing = np.sort(edges.sum(axis=1))[::-1]
    assert outgoing[0] > 5 * np.median(outgoing)
    assert outgoing[:10].sum() > 0.3 * outgoing.sum()


@pytest.mark.parametrize("repression", [0.0, 0.3, 1.0])
def test_share_of_repressors_is_exact(repression):
    strength = draw(repression=repression).strength
    assert (strength < 0).sum() == round(repression * (strength != 0).sum())


def test_strengths_lie_in_their_bounds_and_regulators_lean_to_one_sign():
    strength = draw(strength=(2.0, 2.5)).strength
    size = abs(strength[strength != 0])
    assert size.min() >= 2.0
    assert size.max() <= 2.5
    share = (strength < 0).sum(axis=1) / (strength != 0).sum(axis=1)
    assert ((share < 0.2) | (share > 0.8)).mean() > 0.6


def test_edges_agree_with_the_matrix():
    network = draw(n_genes=20, n_tfs=5, n_masters=2)
    names = network.gene_names
    edges = network.edges()
    assert len(edges) == np.count_nonzero(network.strength)
    for source, target, sign in edges.itertuples(index=False):
        assert np.sign(network.strength[names.index(source), names.index(target)]) == sign
