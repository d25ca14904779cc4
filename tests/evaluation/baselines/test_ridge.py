import numpy as np
from sklearn.linear_model import Ridge, RidgeCV

from grn.evaluation.baselines.baseline import standardise
from grn.evaluation.baselines.ridge import PENALTIES, ridge


def leave_one_out(inputs, target, penalty):
    """Squared error of each cell's prediction from a fit without it."""
    error = 0.0
    for cell in range(len(target)):
        rest = np.arange(len(target)) != cell
        fit = Ridge(alpha=penalty).fit(inputs[rest], target[rest])
        error += (fit.predict(inputs[[cell]])[0] - target[cell]) ** 2
    return error


def test_leave_one_out_the_long_way(expression):
    """A gene that is no regulator, and one that is and may not explain itself."""
    x, regulators, _ = expression
    z = standardise(x)
    found = ridge(x, regulators)
    for target in (0, 4):
        kept = regulators != target
        inputs = z[:, regulators[kept]]
        best = min(PENALTIES, key=lambda penalty: leave_one_out(inputs, z[:, target], penalty))
        expected = Ridge(alpha=best).fit(inputs, z[:, target]).coef_
        np.testing.assert_allclose(found[kept, target], expected, atol=1e-8)


def test_scikit_learn_agrees(planted):
    x = planted.x + np.random.default_rng(0).normal(size=planted.x.shape)
    z, found = standardise(x), ridge(x, planted.regulators)
    for target in range(20):
        kept = planted.regulators != target
        fit = RidgeCV(alphas=list(PENALTIES)).fit(z[:, planted.regulators[kept]], z[:, target])
        np.testing.assert_allclose(found[kept, target], fit.coef_, atol=1e-8)


def test_fewer_cells_than_regulators():
    x = np.random.default_rng(0).normal(size=(15, 30))
    z, regulators = standardise(x), np.arange(25)
    found = ridge(x, regulators)
    for target in (3, 28):
        kept = regulators != target
        fit = RidgeCV(alphas=list(PENALTIES)).fit(z[:, regulators[kept]], z[:, target])
        np.testing.assert_allclose(found[kept, target], fit.coef_, atol=1e-8)
