"""Per-gene statistics that models standardise with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse


class GeneStatistics(NamedTuple):
    """Mean, standard deviation and share of cells above zero of each gene, float32 (genes,).

    A gene that never varies has standard deviation 1, so that its standardised value is 0 rather than infinite.
    Where some value is negative (scaled data) nothing tells detection, and it is 1 everywhere.
    With batches, `batch_mean` and `batch_detection` (batches, genes) are those of each, and the standard deviation is
    around the cell's own batch; else they are None.
    """

    mean: np.ndarray
    std: np.ndarray
    detection: np.ndarray
    batch_mean: np.ndarray | None = None
    batch_detection: np.ndarray | None = None


def gene_statistics(x: np.ndarray | sparse.csr_matrix, batches: np.ndarray | None = None) -> GeneStatistics:
    """Statistics over the cells of expression (cells, genes), in double precision inside.

    Parameters
    ----------
    x
        Expression, dense or sparse; a sparse matrix stays sparse.
    batches
        Batch of every cell, int (cells,): 0 to one less than the number of batches. One without cells, as parts of
        data may have, gets the means of all.
    """
    if batches is not None:
        return _by_batch(x, batches)
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


def _by_batch(x: np.ndarray | sparse.csr_matrix, batches: np.ndarray) -> GeneStatistics:
    sizes = np.bincount(batches)
    cells = [x[batches == code] if size else x for code, size in enumerate(sizes)]
    parts = [gene_statistics(own) for own in cells]
    mean, detection = (np.stack([getattr(part, name) for part in parts]) for name in ("mean", "detection"))
    if x.min() < 0:
        detection = np.ones_like(mean)  # also of batches that happen to have none below zero
    share = (sizes / sizes.sum())[:, None]
    # A batch in which a gene does not vary has the standard deviation 1 by convention: it adds nothing here.
    varies = np.stack([_varies(own) for own in cells])
    within = (share * varies * np.stack([part.std for part in parts]).astype(np.float64) ** 2).sum(0)
    return GeneStatistics(
        (share * mean).sum(0).astype(np.float32),
        np.where(within > 0, np.sqrt(within), 1.0).astype(np.float32),
        (share * detection).sum(0).astype(np.float32),
        mean,
        detection,
    )


def _varies(x: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """Whether each gene has more than one value, bool (genes,)."""
    high, low = x.max(0), x.min(0)
    if sparse.issparse(x):
        high, low = high.toarray().ravel(), low.toarray().ravel()
    return np.asarray(high > low)
