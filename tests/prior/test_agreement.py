"""The test of agreement: its exact moments, its tail, and the gate on planted networks."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import sparse

from grn.prior import Prior, agreement, gate


def test_mean_and_variance_over_all_permutations_are_exact() -> None:
    generator = np.random.default_rng(0)
    weights = generator.exponential(size=(3, 4)) ** 2
    known = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1]])
    found = np.array(
        [
            agreement(weights, sparse.csr_array(known[np.ix_(rows, columns)]))
            for rows in permutations(range(3))
            for columns in permutations(range(4))
        ]
    )
    assert found.mean() == pytest.approx(0, abs=1e-12)
    assert (found**2).mean() == pytest.approx(1)


def test_z_is_nearly_normal_under_permutations() -> None:
    generator = np.random.default_rng(0)
    weights = generator.standard_t(3, size=(25, 80)) * generator.exponential(size=(25, 1))
    known = generator.random((25, 80)) < generator.beta(0.5, 5, size=(25, 1))
    known[:, 0] = known[0] = True
    found = np.array(
        [
            agreement(weights, sparse.csr_array(1.0 * known[generator.permutation(25)][:, generator.permutation(80)]))
            for _ in range(1000)
        ]
    )
    assert abs(found.mean()) < 0.1
    assert found.std() == pytest.approx(1, abs=0.08)
    assert 0.005 < (found > 2).mean() < 0.05


def test_strong_regulators_with_many_known_edges_are_no_agreement() -> None:
    generator = np.random.default_rng(1)
    popular = generator.permutation(20)[:, None] + 1.0
    weights = popular * generator.exponential(size=(20, 200))
    known = generator.random((20, 200)) < popular / 60
    assert abs(agreement(weights, sparse.csr_array(1.0 * known))) < 2.5


@pytest.mark.parametrize(
    "known", [np.zeros((5, 6)), np.ones((5, 6)), np.eye(5, 6)[:, :2], np.outer([1, 1, 0, 0, 0], np.ones(6))]
)
def test_where_nothing_can_be_tested_it_is_zero(known: np.ndarray) -> None:
    weights = np.random.default_rng(0).normal(size=known.shape)
    assert agreement(weights, sparse.csr_array(known)) == 0
    assert agreement(np.ones((5, 6)), sparse.csr_array(np.eye(5, 6))) == 0


def test_gate() -> None:
    assert [gate(z) for z in (-9.0, 0.0, 1.0, 2.0)] == [0, 0, 0, 0]
    assert gate(4.0) == pytest.approx(0.75)
    assert gate(1e9) == pytest.approx(1)


def test_the_gate_tells_knowledge_from_noise(planted) -> None:
    def strength(table) -> float:
        return Prior(table, "test").apply(planted.weights, planted.genes, planted.regulators)[1]["strength"]

    assert strength(planted.table) > 0.5
    shuffled = [strength(planted.shuffled(seed)) for seed in range(20)]
    assert np.mean(shuffled) < 0.05
    assert np.median(shuffled) == 0
