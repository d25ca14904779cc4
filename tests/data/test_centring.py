"""Expression within groups and batches, against pandas."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn.data import CheckedData, check
from grn.data.centring import strata, within_strata

KINDS = pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
CODES = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [25, 20, 5]))


def matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    x = (random.random((50, 6)) * (random.random((50, 6)) < [1, 0.8, 0.5, 0.1, 0.02, 0.6])).astype(np.float32)
    return x + CODES[:, None].astype(np.float32) * np.array([0, 1, 2, 0, 0, 5], dtype=np.float32)


@KINDS
def test_agrees_with_pandas(kind: type) -> None:
    x = matrix()
    before = kind(x).copy()
    found = within_strata(before, CODES)
    assert found.dtype == np.float64
    frame = pd.DataFrame(x.astype(np.float64))
    centred = frame - frame.groupby(CODES).transform("mean")
    np.testing.assert_allclose(found, centred / centred.std(ddof=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-9)
    np.testing.assert_allclose(pd.DataFrame(found).groupby(CODES).mean(), 0, atol=1e-12)
    np.testing.assert_array_equal(before.toarray() if sparse.issparse(before) else before, x)  # left alone


@KINDS
def test_genes_that_never_vary_within_a_stratum_are_zero(kind: type) -> None:
    x = matrix()
    x[:, 0], x[:, 1] = 0, 1.1
    x[:, 2] = np.array([0, 0.1, 7.3], dtype=np.float32)[CODES]
    found = within_strata(kind(x), CODES)
    assert not found[:, :3].any()
    assert found[:, 3:].any(0).all()


def test_small_values_are_no_rounding_errors() -> None:
    """Whether a gene varies is told by its own size."""
    x = matrix()
    np.testing.assert_allclose(within_strata(1e-7 * x, CODES), within_strata(x, CODES), rtol=1e-4, atol=1e-4)


def test_one_stratum_is_plain_standardisation() -> None:
    x = matrix().astype(np.float64)
    found = within_strata(x, np.zeros(50, dtype=np.int64))
    np.testing.assert_allclose(found, (x - x.mean(0)) / x.std(0), rtol=1e-9, atol=1e-12)


def checked(counts: anndata.AnnData, **columns: str) -> CheckedData:
    return check(counts, tf=["GATA1", "SPI1"], **columns)


def test_strata_are_the_pairs_of_group_and_batch_that_there_are(counts: anndata.AnnData) -> None:
    assert strata(checked(counts)).tolist() == [0] * 40
    np.testing.assert_array_equal(strata(checked(counts, group_by="cell_type")), [1, 0] * 20)
    np.testing.assert_array_equal(strata(checked(counts, batch_key="cell_type")), [1, 0] * 20)
    counts.obs["plate"] = ["a"] * 20 + ["b"] * 20
    counts.obs["kind"] = ["x"] * 30 + ["y"] * 10  # no y on plate a
    codes = strata(checked(counts, group_by="kind", batch_key="plate"))
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, np.repeat([0, 1, 2], [20, 10, 10]))
