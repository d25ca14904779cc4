"""Spearman correlation of each regulator with each gene."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline
from grn.evaluation.baselines.pearson import pearson


def spearman(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Pearson correlation of ranks over cells, equal values sharing their mean rank.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Not used: nothing is random.

    Returns
    -------
    Scores (regulators, genes) in [-1, 1]; 0 for a regulator with itself and for genes that never vary.
    """
    from scipy.stats import rankdata

    return pearson(rankdata(x, axis=0), regulators)


BASELINE = Baseline(
    name="spearman",
    score=spearman,
    signed=True,
    seeded=False,
    source="Spearman 1904, American Journal of Psychology 15:72",
    summary="rank correlation of regulator and target over cells",
)
