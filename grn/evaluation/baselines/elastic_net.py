"""Elastic net regression of every gene on the regulators."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, standardise, target_by_target

MIXING = 0.5
FOLDS = 3
PENALTIES = 20
ROUNDS = 20_000  # of coordinate descent; copies of one regulator need many


def elastic_net(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    r"""Sparse coefficients of the regulators in a joint regression for each gene.

    .. math:: w_i = \arg\min_w \frac{1}{2n} \sum_c (z_{ci} - \sum_j w_j z_{cj})^2
        + \frac{\alpha_i}{2} \sum_j |w_j| + \frac{\alpha_i}{4} \sum_j w_j^2

    Where: z is expression standardised over the n cells; j runs over the regulators other than gene i; alpha_i is the
    best of twenty by the error in three folds of the cells (scikit-learn's ElasticNetCV, its mixing of one half).
    Many scores are exactly 0.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Of the folds.

    Returns
    -------
    Scores (regulators, genes) in standard deviations of the target; 0 for a regulator with itself.
    """
    return target_by_target(_fit, standardise(x), regulators, seed)


def _fit(inputs: np.ndarray, target: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import ElasticNetCV
    from sklearn.model_selection import KFold

    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    return ElasticNetCV(l1_ratio=MIXING, alphas=PENALTIES, cv=folds, max_iter=ROUNDS).fit(inputs, target).coef_


BASELINE = Baseline(
    name="elastic_net",
    score=elastic_net,
    signed=True,
    seeded=True,
    source="Zou & Hastie 2005, Journal of the Royal Statistical Society B 67:301",
    summary="coefficient of the regulator in a sparse regression of the target on all regulators",
)
