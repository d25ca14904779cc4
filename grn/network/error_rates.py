"""P-values of edges against permuted genes, and q-values.

The statistic of an edge is what regulator and gene share beyond all other regulators (`PartialRegression`). Its null
distribution comes from the data: the values of every gene are permuted over the cells of its group and batch, each gene
on its own, and all statistics are computed again. A gene keeps its distribution, and the regulators keep their
correlations; what is broken is that the gene depends on them.
Q-values are taken over all pairs of regulator and gene in each group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from grn._log import logger
from grn.data import CheckedData
from grn.data.centring import strata, within_strata
from grn.models.partial_regression import PartialRegression
from grn.network.permutation import PooledNull, qvalues

MIN_CELLS = 20


@dataclass(frozen=True)
class ErrorRates:
    """P-values and q-values of every pair, float32 (groups, regulators, genes); 1 for a regulator with itself."""

    pvalue: np.ndarray
    qvalue: np.ndarray


def error_rates(
    checked: CheckedData, *, permutations: int | None = None, cells: int | None = None, seed: int = 0
) -> ErrorRates:
    """P-value and q-value of every pair of regulator and gene, in each group of cells.

    Parameters
    ----------
    checked
        The data; each group's p-values come from its own cells.
    permutations
        How often genes are permuted; None: as often as two million null statistics need, between 2 and 50 times.
    cells
        Groups of more cells are tested on so many, drawn with the seed; None for all.
    seed
        Of the permutations.

    Notes
    -----
    A group of fewer than 20 cells gets p-values of 1.
    """
    names = [None] if checked.groups is None else list(checked.groups.categories)
    codes = strata(checked)
    found = []
    for index, name in enumerate(names):
        rng = np.random.default_rng((seed, 2, index))
        own = np.arange(len(codes)) if name is None else np.flatnonzero(checked.groups == name)
        if cells is not None and len(own) > cells:
            logger.info(
                "p-values%s are computed on %d of %d cells", "" if name is None else f" of {name}", cells, len(own)
            )
            own = np.sort(rng.choice(own, cells, replace=False))
        _, batch = np.unique(codes[own], return_inverse=True)
        if len(own) - batch.max() - 1 < MIN_CELLS - 1:
            logger.warning("%d cells%s are too few to test: p = 1", len(own), "" if name is None else f" of {name}")
            found.append(np.ones((len(checked.regulators), len(checked.genes))))
            continue
        z = within_strata(checked.x[own], batch)
        found.append(pair_pvalues(z, checked.regulators, batch, permutations=permutations, rng=rng))
    pvalue = np.stack(found)
    return ErrorRates(pvalue.astype(np.float32), np.stack([qvalues(one, checked.regulators) for one in pvalue]))


def pair_pvalues(
    z: np.ndarray,
    regulators: np.ndarray,
    batch: np.ndarray,
    *,
    permutations: int | None = None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Two-sided p-value of every pair, float64 (regulators, genes), 1 for a regulator with itself.

    Parameters
    ----------
    z
        Expression (cells, genes), centred within batches and of variance 1, or 0 for genes that do not vary.
    regulators
        Their positions among the genes, int64 (regulators,).
    batch
        Batch of every cell, int (cells,), within which values are permuted.
    permutations
        As in `error_rates`.
    rng
        Of the permutations.
    """
    values = torch.from_numpy(z)
    regression = PartialRegression(values, torch.from_numpy(regulators), lost=int(batch.max()) + 1)
    null = PooledNull(np.abs(regression.statistics().numpy()), z, regulators, permutations)
    for _ in range(null.permutations):
        null.add(np.abs(regression.statistics(torch.from_numpy(_permuted(z, batch, rng))).numpy()))
    return null.pvalues()


def _permuted(z: np.ndarray, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every gene's values shuffled over the cells of each batch, each gene on its own."""
    out = np.empty_like(z)
    for code in range(int(batch.max()) + 1):
        cells = np.flatnonzero(batch == code)
        out[cells] = rng.permuted(np.ascontiguousarray(z[cells].T), axis=1).T
    return out
