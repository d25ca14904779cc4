"""What a baseline is, and the steps that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grn._process import unchanged_process


class Score(Protocol):
    """Scores (regulators, genes) from expression (cells, genes) and the regulators' positions, int64 (regulators,)."""

    def __call__(self, x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:  # noqa: D102
        ...


@dataclass(frozen=True)
class Baseline:
    """A method by its name.

    Attributes
    ----------
    name
        As in `method=name`.
    score
        The function.
    signed
        Whether scores tell activation (positive) from repression (negative); those of an unsigned method are
        importances, 0 or larger.
    seeded
        Whether the result depends on the seed.
    source
        Citation.
    summary
        What a score means, in one line.
    """

    name: str
    score: Score
    signed: bool
    seeded: bool
    source: str
    summary: str


def standardise(x: np.ndarray) -> np.ndarray:
    """Expression (cells, genes) in units of each gene's standard deviation around its mean, float64.

    A gene that never varies is 0 in every cell, as for our model.
    """
    wide = np.asarray(x, dtype=np.float64)
    mean, std = wide.mean(axis=0), wide.std(axis=0)
    constant = std < 1e-6 * np.maximum(np.abs(mean), 1.0)
    z = (wide - mean) / np.where(constant, 1.0, std)
    z[:, constant] = 0.0
    return z


def without_self(scores: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    """The same array (regulators, genes) with 0 where a regulator meets itself."""
    scores[np.arange(len(regulators)), regulators] = 0.0
    return scores


def target_by_target(
    fit: Callable[[np.ndarray, np.ndarray, int], np.ndarray], x: np.ndarray, regulators: np.ndarray, seed: int
) -> np.ndarray:
    """Scores (regulators, genes) of a method that regresses one target at a time, on all processors.

    Parameters
    ----------
    fit
        Takes the other regulators' expression (cells, regulators left), the target's (cells,) and a seed; gives one
        score for each of these regulators. A regulator is never used to explain itself.
    x
        Expression (cells, genes).
    regulators
        Positions of the regulators, int64 (regulators,).
    seed
        Each target draws a seed of its own from it, so results do not depend on the number of processors.
    """
    from joblib import Parallel, delayed

    seeds = np.random.SeedSequence(seed).generate_state(x.shape[1])
    inputs = x[:, regulators]

    def one(target: int) -> np.ndarray:
        others = regulators != target
        row = np.zeros(len(regulators))
        if np.ptp(x[:, target]) > 0 and others.any():
            row[others] = fit(inputs[:, others], x[:, target], int(seeds[target]))
        return row

    # scikit-learn draws from NumPy's random numbers, and filters warnings in every thread at once.
    with unchanged_process():
        rows = Parallel(n_jobs=-1, prefer="threads")(delayed(one)(target) for target in range(x.shape[1]))
    return np.stack(list(rows), axis=1)
