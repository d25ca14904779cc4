import pytest
from scipy.stats import spearmanr

from grn.evaluation.baselines.spearman import spearman


def test_scipy_agrees_where_values_are_tied(expression):
    x, regulators, _ = expression
    assert (x == 0).mean() > 0.3
    found = spearman(x, regulators)
    for row, regulator in enumerate(regulators):
        for gene in range(12):
            if 5 not in (regulator, gene) and regulator != gene:
                assert found[row, gene] == pytest.approx(spearmanr(x[:, regulator], x[:, gene]).statistic, abs=1e-12)
