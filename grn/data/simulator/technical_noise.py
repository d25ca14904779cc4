"""From concentrations to UMI counts: outlier genes, library sizes, dropout, Poisson sampling, in this order.

The recipe and the laws' parameters are those of Dibaeinia & Sinha 2020, Cell Systems 11:252; the outlier
genes go back to Splatter (Zappia et al. 2017, Genome Biology 18:174).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.special import expit

_OUTLIER_LOG_MEAN, _OUTLIER_LOG_SPREAD = 0.8, 1.0
_DROPOUT_STEEPNESS = 6.5  # per unit of log1p of the expected count
_CHUNK = 1024  # cells; bounds the temporary arrays


def add_technical_noise(
    clean: np.ndarray,
    rng: np.random.Generator,
    *,
    library_size: float,
    library_spread: float,
    dropout: float,
    outliers: float,
) -> sparse.csr_matrix:
    """UMI counts ``(cells, genes)``, sparse float32, of concentrations.

    Parameters
    ----------
    clean
        ``(cells, genes)`` concentrations, at least 0.
    rng
        Source of randomness.
    library_size
        Median over cells of the expected UMI count of a cell, before dropout.
    library_spread
        Standard deviation of the logarithm of the library sizes (lognormal law); 0 makes all equal.
    dropout
        Share of the entries that are lost before sampling, on average. The chance is logistic in log1p of
        the expected count, with the steepness 6.5 of the source; its midpoint is set so that the mean is
        `dropout`. Entries with a small expected count are lost first, so the counts shrink by less than
        this share.
    outliers
        Share of genes expressed far above the rest, by a factor of lognormal(0.8, 1) and at least 1.
    """
    cells, genes = clean.shape
    factor = np.ones(genes)
    chosen = np.flatnonzero(rng.random(genes) < outliers)
    factor[chosen] = np.maximum(rng.lognormal(_OUTLIER_LOG_MEAN, _OUTLIER_LOG_SPREAD, len(chosen)), 1)
    library = library_size * np.exp(library_spread * rng.standard_normal(cells))
    expected = clean * factor.astype(np.float32)
    total = expected.sum(axis=1, dtype=np.float64)
    expected *= np.divide(library, total, out=np.zeros(cells), where=total > 0)[:, None].astype(np.float32)

    midpoint = _dropout_midpoint(expected, dropout)
    blocks = []
    for start in range(0, cells, _CHUNK):
        block = expected[start : start + _CHUNK]
        if dropout > 0:
            lost = rng.random(block.shape, dtype=np.float32) < _loss(np.log1p(block), midpoint)
            block = np.where(lost, np.float32(0), block)
        blocks.append(sparse.csr_matrix(rng.poisson(block).astype(np.float32)))
    return sparse.vstack(blocks, format="csr", dtype=np.float32)


def _loss(log_expected: np.ndarray, midpoint: float) -> np.ndarray:
    return expit(_DROPOUT_STEEPNESS * (midpoint - log_expected))


def _dropout_midpoint(expected: np.ndarray, dropout: float) -> float:
    """Midpoint of the logistic law with which the mean chance of loss is `dropout`, by bisection."""
    # A sample evenly spaced over the whole matrix is exact enough and bounds the time on large ones.
    values = np.log1p(expected.ravel()[:: max(1, expected.size // 500_000)].astype(np.float64))
    low, high = -20.0, float(values.max()) + 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if _loss(values, middle).mean() < dropout:
            low = middle
        else:
            high = middle
    return (low + high) / 2
