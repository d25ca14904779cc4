"""Edges that differ between groups of cells: effect, p-value and q-value.

One fit over all cells serves every group (`grn.network.contexts`): an edge differs where what the fit leaves over goes
with the regulator in one group and not in the other. For the groups a and b, with residuals r of the regulator and e of
the gene,

    effect = d_a - d_b,   d_g = sum_{c in g} r_jc e_ic / sum_{c in g} r_jc^2       T = effect / its standard error

in standard deviations of the target for one of the regulator. P-values come from permuting the labels of the cells of
both groups within batches, and computing every T again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn.data import CheckedData
from grn.data.centring import batches
from grn.data.groups import group_name
from grn.network.contexts import Residuals
from grn.network.permutation import PooledNull, check_permutations, qvalues, real_pairs

REST = "rest"
MIN_CELLS = 10
COLUMNS = [
    *("source", "target", "group", "reference", "effect", "weight_group", "weight_reference"),
    *("statistic", "pvalue", "qvalue"),
]


def differential(
    checked: CheckedData,
    *,
    group: str | None = None,
    reference: str = REST,
    permutations: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every edge between groups of cells.

    Parameters
    ----------
    checked
        The data, with groups.
    group
        Compare this group; None: every group in turn, or with two groups and reference="rest" the first and the second.
    reference
        The group to compare with, or "rest": all other cells.
    permutations
        Of the labels; None: as many as two million null statistics need, between 2 and 50.
    seed
        Of the permutations.

    Returns
    -------
    DataFrame
        One row for every pair of regulator and gene and each comparison, the smallest p-value first: `source`,
        `target`, `group`, `reference`, `effect` (positive: more activating, or less repressing, in `group`),
        `weight_group` and `weight_reference` (the slopes whose difference the effect is), `statistic`, `pvalue`,
        `qvalue`.

    Raises
    ------
    InputError
        If the data have no groups or a single one, a group is unknown, one of them has fewer than 10 cells, or
        `permutations` is below 1.
    """
    check_permutations(permutations)
    comparisons = _comparisons(checked, group, reference)
    residuals = Residuals.of(checked)
    batch = batches(checked)
    tables = []
    for index, (one, other) in enumerate(comparisons):
        labels = _labels(checked, one, other)
        _refuse_nested(labels, batch, one, other)
        departures, statistic = _compare(residuals, labels)
        shown = residuals.expression.numpy()[labels >= 0]
        null = PooledNull(np.abs(statistic), shown, checked.regulators, permutations)
        rng = np.random.default_rng((seed, 4, index))
        for _ in range(null.permutations):
            null.add(np.abs(_compare(residuals, _shuffled(labels, batch, rng))[1]))
        tables.append(_table(checked, one, other, residuals.slopes.numpy() + departures, statistic, null.pvalues()))
    table = pd.concat(tables, ignore_index=True)
    order = np.lexsort((-table["statistic"].abs(), table["pvalue"]))
    return table.iloc[order].reset_index(drop=True)


def _comparisons(checked: CheckedData, group: str | None, reference: str) -> list[tuple[str, str]]:
    group, reference = group_name(group), group_name(reference)
    names = checked.group_names or []
    if len(names) < 2:
        raise InputError(
            "Edges are compared between groups of cells, and the data have "
            + (f"only {names[0]!r}." if names else "none: give group_by.")
        )
    for wanted in (group, None if reference == REST else reference):
        if wanted is not None and wanted not in names:
            raise InputError(
                f"There is no group {wanted!r}; the data have {', '.join(names)}.{did_you_mean(wanted, names)}"
            )
    if group == reference:
        raise InputError(f"{group!r} is compared with itself; give another reference, or reference={REST!r}.")
    if group is not None:
        chosen = [(group, reference)]
    elif reference == REST and len(names) == 2:
        chosen = [(names[0], names[1])]
    else:
        chosen = [(name, reference) for name in names if name != reference]
    sizes = dict(checked.report.groups)
    if REST in names:
        raise InputError(f"A group is called {REST!r}, which means all other cells here: give it another name.")
    small = sorted({name for pair in chosen for name in pair if name != REST and sizes[name] < MIN_CELLS})
    small += [
        f"all but {one}" for one, other in chosen if other == REST and sum(sizes.values()) - sizes[one] < MIN_CELLS
    ]
    if small:
        raise InputError(
            f"{', '.join(small)} {'has' if len(small) == 1 else 'have'} fewer than {MIN_CELLS} cells, too few to "
            "compare: leave them out, or name the groups to compare with group= and reference=."
        )
    return chosen


def _labels(checked: CheckedData, one: str, other: str) -> np.ndarray:
    """1 for cells of the group, 0 for those of the reference, -1 for others."""
    inside = np.asarray(checked.groups == one)
    outside = ~inside if other == REST else np.asarray(checked.groups == other)
    return np.where(inside, 1, np.where(outside, 0, -1))


def _refuse_nested(labels: np.ndarray, batch: np.ndarray, one: str, other: str) -> None:
    """Refuse groups that share no batch: permuting within batches would change nothing."""
    both = [code for code in np.unique(batch) if {0, 1} <= set(labels[batch == code])]
    if not both:
        raise InputError(
            f"No batch has cells of both {one!r} and {other!r}, so that groups cannot be told from batches: leave "
            "batch_key out, knowing that differences between batches then count as differences between groups."
        )
    lost = int(((labels >= 0) & ~np.isin(batch, both)).sum())
    if lost:
        logger.warning("%d cells are in batches of one group only: they add little to %s against %s", lost, one, other)


def _shuffled(labels: np.ndarray, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = labels.copy()
    for code in range(int(batch.max()) + 1):
        cells = np.flatnonzero((batch == code) & (labels >= 0))
        out[cells] = rng.permutation(labels[cells])
    return out


def _compare(residuals: Residuals, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Departures of reference and group (2, regulators, genes), and T of their difference (regulators, genes).

    Both are 0 where the regulator does not vary in both.
    """
    parts = [residuals.departure(np.flatnonzero(labels == label)) for label in (0, 1)]
    error = parts[0][1] + parts[1][1]
    varies = torch.isfinite(error)
    found = torch.where(varies, torch.stack([part[0] for part in parts]), 0.0)
    statistic = (found[1] - found[0]) / error.clamp(min=1e-30).sqrt()
    return found.numpy(), torch.where(varies, statistic, 0.0).numpy()


def _table(
    checked: CheckedData, one: str, other: str, weights: np.ndarray, statistic: np.ndarray, pvalue: np.ndarray
) -> pd.DataFrame:
    sources, targets = np.nonzero(real_pairs(statistic.shape, checked.regulators))
    values = {
        "effect": weights[1] - weights[0], "weight_group": weights[1], "weight_reference": weights[0],
        "statistic": statistic, "pvalue": pvalue, "qvalue": qvalues(pvalue, checked.regulators)
    }  # fmt: skip
    names = np.asarray([str(name) for name in checked.genes], dtype=object)
    return pd.DataFrame(
        {
            "source": np.asarray(checked.tf_names, dtype=object)[sources],
            "target": names[targets],
            "group": one,
            "reference": other,
            **{name: table[sources, targets] for name, table in values.items()},
        }
    )[COLUMNS]
