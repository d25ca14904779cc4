import numpy as np

from grn.evaluation.baselines.pearson import pearson


def test_numpy_agrees(expression):
    x, regulators, _ = expression
    varying = np.delete(np.arange(12), 5)
    expected = np.corrcoef(x[:, varying].T)
    np.fill_diagonal(expected, 0)
    rows = [0, 1, 3]
    found = pearson(x, regulators)[np.ix_(rows, varying)]
    np.testing.assert_allclose(found, expected[np.searchsorted(varying, regulators[rows])], atol=1e-12)
