"""CLR: mutual information against the background of both genes."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, standardise, without_self

_BLOCK = 1024  # genes whose background is computed at a time


def clr(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    r"""How far the dependence of regulator and target stands out among all dependences of either of them.

    .. math:: I_{ji} = -\frac{1}{2} \log(1 - \rho_{ji}^2), \quad
        s_{ji} = \mathrm{sign}(\rho_{ji}) \sqrt{\max(0, \frac{I_{ji} - \mu_j}{\sigma_j})^2
        + \max(0, \frac{I_{ji} - \mu_i}{\sigma_i})^2}

    Where: rho is the Spearman correlation over cells; I the mutual information of two genes whose ranks depend on each
    other as those of Gaussian variables with that correlation; mu_i and sigma_i are the mean and standard deviation of
    I between gene i and all genes of the data, itself counted with 0. The published method estimates I with binned
    splines and is unsigned: the sign of the correlation is added here.

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
    Scores (regulators, genes) in standard deviations of the background; 0 for a regulator with itself, and where
    neither gene's background is exceeded.
    """
    from scipy.stats import rankdata

    z = standardise(rankdata(x, axis=0))
    mean, std = _background(z)
    correlation = z[:, regulators].T @ z / len(z)
    information = _information(correlation)
    by_regulator = (information - mean[regulators, None]) / std[regulators, None]
    by_target = (information - mean) / std
    strength = np.hypot(np.maximum(by_regulator, 0.0), np.maximum(by_target, 0.0))
    return without_self(np.sign(correlation) * strength, regulators)


def _information(correlation: np.ndarray) -> np.ndarray:
    """Mutual information of Gaussian variables, in nats."""
    return -0.5 * np.log(np.maximum(1.0 - correlation**2, 1e-12))


def _background(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each gene's information with all genes; a deviation of 0 becomes 1."""
    cells, genes = z.shape
    mean, std = np.zeros(genes), np.zeros(genes)
    for first in range(0, genes, _BLOCK):
        block = slice(first, min(first + _BLOCK, genes))
        information = _information(z[:, block].T @ z / cells)
        information[np.arange(len(information)), np.arange(block.start, block.stop)] = 0.0
        mean[block], std[block] = information.mean(axis=1), information.std(axis=1)
    return mean, np.where(std == 0, 1.0, std)


BASELINE = Baseline(
    name="clr",
    score=clr,
    signed=True,
    seeded=False,
    source="Faith et al. 2007, PLoS Biology 5:e8",
    summary="mutual information of regulator and target against the background of both, with the correlation's sign",
)
