import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from grn.evaluation.baselines.genie3 import TREES, genie3


def test_scikit_learn_agrees_up_to_each_genes_scale(expression):
    x, regulators, _ = expression
    found = genie3(x, regulators, seed=7, trees=15)
    seeds = np.random.SeedSequence(7).generate_state(12)
    for target in (0, 4):
        kept = regulators != target
        inputs, values = x[:, regulators[kept]].astype(np.float32), x[:, target].astype(np.float32)
        forest = RandomForestRegressor(n_estimators=15, max_features="sqrt", random_state=int(seeds[target]))
        forest.fit(inputs, values / values.std())
        scores = found[kept, target]
        # Each tree's importances are scaled before the mean in one and after it in the other.
        np.testing.assert_allclose(scores / scores.sum(), forest.feature_importances_, atol=0.05)


def test_scores_of_a_gene_are_the_share_explained(planted):
    """Fully grown trees explain all variance of their own cells, whatever the units of the gene."""
    scaled = planted.x * np.arange(1, 21)
    found = genie3(scaled, planted.regulators, trees=20)
    assert found.sum(axis=0) == pytest.approx(np.ones(20), abs=0.15)


def test_the_published_number_of_trees():
    assert TREES == 1000
