"""GENIE3: a random forest for every gene."""

from __future__ import annotations

from functools import partial

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, target_by_target

TREES = 1000


def genie3(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0, trees: int = TREES) -> np.ndarray:
    """How much of each gene's variance the splits on a regulator explain.

    For each gene, scaled to unit variance, a forest of fully grown regression trees on bootstrapped cells predicts it
    from the regulators; at each node the square root of their number are candidates. The score is the decrease of
    variance at the nodes that split on the regulator, each weighted by its share of the cells, averaged over trees:
    the scores of a gene add up to the share of its variance that the trees explain (of the cells they grew on).

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Of the forests.
    trees
        Trees of each forest. Time grows with their number: the published 1000 take several seconds for each gene of
        2000 cells.

    Returns
    -------
    Scores (regulators, genes), 0 or larger; 0 for a regulator with itself and for genes that never vary.
    """
    return target_by_target(partial(_forest, trees=trees), np.asarray(x, dtype=np.float32), regulators, seed)


def _forest(inputs: np.ndarray, target: np.ndarray, seed: int, *, trees: int) -> np.ndarray:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=trees, max_features="sqrt", random_state=seed)
    forest.fit(inputs, target / target.std())
    # The forest's own importances are scaled to add up to 1 for each gene, however little is explained.
    return np.mean([tree.tree_.compute_feature_importances(normalize=False) for tree in forest.estimators_], axis=0)


BASELINE = Baseline(
    name="genie3",
    score=genie3,
    signed=False,
    seeded=True,
    source="Huynh-Thu, Irrthum, Wehenkel & Geurts 2010, PLoS ONE 5:e12776",
    summary="share of the target's variance explained by splits on the regulator in a random forest",
)
