from __future__ import annotations

import numpy as np
import pytest

from grn.data.simulator.technical_noise import add_technical_noise

CLEAN = np.random.default_rng(0).gamma(2.0, 2.0, (2000, 200)).astype(np.float32)
PLAIN = {"library_size": 1000.0, "library_spread": 0.0, "dropout": 0.0, "outliers": 0.0}


def measure(clean=CLEAN, seed=0, **options) -> np.ndarray:
    return add_technical_noise(clean, np.random.default_rng(seed), **(PLAIN | options)).toarray()


def test_counts_are_whole_and_the_input_is_left_alone():
    before = CLEAN.copy()
    counts = measure(dropout=0.3, outliers=0.1)
    assert counts.shape == CLEAN.shape
    assert counts.dtype == np.float32
    assert (counts == np.round(counts)).all()
    np.testing.assert_array_equal(CLEAN, before)


@pytest.mark.parametrize("library_size", [300.0, 5000.0])
def test_library_sizes_are_those_asked_for(library_size):
    total = measure(library_size=library_size).sum(axis=1)
    assert np.median(total) == pytest.approx(library_size, rel=0.02)
    assert total.std() == pytest.approx(np.sqrt(library_size), rel=0.1)
    spread = np.log(measure(library_size=5000.0, library_spread=0.4).sum(axis=1)).std()
    assert spread == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize("dropout", [0.05, 0.3, 0.8])
def test_dropout_loses_the_share_asked_for_small_ones_first(dropout):
    # With some fifty molecules expected per gene, Poisson sampling alone makes next to no zeros.
    options = {"library_size": 50.0 * CLEAN.shape[1]}
    full, thinned = measure(**options), measure(**options, dropout=dropout)
    assert (full == 0).mean() < 0.02
    assert (thinned == 0).mean() == pytest.approx(dropout, abs=0.02)
    assert full[(thinned == 0)].mean() < full[thinned > 0].mean()


def test_outlier_genes_stand_out():
    few = measure(clean=np.ones_like(CLEAN), outliers=0.1, library_size=10_000.0).mean(axis=0)
    assert 0.05 < (few > 1.2 * np.median(few)).mean() < 0.2
    plain = measure(clean=np.ones_like(CLEAN), library_size=10_000.0).mean(axis=0)
    assert plain.max() < 1.1 * plain.min()


def test_a_cell_without_expression_has_no_counts():
    clean = CLEAN[:20].copy()
    clean[3] = 0
    assert measure(clean=clean, dropout=0.3)[3].sum() == 0
