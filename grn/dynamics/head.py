"""The dynamics head: which regulators now go with which change of a target a moment later, in closed form.

    E   mean expression of a window of cells along a trajectory              (windows, genes)
    Y   mean of the window one step later, minus E
    W_i, a_i = argmin  mean over windows of (Y_i - a_i E_i - sum_j W_ji E_j)^2  +  lambda |W_i|^2

Notable choices
- Window and step are one length, a twentieth of the trajectory's cells: single cells are too noisy to follow.
- E and Y are centred within each trajectory, so what differs between lineages is no change in time.
- A target's own past is free of penalty: decay and return to the mean are its own, not a regulator's.
- The penalty is the one of the steady view, a share of the total variance (`grn.models.view`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from grn.dynamics.trajectories import order
from grn.models.readout import read_out

STEP = 0.05  # window and step, in parts of a trajectory's cells
FEWEST = 5  # cells in a window at least
SHARE = 0.03  # penalty, in parts of the total variance of the regulators' windows


@dataclass(frozen=True)
class Pairs:
    """Windows and their change one step later, float64 (windows, genes) each, centred within each trajectory."""

    state: np.ndarray
    change: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Weights (regulators, genes), zero for a gene itself, and each gene's coefficient of its own past (genes,)."""

    weights: np.ndarray
    own: np.ndarray


def window(cells: int) -> int:
    """Length of window and step on a trajectory of so many cells."""
    return max(FEWEST, round(STEP * cells))


def pairs(z: np.ndarray, times: Sequence[np.ndarray], generator: np.random.Generator) -> Pairs:
    """All windows of all trajectories that have four or more window lengths of cells.

    Parameters
    ----------
    z
        Standardised expression, float64 (cells, genes).
    times
        Of each trajectory, (cells,), NaN off it.
    generator
        Decides the order of cells of equal time.
    """
    none = np.empty((0, z.shape[1]))
    states, changes = [none], [none]
    for time in times:
        cells = order(time, generator)
        length = window(len(cells))
        if len(cells) < 4 * length:
            continue
        sums = np.vstack([none, np.zeros((1, z.shape[1])), np.cumsum(z[cells], axis=0)])
        means = (sums[length:] - sums[:-length]) / length
        state, change = means[:-length], means[length:] - means[:-length]
        states.append(state - state.mean(0))
        changes.append(change - change.mean(0))
    return Pairs(np.concatenate(states), np.concatenate(changes))


def fit(data: Pairs, regulators: np.ndarray) -> Fit:
    """Ridge regression of every change on the regulators' states, the own state free of penalty.

    Eliminating the own coefficient a_i takes c_i c_i^T / v_i out of C, with C the regulators' covariance, c_i theirs
    with E_i and v_i the variance of E_i; Sherman and Morrison give that inverse for all targets from one.

    Parameters
    ----------
    data
        From `pairs`; at least one window.
    regulators
        Their positions among the genes, int64 (regulators,).
    """
    windows = len(data.state)
    x = data.state[:, regulators]
    covariance, with_own = x.T @ x / windows, x.T @ data.state / windows
    variance = np.square(data.state).mean(0) + 1e-12
    moved = (data.state * data.change).mean(0)
    inverse = np.linalg.inv(penalised(covariance))
    u = inverse @ with_own
    weights = inverse @ (x.T @ data.change / windows - with_own * (moved / variance))
    weights += u * ((with_own * weights).sum(0) / np.maximum(variance - (with_own * u).sum(0), 1e-9))
    weights[np.arange(len(regulators)), regulators] = 0.0  # zero already, but for rounding
    return Fit(weights, (moved - (with_own * weights).sum(0)) / variance)


def penalised(covariance: np.ndarray) -> np.ndarray:
    """C + lambda I with lambda = 3 % of the trace of C."""
    penalty = max(SHARE * float(np.trace(covariance)), 1e-12)
    return covariance + penalty * np.eye(len(covariance))


def effects(weights: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Map (regulators, genes) of root mean square 1: weights times the regulator's spread, targets on equal terms.

    Parameters
    ----------
    weights
        (regulators, genes).
    spread
        Standard deviation of each regulator, (regulators,).
    """
    scaled = torch.from_numpy((weights * spread[:, None]).T[None])
    found = read_out(scaled, "sphere")[0].T.numpy()
    return found / max(float(np.sqrt(np.square(found).mean())), 1e-30)


def dynamics_map(data: Pairs, regulators: np.ndarray, fitted: Fit | None = None) -> np.ndarray:
    """Signed map (regulators, genes) of a trajectory, root mean square 1; positive where the target then rises."""
    fitted = fitted or fit(data, regulators)
    return effects(fitted.weights, data.state[:, regulators].std(0))
