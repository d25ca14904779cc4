import numpy as np
import pytest
import torch

import grn
from grn.data import ExpressionDataModule, check
from grn.data.statistics import gene_statistics
from grn.evaluation.baselines.closed_form import closed_form
from grn.models import choose_noise
from grn.training.build import build_model, noise_for


def test_ridge_with_the_noise_that_training_would_choose(monkeypatch):
    """Blood cells: detection channels, and a choice in the middle of the path is not taken for granted."""
    checked = check(grn.datasets.pbmc68k())
    x = checked.x if isinstance(checked.x, np.ndarray) else checked.x.toarray()
    chosen = []

    def noted(*halves):
        chosen.append(choose_noise(*halves))
        return chosen[-1]

    monkeypatch.setattr("grn.models.choose_noise", noted)
    found = closed_form(x, checked.regulators, seed=3)
    settings = {
        "_target_": "grn.models.RegulatoryModel",
        "head_dim": 1,
        "members": 1,
        "attention": "spherical",
        "context": "none",
        "backend": "reference",
    }
    model = build_model(
        settings, regulators=checked.regulators, statistics=gene_statistics(checked.x), n_groups=0, seed=0
    )
    data = ExpressionDataModule(checked, batch_size=x.shape[0], validation_fraction=0.0, seed=3)
    assert chosen[0].noise == noise_for(model, data, 3).noise
    # Both channels' normal equations, for one gene that is no regulator.
    target = int(np.setdiff1d(np.arange(x.shape[1]), checked.regulators)[7])
    cells = torch.from_numpy(np.ascontiguousarray(x))
    values, z = model.values(cells).double().numpy(), model.standardise(cells).double().numpy()
    ridge = chosen[0].noise ** 2 * np.eye(len(values))
    weights = np.linalg.solve(values @ values.T / len(x) + ridge, values @ z[:, target] / len(x)).reshape(2, -1)
    blocks = values.reshape(2, -1, len(x))
    contribution = (weights[:, :, None] * blocks).sum(0)
    expected = np.sqrt((contribution**2).mean(1)) * np.sign((contribution * blocks[0]).mean(1))
    np.testing.assert_allclose(found[:, target], expected, rtol=1e-4, atol=1e-7)


def test_continuous_values_have_one_channel(planted):
    """Where every value is above zero the effect is the coefficient: clean data give it back unshrunken."""
    x = planted.x - planted.x.min() + 1.0
    found = closed_form(x, planted.regulators)
    targets = np.setdiff1d(np.arange(20), planted.regulators)
    true = planted.truth[:, targets] * x[:, planted.regulators].std(0)[:, None] / x[:, targets].std(0)
    assert found[:, targets][true != 0] == pytest.approx(true[true != 0], abs=0.08)
