"""Softmax attention in the place of spherical attention: the comparison that shows what signs are worth."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines._trained import trained
from grn.evaluation.baselines.baseline import Baseline


def softmax_attention(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Effects of the regulatory model trained with softmax attention, whose weights are all positive.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Of the first weights and of the order of cells.

    Returns
    -------
    Scores (regulators, genes), not negative, in standard deviations of the target; 0 for a regulator with itself.
    """
    return np.abs(trained(x, regulators, attention="softmax", seed=seed))


BASELINE = Baseline(
    name="softmax_attention",
    score=softmax_attention,
    signed=False,
    seeded=True,
    source="Vaswani et al. 2017, arXiv 1706.03762",
    summary="effect of the regulator in our model trained with softmax attention, without a sign",
)
