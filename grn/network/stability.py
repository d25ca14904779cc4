"""How often an edge is found again in halves of the cells.

Cells are split at random into two halves of equal composition, again and again, and the network is made from each half
(complementary pairs: Shah and Samworth 2013, J. R. Statist. Soc. B 75:55, after Meinshausen and Buehlmann 2010, J. R.
Statist. Soc. B 72:417). An edge's confidence is the share of the halves in which it has the same sign and is among the
strongest: ten for each gene on average, and a tenth of all pairs at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from grn._errors import InputError
from grn.data import CheckedData
from grn.data.centring import strata

FOR_EACH_GENE = 10
LARGEST_SHARE = 0.1
MIN_CELLS = 10

Refit = Callable[[CheckedData], np.ndarray]


def stability(
    checked: CheckedData, weights: np.ndarray, refit: Refit, *, resamples: int = 20, seed: int = 0
) -> np.ndarray:
    """Share of halves of the cells in which each edge is found again, float32 (groups, regulators, genes).

    Parameters
    ----------
    checked
        The data.
    weights
        The network, (groups, regulators, genes); of its signs.
    refit
        Weights of that shape from other cells of the same genes.
    resamples
        Number of halves, an even number.
    seed
        Of the halves.

    Raises
    ------
    InputError
        If `resamples` is odd or below 2, or the data have fewer than 20 cells.
    """
    check_resamples(resamples)
    if len(checked.cells) < 2 * MIN_CELLS:
        raise InputError(f"confidence needs {2 * MIN_CELLS} cells, to make halves of; there are {len(checked.cells)}.")
    groups, regulators, genes = weights.shape
    kept = int(max(1, min(FOR_EACH_GENE * genes, LARGEST_SHARE * regulators * genes)))
    sign = np.sign(weights)
    found = np.zeros(weights.shape, dtype=np.float32)
    rng = np.random.default_rng((seed, 3))
    codes = strata(checked)
    for _ in range(resamples // 2):
        first = _half(codes, rng)
        for cells in (first, np.setdiff1d(np.arange(len(codes)), first)):
            again = refit(subset(checked, cells))
            for group in range(groups):
                size = np.abs(again[group])
                bound = np.partition(size, size.size - kept, axis=None)[size.size - kept]
                found[group] += (size >= max(float(bound), 1e-30)) & (np.sign(again[group]) == sign[group])
    return found / resamples


def check_resamples(resamples: int) -> None:
    """Refuse a number of halves that is odd or below 2."""
    if not isinstance(resamples, int) or resamples < 2 or resamples % 2:
        raise InputError(f"resamples={resamples!r}: halves of the cells come in pairs, so expected 2, 4, 6 ...")


def subset(checked: CheckedData, cells: np.ndarray) -> CheckedData:
    """The data of some cells, by position, with all genes and the names of all groups and batches."""
    return replace(
        checked,
        x=checked.x[cells],
        cells=checked.cells[cells],
        groups=None if checked.groups is None else checked.groups[cells],
        batches=None if checked.batches is None else checked.batches[cells],
    )


def _half(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every second cell of an order that is random within each stratum, ascending."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    return np.sort(order[::2])
