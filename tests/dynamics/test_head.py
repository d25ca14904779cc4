"""The map of a trajectory against the same formulas written naively, and against a system whose weights are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from grn.dynamics.dynamics import standardise
from grn.dynamics.head import Pairs, dynamics_map, effects, fit, pairs, window
from grn.dynamics.lagged_ridge import lagged_ridge


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def some_pairs(windows: int = 40, genes: int = 7) -> Pairs:
    x = generator().normal(size=(windows, 2 * genes))
    x[:, 1] += x[:, 0]  # correlated regulators
    x -= x.mean(0)
    return Pairs(x[:, :genes], x[:, genes:] + 0.5 * x[:, [0]])


def test_window() -> None:
    assert [window(cells) for cells in (20, 100, 110, 2000)] == [5, 5, 6, 100]


def test_pairs_are_window_means_and_their_change() -> None:
    x = generator().normal(size=(130, 3))
    times = [np.where(np.arange(130) < 110, -np.arange(130.0), np.nan), np.arange(130.0), np.full(130, np.nan)]
    times[2][:19] = np.arange(19)  # too short for windows of five
    found = pairs(x, times, generator())
    states, changes = [], []
    for cells in (range(109, -1, -1), range(130)):
        length, z = window(len(cells)), x[list(cells)]
        means = np.array([z[start : start + length].mean(0) for start in range(len(z) - length + 1)])
        state = means[:-length]
        change = np.array([means[at + length] - means[at] for at in range(len(state))])
        states.append(state - state.mean(0))
        changes.append(change - change.mean(0))
    np.testing.assert_allclose(found.state, np.concatenate(states), atol=1e-12)
    np.testing.assert_allclose(found.change, np.concatenate(changes), atol=1e-12)


def test_fit_is_ridge_with_the_own_past_free() -> None:
    """Gene by gene: the normal equations with a penalty on all columns but the gene's own."""
    data, regulators = some_pairs(), np.array([0, 1, 4])
    found = fit(data, regulators)
    x = data.state[:, regulators]
    penalty = 0.03 * np.trace(x.T @ x / len(x))
    for gene in range(data.state.shape[1]):
        others = [position for position, regulator in enumerate(regulators) if regulator != gene]
        design = np.c_[data.state[:, gene], x[:, others]]
        diagonal = np.diag([0.0, *[penalty] * len(others)])
        solved = np.linalg.solve(design.T @ design / len(x) + diagonal, design.T @ data.change[:, gene] / len(x))
        assert found.own[gene] == pytest.approx(solved[0], abs=1e-9)
        np.testing.assert_allclose(found.weights[others, gene], solved[1:], atol=1e-9)
    assert (found.weights[np.arange(3), regulators] == 0).all()


def test_constant_genes_get_no_weight() -> None:
    data = some_pairs()
    data.state[:, [1, 5]] = 0.0
    data.change[:, [1, 5]] = 0.0
    found = dynamics_map(data, np.array([0, 1, 4]))
    assert np.isfinite(found).all()
    assert (found[1] == 0).all()
    assert (found[:, [1, 5]] == 0).all()


def test_effects_are_rows_with_a_floor_of_one_size() -> None:
    weights, spread = generator().normal(size=(3, 5)), np.array([1.0, 2.0, 0.5])
    moved = weights * spread[:, None]
    squares = [(moved[:, gene] ** 2).sum() for gene in range(5)]
    rows = np.column_stack([moved[:, gene] / np.sqrt(squares[gene] + np.mean(squares)) for gene in range(5)])
    np.testing.assert_allclose(effects(weights, spread), rows / np.sqrt((rows**2).mean()), atol=1e-12)


def test_a_linear_system_is_found_and_time_has_a_direction(system: Callable) -> None:
    one = system()
    z, size = standardise(one.x), np.sqrt((one.weights**2).mean())

    def agreement(found: np.ndarray) -> float:
        return float((found * one.weights).mean() / size)

    forward, backward = (
        dynamics_map(pairs(z, [time], generator()), one.regulators) for time in (one.time, one.time.max() - one.time)
    )
    assert agreement(forward) > 0.8
    assert agreement(backward) < -0.8
    assert np.square(forward + backward).mean() < 0.1  # what runs both ways cancels
    lagged = lagged_ridge(z, [one.time], one.regulators, generator())
    assert agreement(lagged / np.sqrt((lagged**2).mean())) > 0.6


def test_lagged_ridge_is_the_same_regression_of_cells() -> None:
    x, regulators = generator().normal(size=(60, 5)), np.array([0, 2])
    found = lagged_ridge(x, [np.arange(60.0)], regulators, generator())
    state, change = x[:-3], x[3:]
    naive = fit(Pairs(state - state.mean(0), change - change.mean(0)), regulators).weights
    np.testing.assert_allclose(found, naive, atol=1e-12)
