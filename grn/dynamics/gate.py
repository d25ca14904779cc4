"""The gate: whether a trajectory says enough about direction for its map to be added. It reads no network.

It opens where all of these hold:

- cells: the largest trajectory has at least 100 cells, and every trajectory at least 20 distinct times;
- prediction: fitted on half of the cells, regulators predict the later changes of the other half better than the
  target's own past alone does, and better than with each of 19 permuted times;
- reliability: the maps of the two halves agree, 2 c / (1 + c) >= 0.9 with c their mean cosine over five halvings
  (Spearman 1910; Brown 1910);
- richness: the ridge's degrees of freedom per regulator, tr[C (C + lambda I)^-1] / R >= 0.2. On a smooth path all genes
  follow a few common courses, which many regulators share and nothing tells apart. The penalty leaves 1 / 0.03 = 33
  degrees at most, so with more than 166 regulators the gate never opens.

It cannot see that a time is wrong in a way that still orders cells, or that it runs backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grn.dynamics.head import SHARE, STEP, Fit, Pairs, dynamics_map, fit, pairs, penalised
from grn.dynamics.trajectories import permuted

HALVINGS = 5
PERMUTATIONS = 19
RELIABLE = 0.9
RICH = 0.2
CELLS = 100  # on the largest trajectory; halves of fewer leave few windows
MOST = int(1 / (SHARE * RICH))  # regulators: see above
DISTINCT = round(1 / STEP)  # times of a trajectory: fewer do not order the cells of neighbouring windows


@dataclass(frozen=True)
class Gate:
    """The decision, why in one line, and the facts behind it (plain numbers, for run.json)."""

    open: bool
    reason: str
    facts: dict[str, Any]


def judge(z: np.ndarray, times: Sequence[np.ndarray], regulators: np.ndarray, *, seed: int) -> Gate:
    """Decide whether these times say which regulators precede which changes.

    Parameters
    ----------
    z
        Standardised expression, float64 (cells, genes).
    times
        Of each trajectory, (cells,), NaN off it.
    regulators
        Their positions among the genes, int64 (regulators,).
    seed
        Of halvings and permutations.
    """
    cells = [int(np.isfinite(time).sum()) for time in times]
    distinct = [len(np.unique(time[np.isfinite(time)])) for time in times]
    facts: dict[str, Any] = {"cells": cells, "distinct_times": distinct}
    refusals = []
    if max(cells) < CELLS:
        refusals.append(f"the largest trajectory has {max(cells)} cells, and at least {CELLS} are needed")
    if min(distinct) < DISTINCT:
        refusals.append(f"a trajectory has {min(distinct)} distinct times, and at least {DISTINCT} are needed")
    if max(cells) < CELLS:
        return Gate(False, "; ".join(refusals), facts)

    halvings = [_halves(z, times, regulators, (seed, 0, number)) for number in range(HALVINGS)]
    agreement, gain = (float(np.mean(column)) for column in zip(*halvings, strict=True))
    null = [_halves(z, times, regulators, (seed, 1, number), permute=True)[1] for number in range(PERMUTATIONS)]
    reliability = spearman_brown(agreement)
    rich = richness(pairs(z, times, np.random.default_rng((seed, 2))), regulators)
    facts |= {
        "gain": gain,
        "gain_permuted": float(np.mean(null)),
        "gain_permuted_largest": float(np.max(null)),
        "reliability": reliability,
        "richness": rich,
    }
    if gain <= max(0.0, *null):
        refusals.append(
            f"regulators predict the change of unseen cells no better than the own past or a permuted time "
            f"(gain {gain:.2f}, permuted up to {max(null):.2f})"
        )
    if reliability < RELIABLE:
        refusals.append(f"the map is not found again in other cells (reliability {reliability:.3f}, mark {RELIABLE})")
    if rich < RICH:
        never = f"; with more than {MOST} regulators it is never reached" if len(regulators) > MOST else ""
        refusals.append(f"regulators' courses are too alike to tell apart (richness {rich:.3f}, mark {RICH}{never})")
    found = f"gain {gain:.2f}, permuted up to {max(null):.2f}; reliability {reliability:.2f}; richness {rich:.2f}"
    return Gate(not refusals, "; ".join(refusals) or found, facts)


def spearman_brown(agreement: float) -> float:
    """Reliability of the whole from the agreement of its halves, 2 c / (1 + c); 0 where they do not agree."""
    return 2 * agreement / (1 + agreement) if agreement > 0 else 0.0


def richness(data: Pairs, regulators: np.ndarray) -> float:
    """Degrees of freedom of the ridge per regulator, between 0 and 1."""
    x = data.state[:, regulators]
    covariance = x.T @ x / len(x)
    return float(np.trace(np.linalg.solve(penalised(covariance), covariance))) / len(regulators)


def _halves(
    z: np.ndarray, times: Sequence[np.ndarray], regulators: np.ndarray, seed: tuple[int, ...], *, permute: bool = False
) -> tuple[float, float]:
    """Cosine of two halves' maps, and the gain of regulators over the own past on the other half's cells."""
    generator = np.random.default_rng(seed)
    if permute:
        times = [permuted(time, generator) for time in times]
    first = generator.random(len(z)) < 0.5
    data = [pairs(z, [np.where(half, time, np.nan) for time in times], generator) for half in (first, ~first)]
    fits = [fit(half, regulators) for half in data]
    one, other = (dynamics_map(half, regulators, fitted) for half, fitted in zip(data, fits, strict=True))
    gains = [_gain(fits[0], data[0], data[1], regulators), _gain(fits[1], data[1], data[0], regulators)]
    return float((one * other).mean()), float(np.mean(gains))


def _gain(fitted: Fit, seen: Pairs, unseen: Pairs, regulators: np.ndarray) -> float:
    """1 - squared error / that of the own past alone, both fitted on `seen`, on `unseen`."""
    alone = (seen.state * seen.change).mean(0) / (np.square(seen.state).mean(0) + 1e-12)
    rest = unseen.change - unseen.state * fitted.own - unseen.state[:, regulators] @ fitted.weights
    without = unseen.change - unseen.state * alone
    return 1 - float(np.square(rest).sum()) / max(float(np.square(without).sum()), 1e-30)
