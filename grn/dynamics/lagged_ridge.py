"""The simplest method that knows time, to compare with: ridge regression from cell to later cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grn.dynamics.head import STEP, Pairs, fit
from grn.dynamics.trajectories import order


def lagged_ridge(
    z: np.ndarray, times: Sequence[np.ndarray], regulators: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Coefficients (regulators, genes) of z of a later cell on the regulators and the target of an earlier one.

    Without windows, without row norms and without a gate: a cell is paired with the cell 5 % of the trajectory later.

    Parameters
    ----------
    z
        Standardised expression, float64 (cells, genes).
    times
        Of each trajectory, (cells,), NaN off it.
    regulators
        Their positions among the genes, int64 (regulators,).
    generator
        Decides the order of cells of equal time.
    """
    earlier, later = [], []
    for time in times:
        cells = order(time, generator)
        lag = max(1, round(STEP * len(cells)))
        earlier.append(z[cells[:-lag]])
        later.append(z[cells[lag:]])
    state, change = np.concatenate(earlier), np.concatenate(later)
    return fit(Pairs(state - state.mean(0), change - change.mean(0)), regulators).weights
