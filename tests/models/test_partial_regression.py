"""Statistics of pairs against regressions done one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from grn.models.partial_regression import MOST_FREEDOM, PENALTIES, PartialRegression

CELLS, GENES, REGULATORS = 60, 9, 5


def expression(seed: int = 0, cells: int = CELLS, genes: int = GENES, regulators: int = REGULATORS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(cells, genes, generator=generator, dtype=torch.float64)
    z[:, 1] += z[:, 0]
    z[:, regulators:] += z[:, :regulators] @ torch.randn(
        regulators, genes - regulators, generator=generator, dtype=torch.float64
    )
    z = z - z.mean(0)
    return z / z.std(0, correction=0)


def ridge(v: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Residual of y (cells,) on v."""
    weights = np.linalg.solve(v.T @ v + penalty * np.eye(v.shape[1]), v.T @ y)
    return np.asarray(y - v @ weights)


def one_penalty(monkeypatch: pytest.MonkeyPatch, penalty: float) -> None:
    monkeypatch.setattr("grn.models.partial_regression.PENALTIES", (penalty,))


@pytest.mark.parametrize("penalty", [1e-3, 0.3])
@pytest.mark.parametrize("own", [False, True], ids=["all values", "other values"])
def test_against_pairs_one_by_one(monkeypatch: pytest.MonkeyPatch, penalty: float, own: bool) -> None:
    one_penalty(monkeypatch, penalty)
    z = expression()
    targets = z if own else z[torch.randperm(CELLS, generator=torch.Generator().manual_seed(1))]
    regression = PartialRegression(z, torch.arange(REGULATORS))
    found = regression.statistics(None if own else targets).numpy()
    slopes, residuals = (one.numpy() for one in regression.fit())
    fit = regression._fits[0]
    for target in range(GENES):
        for source in range(REGULATORS):
            if source == target:
                assert found[source, target] == 0
                continue
            others = [one for one in range(REGULATORS) if one not in (source, target)]
            v, y = z[:, others].numpy(), targets[:, target].numpy()
            r, e = ridge(v, z[:, source].numpy(), penalty * CELLS), ridge(v, y, penalty * CELLS)
            # How unequal the cells' products are is taken from residuals on all regulators.
            rest = [one for one in range(REGULATORS) if one != target]
            whole = ridge(z[:, rest].numpy(), y, penalty * CELLS)
            node = ridge(np.delete(z[:, :REGULATORS].numpy(), source, 1), z[:, source].numpy(), penalty * CELLS)
            unequal = CELLS * (node**2 @ whole**2) / (node**2).sum() / (whole**2).sum()
            expected = (r @ e) / np.sqrt((r**2).sum() * (e**2).sum() / fit.left * max(unequal, 0.05))
            assert found[source, target] == pytest.approx(expected, rel=1e-6)
        rest = [one for one in range(REGULATORS) if one != target]
        np.testing.assert_allclose(
            residuals[:, target], ridge(z[:, rest].numpy(), z[:, target].numpy(), penalty * CELLS), atol=1e-9
        )
        if target < REGULATORS:
            assert slopes[target, target] == 0


def test_nearly_without_penalty_it_is_the_t_test_of_the_partial_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    one_penalty(monkeypatch, 1e-6)
    z = expression(cells=4000)
    found = PartialRegression(z, torch.arange(REGULATORS)).statistics()[:, REGULATORS:].numpy()
    v, y = z[:, :REGULATORS].numpy(), z[:, REGULATORS].numpy()
    precision = np.linalg.inv(np.cov(np.column_stack([v, y]), rowvar=False))
    for source in range(REGULATORS):
        partial = -precision[source, -1] / np.sqrt(precision[source, source] * precision[-1, -1])
        assert found[source, 0] == pytest.approx(partial * np.sqrt(4000 - 1 - REGULATORS), rel=0.05)


@pytest.mark.parametrize(("cells", "regulators"), [(300, 20), (60, 100)])
def test_standard_normal_where_nothing_regulates(cells: int, regulators: int) -> None:
    z = torch.randn(cells, 300, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z = (z - z.mean(0)) / z.std(0)
    found = PartialRegression(z, torch.arange(regulators)).statistics()[:, regulators:].numpy()
    assert abs(found.mean()) < 0.05
    assert found.std() == pytest.approx(1, abs=0.1)


def test_an_indirect_path_does_not_count_and_a_direct_one_does() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 12, generator=generator, dtype=torch.float64)
    z[:, 1] += 1.5 * z[:, 0]  # 0 -> 1 -> 11
    z[:, 11] += 1.5 * z[:, 1]
    z = (z - z.mean(0)) / z.std(0)
    found = PartialRegression(z, torch.arange(10)).statistics()
    assert abs(float(stats.pearsonr(z[:, 0], z[:, 11])[0])) > 0.5
    assert abs(found[0, 11]) < 3
    assert found[1, 11] > 10
    # A regulator that is the target leaves the regression of the other, so both directions say the same.
    assert float(found[0, 1]) == pytest.approx(float(found[1, 0]), rel=0.2)


def test_penalties_leave_half_of_the_freedom() -> None:
    z = expression(cells=40, genes=120, regulators=100)
    regression = PartialRegression(z, torch.arange(100))
    assert len(regression._fits) < len(PENALTIES)
    assert all(fit.freedom <= MOST_FREEDOM * 39 for fit in regression._fits)
    assert torch.isfinite(regression.statistics()).all()


def test_constant_genes_give_no_statistic() -> None:
    z = expression()
    z[:, 2] = 0
    z[:, 8] = 0
    found = PartialRegression(z, torch.arange(REGULATORS)).statistics()
    assert torch.isfinite(found).all()
    assert not found[2].any()
    assert not found[:, 8].any()
