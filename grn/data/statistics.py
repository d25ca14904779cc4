"""Per-gene statistics that models standardise with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse


class GeneStatistics(NamedTuple):
    """Mean, standard deviation and share of cells above zero of each gene, float32 (genes,).

    A gene that never varies has standard deviation 1, so that its standardised value is 0 rather than infinite.
    Where some value is negative (scaled data) nothing tells detection, and it is 1 everywhere.
    """

    mean: np.ndarray
    std: np.ndarray
    detection: np.ndarray


def gene_statistics(x: np.ndarray | sparse.csr_matrix) -> GeneStatistics:
    """Statistics over the cells of expression (cells, genes), in double precision inside.

    Parameters
    ----------
    x
        Expression, dense or sparse; a sparse matrix stays sparse.
    """
    cells = x.shape[0]
    if isinstance(x, np.ndarray):
        mean, variance = x.mean(0, dtype=np.float64), x.var(0, dtype=np.float64)
        detection = (x > 0).mean(0)
    else:
        # Sparse sums run in the type of the matrix whatever dtype is asked for.
        wide = x.astype(np.float64)
        mean = np.asarray(wide.mean(0)).ravel()
        # Two passes: the stored entries' squared distances, and those of the zeros. E[x^2] - mean^2 cancels.
        centred = wide.tocsc(copy=True)
        stored = np.diff(centred.indptr)
        centred.data = (centred.data - np.repeat(mean, stored)) ** 2
        variance = (np.asarray(centred.sum(0)).ravel() + (cells - stored) * mean**2) / cells
        detection = np.asarray((x > 0).sum(0)).ravel() / cells
    if x.min() < 0:
        detection = np.ones_like(mean)  # of values around zero, none says "not detected"
    std = np.sqrt(variance)
    std[std < 1e-6 * np.maximum(np.abs(mean), 1.0)] = 1.0
    return GeneStatistics(mean.astype(np.float32), std.astype(np.float32), detection.astype(np.float32))
