import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from grn.evaluation.baselines import clr as module
from grn.evaluation.baselines.clr import clr


def by_hand(x, regulators):
    """The definition, one pair at a time."""
    genes = x.shape[1]
    information, correlation = np.zeros((genes, genes)), np.zeros((genes, genes))
    for a in range(genes):
        for b in range(genes):
            if a != b and np.ptp(x[:, a]) and np.ptp(x[:, b]):
                correlation[a, b] = spearmanr(x[:, a], x[:, b]).statistic
                information[a, b] = -0.5 * math.log(1 - correlation[a, b] ** 2)
    scores = np.zeros((len(regulators), genes))
    for row, a in enumerate(regulators):
        for b in range(genes):
            if a != b and correlation[a, b]:
                z = [max(0.0, (information[a, b] - own.mean()) / own.std()) for own in (information[a], information[b])]
                scores[row, b] = math.copysign(math.hypot(*z), correlation[a, b])
    return scores


@pytest.mark.parametrize("block", [5, 1024])
def test_the_definition_by_hand(expression, monkeypatch, block):
    monkeypatch.setattr(module, "_BLOCK", block)
    x, regulators, _ = expression
    np.testing.assert_allclose(clr(x, regulators), by_hand(x, regulators), atol=1e-10)


def test_a_hub_is_no_evidence():
    """What correlates with everything says less about each gene than what correlates with that gene alone."""
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 30))
    x[:, 2:] += 1.5 * x[:, [0]]  # gene 0 drives all
    x[:, 2] += 1.5 * x[:, 1]  # gene 1 drives gene 2
    scores = clr(x, np.array([0, 1]))
    assert scores[1, 2] > scores[0, 2]
    assert abs(np.corrcoef(x[:, 1], x[:, 2])[0, 1]) < abs(np.corrcoef(x[:, 0], x[:, 3])[0, 1])


def test_copies_stay_finite():
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[:, 3] = x[:, 0]
    assert np.isfinite(clr(x, np.array([0, 1]))).all()
