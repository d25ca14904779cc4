from __future__ import annotations

import numpy as np
import pandas as pd
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
    assert {part.dtype for part in found[:3]} == {np.dtype(np.float32)}
    assert found[3:] == (None, None)


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


BATCHES = np.random.default_rng(2).permutation(np.repeat([0, 1, 2], [30, 15, 5]))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_by_batch_agrees_with_pandas(kind: type) -> None:
    x = matrix() + np.float32(2) * BATCHES[:, None] * (matrix() > 0)
    x[:, 4] = np.where(BATCHES == 1, x[:, 0], 0)  # seen in one batch alone
    found = gene_statistics(kind(x), BATCHES)
    frame = pd.DataFrame(x.astype(np.float64)).groupby(BATCHES)
    np.testing.assert_allclose(found.batch_mean, frame.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.batch_detection, pd.DataFrame(x > 0).groupby(BATCHES).mean(), rtol=1e-6)
    within = pd.DataFrame(x.astype(np.float64)) - frame.transform("mean")
    np.testing.assert_allclose(found.std, within.std(ddof=0), rtol=1e-5)
    np.testing.assert_allclose(found.mean, x.mean(0, dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(found.detection, (x > 0).mean(0), rtol=1e-5)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    # The differences between the batches are no part of the spread.
    assert (found.std < 0.8 * x.std(0))[:2].all()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_one_batch_gives_the_statistics_of_all(kind: type) -> None:
    x = matrix()
    x[:, 1], x[:, 2] = 0, 1.1
    one, none = gene_statistics(kind(x), np.zeros(50, dtype=np.int64)), gene_statistics(kind(x))
    for name in ("mean", "std", "detection"):
        np.testing.assert_allclose(getattr(one, name), getattr(none, name), rtol=1e-6)
    np.testing.assert_array_equal(one.batch_mean[0], one.mean)
    np.testing.assert_array_equal(one.batch_detection[0], one.detection)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_a_gene_that_varies_between_batches_alone_is_standardised_to_zero(kind: type) -> None:
    x = matrix()
    x[:, 3] = np.array([0, 1.1, 7.3], dtype=np.float32)[BATCHES]
    found = gene_statistics(kind(x), BATCHES)
    assert found.std[3] == 1
    np.testing.assert_allclose((x - found.batch_mean[BATCHES])[:, 3], 0, atol=1e-6)
    # Where it varies in one batch alone, the spread is of that batch, and constant batches do not count as 1.
    x[BATCHES == 0, 3] = np.linspace(0, 0.01, 30, dtype=np.float32)
    within = pd.Series(x[:, 3].astype(np.float64)).groupby(BATCHES).transform(lambda one: one - one.mean())
    assert gene_statistics(kind(x), BATCHES).std[3] == pytest.approx(within.std(ddof=0), rel=1e-4)
    assert within.std(ddof=0) < 0.01


def test_scaled_values_tell_no_detection_in_any_batch() -> None:
    x = matrix() - np.float32(0.2)
    assert (gene_statistics(x, BATCHES).batch_detection == 1).all()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_a_batch_without_cells_has_the_means_of_all(kind: type) -> None:
    """Halves of the cells may miss a small batch."""
    x = matrix()
    found, whole = gene_statistics(kind(x), 2 * BATCHES), gene_statistics(kind(x), BATCHES)
    for name in ("batch_mean", "batch_detection"):
        np.testing.assert_array_equal(getattr(found, name)[::2], getattr(whole, name))
    np.testing.assert_allclose(found.batch_mean[1], x.mean(0), rtol=1e-6)
    for name in ("mean", "std", "detection"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-6)
