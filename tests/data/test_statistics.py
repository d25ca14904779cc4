from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from grn.data.statistics import GeneStatistics, gene_statistics


def matrix(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((50, 6)) * (random.random((50, 6)) < [1, 0.8, 0.5, 0.1, 0.02, 0.6])).astype(np.float32)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_agrees_with_numpy(kind: type) -> None:
    x = matrix()
    found = gene_statistics(kind(x))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(found.mean, wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.std, wide.std(0), rtol=1e-6)
    np.testing.assert_allclose(found.detection, (x > 0).mean(0), rtol=1e-6)
    assert isinstance(found, GeneStatistics)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_a_small_spread_on_a_large_mean_is_not_lost(kind: type) -> None:
    """E[x^2] - mean^2 in float32 would lose it, in float64 most of its digits."""
    x = np.float32(10) + np.random.default_rng(1).standard_normal((4000, 2)).astype(np.float32) * np.float32(1e-3)
    found = gene_statistics(kind(x))
    np.testing.assert_allclose(found.std, x.astype(np.float64).std(0), rtol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_a_gene_that_never_varies_is_standardised_to_zero(kind: type) -> None:
    x = matrix()
    x[:, 1], x[:, 2] = 0, 1.1
    found = gene_statistics(kind(x))
    assert found.std[1] == found.std[2] == 1
    assert found.detection[[1, 2]].tolist() == [0, 1]
    standardised = (x - found.mean) / found.std
    np.testing.assert_allclose(standardised[:, [1, 2]], 0, atol=1e-6)
    np.testing.assert_allclose(np.delete(standardised, [1, 2], 1).std(0), 1, rtol=1e-4)


def test_the_input_is_left_alone() -> None:
    x = sparse.csr_matrix(matrix())
    before = x.copy()
    gene_statistics(x)
    np.testing.assert_array_equal(x.toarray(), before.toarray())
    assert x.dtype == np.float32
