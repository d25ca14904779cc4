"""Small networks for the tests of the analysis."""

from __future__ import annotations

import numpy as np
import pytest

from grn.network import GeneNetwork


@pytest.fixture
def dense() -> GeneNetwork:
    """Three regulators, twelve genes, an edge for every pair."""
    genes = [f"G{number}" for number in range(12)]
    weights = np.random.default_rng(0).normal(size=(3, 12))
    return GeneNetwork.from_matrix(weights, genes[:3], genes)


@pytest.fixture
def grouped() -> GeneNetwork:
    """The groups "B/x" and "T", of opposite signs but for a little."""
    genes = [f"G{number}" for number in range(12)]
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(3, 12))
    return GeneNetwork.from_matrix(
        {"B/x": weights, "T": 0.1 * generator.normal(size=(3, 12)) - weights}, genes[:3], genes
    )


@pytest.fixture
def unsigned() -> GeneNetwork:
    genes = [f"G{number}" for number in range(12)]
    weights = np.random.default_rng(2).exponential(size=(3, 12))
    return GeneNetwork.from_matrix(weights, genes[:3], genes, signed=False)


@pytest.fixture
def empty() -> GeneNetwork:
    return GeneNetwork.from_matrix(np.zeros((2, 3)), ["A", "B"], ["A", "B", "C"])
