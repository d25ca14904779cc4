"""Partial correlation of each regulator with each gene, given all other genes."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, standardise, without_self


def partial_correlation(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    r"""Correlation that remains between two genes when all others are held fixed.

    .. math:: \rho_{ji} = -\frac{P_{ji}}{\sqrt{P_{jj} P_{ii}}},
        \quad P = \left((1 - \delta) S + \delta \frac{\mathrm{tr}(S)}{g} I\right)^{-1}

    Where: S is the covariance of the g standardised genes; delta is the shrinkage of Ledoit and Wolf, which makes the
    matrix invertible with fewer cells than genes. Memory grows with g^2 and time with g^3, regulators or not.

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
    from scipy.linalg import inv
    from sklearn.covariance import ledoit_wolf

    z = standardise(x)
    varying = z.any(axis=0)
    precision = np.zeros((z.shape[1], z.shape[1]))
    if varying.any():
        covariance, _ = ledoit_wolf(z[:, varying], assume_centered=True)
        precision[np.ix_(varying, varying)] = inv(covariance)
    spread = np.sqrt(np.where(varying, precision.diagonal(), 1.0))
    return without_self(-precision[regulators] / np.outer(spread[regulators], spread), regulators)


BASELINE = Baseline(
    name="partial_correlation",
    score=partial_correlation,
    signed=True,
    seeded=False,
    source="Ledoit & Wolf 2004, Journal of Multivariate Analysis 88:365; Schäfer & Strimmer 2005, SAGMB 4:32",
    summary="correlation of regulator and target given all other genes, from a shrunken covariance",
)
