"""Signed attention without any norm: the comparison that shows what the sphere is worth."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines._trained import trained
from grn.evaluation.baselines.baseline import Baseline


def unnormalised_attention(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Effects of the regulatory model trained with the bare scores q . k as its weights.

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
    Scores (regulators, genes) in standard deviations of the target; 0 for a regulator with itself.
    """
    return trained(x, regulators, attention="unnormalised", seed=seed)


BASELINE = Baseline(
    name="unnormalised_attention",
    score=unnormalised_attention,
    signed=True,
    seeded=True,
    source="Katharopoulos et al. 2020, arXiv 2006.16236 (linear attention)",
    summary="effect of the regulator in our model trained with signed attention that is not normalised",
)
