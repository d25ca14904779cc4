import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from grn.evaluation.baselines import grnboost2 as module
from grn.evaluation.baselines.grnboost2 import grnboost2


def test_scikit_learn_agrees_without_random_draws(expression, monkeypatch):
    monkeypatch.setattr(module, "SHARE_OF_CELLS", 1.0)
    monkeypatch.setattr(module, "SHARE_OF_REGULATORS", 1.0)
    x, regulators, _ = expression
    found = grnboost2(x, regulators, rounds=60)
    for target in (0, 4):
        kept = regulators != target
        model = GradientBoostingRegressor(learning_rate=0.01, n_estimators=60, max_depth=3, random_state=0)
        model.fit(x[:, regulators[kept]].astype(np.float32), x[:, target].astype(np.float32))
        np.testing.assert_allclose(found[kept, target], 60 * model.feature_importances_, atol=0.3)


def test_the_published_settings():
    settings = (module.ROUNDS, module.WINDOW, module.RATE, module.SHARE_OF_CELLS, module.SHARE_OF_REGULATORS)
    assert settings == (5000, 25, 0.01, 0.9, 0.1)


def test_genes_that_can_be_predicted_weigh_more(planted):
    """Scores of a gene add up to the rounds: what cannot be predicted stops early."""
    total = grnboost2(planted.x, planted.regulators, rounds=300).sum(axis=0)
    targets = np.setdiff1d(np.arange(20), planted.regulators)
    assert total[targets] == pytest.approx(np.full(15, 300.0))
    assert total[planted.regulators].min() >= 25
    assert total[planted.regulators].max() < 200
