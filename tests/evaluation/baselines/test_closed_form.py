import numpy as np
import pytest
import torch

import grn
from grn.data import check
from grn.data.statistics import gene_statistics
from grn.evaluation.baselines.closed_form import closed_form
from grn.models import choose_noise


def test_ridge_with_the_noise_that_halves_of_the_cells_agree_on(monkeypatch):
    """Blood cells: detection channels, and a choice in the middle of the path is not taken for granted."""
    checked = check(grn.datasets.pbmc68k())
    x = checked.x if isinstance(checked.x, np.ndarray) else checked.x.toarray()
    chosen, halves = [], []

    def noted(*moments):
        halves.append(moments)
        chosen.append(choose_noise(*moments))
        return chosen[-1]

    monkeypatch.setattr("grn.models.choose_noise", noted)
    found = closed_form(x, checked.regulators, seed=3)
    # Both channels' values, from the statistics of the genes.
    statistics = gene_statistics(checked.x)
    z = (x.astype(float) - statistics.mean) / statistics.std
    share = statistics.detection[checked.regulators].astype(float)
    seen = ((x[:, checked.regulators] > 0) - share) / np.sqrt(share * (1 - share))
    values = np.hstack([z[:, checked.regulators], seen]).T
    # Every cell is in one half, half of them in each.
    one, other = halves[0]
    assert one.cells + other.cells == len(x)
    assert 0.4 < one.cells / len(x) < 0.6
    np.testing.assert_allclose((one + other).values, values @ values.T, rtol=1e-3, atol=0.05)
    side = torch.rand(len(x), generator=torch.Generator().manual_seed(3)).numpy() < 0.5
    assert {one.cells, other.cells} == {int(side.sum()), int((~side).sum())}
    # Both channels' normal equations, for one gene that is no regulator.
    target = int(np.setdiff1d(np.arange(x.shape[1]), checked.regulators)[7])
    ridge = chosen[0].noise ** 2 * np.eye(len(values))
    weights = np.linalg.solve(values @ values.T / len(x) + ridge, values @ z[:, target] / len(x)).reshape(2, -1)
    blocks = values.reshape(2, -1, len(x))
    contribution = (weights[:, :, None] * blocks).sum(0)
    expected = np.sqrt((contribution**2).mean(1)) * np.sign((contribution * blocks[0]).mean(1))
    np.testing.assert_allclose(found[:, target], expected, rtol=1e-3, atol=1e-6)


def test_continuous_values_have_one_channel(planted):
    """Where every value is above zero the effect is the coefficient: clean data give it back unshrunken."""
    x = planted.x - planted.x.min() + 1.0
    found = closed_form(x, planted.regulators)
    targets = np.setdiff1d(np.arange(20), planted.regulators)
    true = planted.truth[:, targets] * x[:, planted.regulators].std(0)[:, None] / x[:, targets].std(0)
    assert found[:, targets][true != 0] == pytest.approx(true[true != 0], abs=0.08)
