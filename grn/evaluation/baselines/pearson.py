"""Pearson correlation of each regulator with each gene."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, standardise, without_self


def pearson(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    r"""Correlation of expression over cells.

    .. math:: r_{ji} = \frac{1}{n} \sum_c z_{cj} z_{ci}

    Where: z is expression standardised over the n cells; j a regulator, i a gene. A gene that never varies has the
    score 0.

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
    Scores (regulators, genes) in [-1, 1]; 0 for a regulator with itself.
    """
    z = standardise(x)
    return without_self(z[:, regulators].T @ z / len(z), regulators)


BASELINE = Baseline(
    name="pearson",
    score=pearson,
    signed=True,
    seeded=False,
    source="Pearson 1895, Proceedings of the Royal Society 58:240",
    summary="correlation of regulator and target over cells",
)
