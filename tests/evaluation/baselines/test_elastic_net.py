import numpy as np
from sklearn.linear_model import ElasticNetCV
from sklearn.model_selection import KFold

from grn.evaluation.baselines.baseline import standardise
from grn.evaluation.baselines.elastic_net import elastic_net


def test_scikit_learn_agrees(expression):
    x, regulators, _ = expression
    z, found = standardise(x), elastic_net(x, regulators, seed=7)
    seeds = np.random.SeedSequence(7).generate_state(12)
    for target in (0, 4, 11):
        kept = regulators != target
        folds = KFold(3, shuffle=True, random_state=int(seeds[target]))
        fit = ElasticNetCV(l1_ratio=0.5, alphas=20, cv=folds, max_iter=20_000).fit(z[:, regulators[kept]], z[:, target])
        np.testing.assert_allclose(found[kept, target], fit.coef_, atol=1e-12)


def test_regulators_without_a_say_are_left_out(planted):
    scores = elastic_net(planted.x, planted.regulators)
    targets = np.setdiff1d(np.arange(20), planted.regulators)
    # Two in five are true; sparse, but chosen for prediction, so not exactly those two.
    assert 0.4 <= (scores[:, targets] != 0).mean() < 0.9
    assert np.abs(scores[:, planted.regulators]).max() < 0.3
