"""Does the expression agree with the prior? A test without parameters, and the strength that follows from it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

# The z from which on a prior is used at all.
Z0 = 2.0


def agreement(weights: np.ndarray, known: sparse.csr_array) -> float:
    r"""Standard score (z) of the agreement between a network and the known edges.

    .. math:: z = \frac{\sum_{ji} X_{ji} Q_{ji}}{\sqrt{\sum X^2 \sum Q^2 / ((r - 1)(c - 1))}}

    Where: X is abs(weights) and Q the known edges (0 or 1), both over the r regulators and c targets that have a known
    edge, both centred by row and by column. Under independent permutations of the regulators' and of the targets'
    labels, the sum has mean 0 and exactly that standard deviation. Centring takes out how many edges and how
    much weight a regulator or a target has: well-known regulators with strong edges are no agreement.

    Parameters
    ----------
    weights
        `(regulators, genes)`.
    known
        `(regulators, genes)`; what is stored are known edges.

    Returns
    -------
    float
        0 where fewer than three regulators or three targets have a known edge, or nothing varies.
    """
    rows = np.flatnonzero(np.diff(known.indptr))
    columns = np.unique(known.indices)
    if len(rows) < 3 or len(columns) < 3:
        return 0.0
    size = np.abs(weights[np.ix_(rows, columns)], dtype=np.float64)
    strong, edges = centre(size), centre((known[rows][:, columns].toarray() != 0).astype(np.float64))
    # Rounding leaves a little of what does not vary.
    if (strong**2).sum() <= 1e-20 * (size**2).sum() or (edges**2).sum() <= 1e-20 * edges.size:
        return 0.0
    variance = (strong**2).sum() * (edges**2).sum() / ((len(rows) - 1) * (len(columns) - 1))
    return float((strong * edges).sum() / np.sqrt(variance))


def gate(z: float) -> float:
    """Strength for an agreement z: 1 - (2 / z)^2, never below 0.

    The expected square of z is 1 where nothing agrees, so 1 - 1 / z^2 is the share of it that is signal; the 2 in place
    of 1 keeps chance out (z above 2 in 2 % of random priors).
    """
    return max(0.0, 1.0 - (Z0 / z) ** 2) if z > 0 else 0.0


def centre(x: np.ndarray) -> np.ndarray:
    """Without row means and column means."""
    centred = x - x.mean(0)
    centred -= x.mean(1, keepdims=True)
    centred += x.mean()
    return centred
