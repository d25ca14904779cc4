"""Expression measured from the mean of a cell's own group and batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from grn.data.check import CheckedData


def strata(checked: CheckedData) -> np.ndarray:
    """Which cells belong together, by group and batch: int64 (cells,), 0 to one less than their number."""
    parts = [one.codes for one in (checked.groups, checked.batches) if one is not None]
    if not parts:
        return np.zeros(len(checked.cells), dtype=np.int64)
    return pd.MultiIndex.from_arrays(parts).factorize(sort=True)[0].astype(np.int64)


def batches(checked: CheckedData) -> np.ndarray:
    """Batch of every cell, int64 (cells,); 0 for all where the data have no batches."""
    codes = checked.batch_codes
    return np.zeros(len(checked.cells), dtype=np.int64) if codes is None else codes


def within_strata(x: np.ndarray | sparse.csr_matrix, codes: np.ndarray) -> np.ndarray:
    """Expression (cells, genes) centred in each stratum and divided by the standard deviation that is left, float64.

    Genes that do not vary within any stratum are 0.
    """
    return scaled_within_strata(x, codes)[0]


def scaled_within_strata(x: np.ndarray | sparse.csr_matrix, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expression as of `within_strata`, and the standard deviation that was left of each gene, float64 (genes,)."""
    z = (np.array(x) if isinstance(x, np.ndarray) else x.toarray()).astype(np.float64)
    size = np.maximum(z.max(0), -z.min(0))
    for code in range(int(codes.max()) + 1):
        cells = codes == code
        z[cells] -= z[cells].mean(0)
    spread = z.std(0)
    varies = spread > 1e-6 * np.maximum(size, 1e-30)
    z /= np.where(varies, spread, 1.0)
    z[:, ~varies] = 0.0
    return z, spread
