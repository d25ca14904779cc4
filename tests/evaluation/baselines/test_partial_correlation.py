import numpy as np
from sklearn.covariance import LedoitWolf

from grn.evaluation.baselines.partial_correlation import partial_correlation


def test_scikit_learn_agrees(expression):
    x, regulators, _ = expression
    varying = np.delete(np.arange(12), 5)
    z = (x[:, varying] - x[:, varying].mean(0)) / x[:, varying].std(0)
    precision = LedoitWolf().fit(z).get_precision()
    spread = np.sqrt(precision.diagonal())
    expected = -precision / np.outer(spread, spread)
    np.fill_diagonal(expected, 0)
    rows = [0, 1, 3]
    found = partial_correlation(x, regulators)[np.ix_(rows, varying)]
    np.testing.assert_allclose(found, expected[np.searchsorted(varying, regulators[rows])], atol=1e-10)


def test_it_is_the_correlation_of_what_is_left():
    """With many cells there is no shrinkage to speak of, and residuals of two regressions say the same."""
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 5)) @ random.normal(size=(5, 5))
    rest = np.column_stack([x[:, 2:], np.ones(len(x))])
    left = x[:, :2] - rest @ np.linalg.lstsq(rest, x[:, :2], rcond=None)[0]
    found = partial_correlation(x, np.array([0]))[0, 1]
    assert abs(found - np.corrcoef(left.T)[0, 1]) < 0.02


def test_fewer_cells_than_genes():
    x = np.random.default_rng(0).normal(size=(12, 40))
    assert np.abs(partial_correlation(x, np.arange(5))).max() <= 1
