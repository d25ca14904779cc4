"""What a knock-out or overexpression does to the other genes, propagated through the signed network.

The slope of a gene on a regulator is taken along the edges of the network alone, as far as the cells bear it out:

    b_ji = r_ji max(0, 1 - c / T_ji^2)     where r_ji and the network's edge j -> i have one sign, else 0

with r the slope on the regulator alone, and T what both share beyond all other regulators
(`grn.models.partial_regression`), whose square is 1 on average where that is nothing; c is 2, and 4 between regulators,
where a false edge misleads all that follows. A change s of the perturbed genes reaches the others as the fixed point

    d_k = s_k                                for a perturbed gene, which nothing can move
    d_i = damping sum_j b_ji d_j             for every other gene

This is the linear propagation of signal that CellOracle repeats three times (Kamimoto et al. 2023, Nature 614:742),
carried to its end. Counts measure shares of a cell's transcripts, so the total is then brought back to what it was:
where one gene falls, all others rise a little.

Limits: one linear slope for all levels of a regulator; no time; a regulator that does not vary in the data moves
nothing; what the network has wrong goes on along its paths. Test a prediction before relying on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn.data import CheckedData
from grn.data.centring import batches, scaled_within_strata
from grn.data.groups import group_name
from grn.models.partial_regression import PartialRegression
from grn.network.network import GeneNetwork

# In units of T^2, which is 1 on average where there is nothing.
NOISE, NOISE_BETWEEN_REGULATORS = 2.0, 4.0
LARGEST_RADIUS = 0.95
_STEPS, _SMALLEST = 10_000, 1e-9


@dataclass(frozen=True)
class Perturbation:
    """What a perturbation is predicted to do.

    Attributes
    ----------
    table
        One row per gene, the perturbed ones first, then the most moved: `gene`, `before` (mean over the cells, in the
        units of the expression after the gate), `after` (of the mean cell), `shift`, `perturbed`.
    expression
        Predicted expression (cells, genes), float32, of the cells that were looked at: each cell moved by what its own
        level of the perturbed genes asks for. Their mean is the table's; a single cell may come out below zero.
    cells
        Positions of these cells, int64 (cells,).
    """

    table: pd.DataFrame
    expression: np.ndarray
    cells: np.ndarray


def perturb(
    network: GeneNetwork,
    checked: CheckedData,
    levels: Mapping[str, float],
    *,
    group: str | None = None,
    damping: float = 1.0,
) -> Perturbation:
    """Predict expression after genes are set to other levels.

    Parameters
    ----------
    network
        Whose edges signals go along; of groups, the mean over groups or that of `group`.
    checked
        Expression of the unperturbed cells, from which slopes and levels come.
    levels
        New level of each perturbed gene, in the units of the expression after the gate; 0 is a knock-out.
    group
        Only cells of this group of the data are perturbed; slopes come from all cells.
    damping
        What each step along an edge leaves of the signal, above 0 and at most 1.

    Raises
    ------
    InputError
        If a gene or the group is unknown, a level is negative or no number, or `damping` is out of range.
    """
    group = group_name(group)
    _refuse(network, checked, levels, group, damping)
    chosen = np.arange(len(checked.cells))
    if group is not None:
        chosen = np.flatnonzero(checked.groups == group)
    x = checked.x[chosen]
    before = np.array(x) if isinstance(x, np.ndarray) else x.toarray()
    slopes = signed_slopes(network.of_group(group) if group in network.groups else network.ungrouped(), checked)
    genes = [str(gene) for gene in levels]
    places = checked.genes.get_indexer(pd.Index(genes))
    reach = total_effects(slopes, checked.regulators, places, damping)
    moved = (np.array(list(levels.values()))[None, :] - before[:, places]) @ reach
    mean, bound = before.mean(0, dtype=np.float64), 0.0 if before.min() >= 0 else -np.inf
    after = np.maximum(mean + moved.mean(0), bound)
    if checked.report.kind == "counts":
        # Of the mean cell: in a single one most genes are zero, and could only rise.
        after = _same_total(mean, after, places)
    table = pd.DataFrame({"gene": checked.genes.astype(str), "before": mean, "after": after})
    table["shift"] = table["after"] - table["before"]
    moved += table["shift"].to_numpy() - moved.mean(0)
    moved[:, places] = np.array(list(levels.values())) - before[:, places]
    table["perturbed"] = np.isin(np.arange(len(table)), places)
    order = np.lexsort((-table["shift"].abs(), ~table["perturbed"]))
    return Perturbation(table.iloc[order].reset_index(drop=True), (before + moved).astype(np.float32), chosen)


def signed_slopes(network: GeneNetwork, checked: CheckedData) -> np.ndarray:
    """Slope of every gene on every regulator along the edges of the network, (regulators, genes), float64.

    In units of the target's expression for one unit of the regulator's, 0 where the network has no edge of that sign.
    """
    codes = batches(checked)
    values, spread = scaled_within_strata(checked.x, codes)
    z = torch.from_numpy(values)
    regression = PartialRegression(z, torch.from_numpy(checked.regulators), lost=int(codes.max()) + 1)
    noise = np.full(len(checked.genes), NOISE)
    noise[checked.regulators] = NOISE_BETWEEN_REGULATORS
    borne_out = np.clip(1 - noise / np.maximum(regression.statistics().numpy() ** 2, 1e-30), 0, None)
    slopes = (z[:, checked.regulators].T @ z / len(z)).numpy() * borne_out
    tfs, genes = pd.Index(checked.tf_names), pd.Index(checked.genes.astype(str))
    weights = network.matrix().reindex(index=tfs, columns=genes, fill_value=0.0).to_numpy()
    along = weights != 0 if not network.signed else np.sign(weights) == np.sign(slopes)
    return np.asarray(slopes * along * spread / np.maximum(spread[checked.regulators][:, None], 1e-30))


def total_effects(slopes: np.ndarray, regulators: np.ndarray, perturbed: np.ndarray, damping: float) -> np.ndarray:
    """What one unit of each perturbed gene moves every gene by, (perturbed, genes), float64.

    Parameters
    ----------
    slopes
        (regulators, genes).
    regulators, perturbed
        Positions among the genes.
    damping
        As in `perturb`. Where signals would grow without end, it is lowered until they do not.
    """
    free = slopes * damping
    free[:, perturbed] = 0.0
    radius = float(np.abs(np.linalg.eigvals(free[:, regulators])).max()) if len(regulators) else 0.0
    if radius > LARGEST_RADIUS:
        logger.warning(
            "The network amplifies its own signals (spectral radius %.2f): slopes are divided by %.2f, so that a fixed "
            "point exists",
            radius,
            radius / LARGEST_RADIUS,
        )
        free *= LARGEST_RADIUS / radius
    start = np.zeros((len(perturbed), slopes.shape[1]))
    start[np.arange(len(perturbed)), perturbed] = 1.0
    found = start
    for _ in range(_STEPS):
        step = start + found[:, regulators] @ free
        change = np.abs(step - found).max()
        found = step
        if change < _SMALLEST:
            break
    return found


def _same_total(before: np.ndarray, after: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Logged counts of one cell (genes,) with its total brought back; the perturbed genes keep their levels."""
    new = np.expm1(after)
    others = np.ones(len(new), dtype=bool)
    others[fixed] = False
    room, total = np.expm1(before).sum() - new[fixed].sum(), new[others].sum()
    if room > 0 and total > 0:
        new[others] *= room / total
    return np.asarray(np.log1p(new))


def _refuse(
    network: GeneNetwork, checked: CheckedData, levels: Mapping[str, float], group: str | None, damping: float
) -> None:
    if not levels:
        raise InputError("Nothing is perturbed: name genes to knock out (ko=...) or to overexpress (oe=...).")
    for gene, level in levels.items():
        if gene not in checked.genes:
            raise InputError(
                f"{gene!r} is not among the {len(checked.genes)} genes of the data.{did_you_mean(gene, checked.genes)}"
            )
        if not (np.isfinite(level) and (level >= 0 or checked.x.min() < 0)):
            raise InputError(f"The level of {gene} is {level!r}; expected a number that is not negative.")
    if not 0 < damping <= 1:
        raise InputError(f"damping={damping!r}: expected what a step leaves of the signal, above 0 and at most 1.")
    if group is not None and (checked.groups is None or group not in list(checked.groups.categories)):
        known = checked.group_names or []
        raise InputError(
            f"group={group!r} is no group of the data; they are {', '.join(known) or 'not grouped: give group_by too'}."
            f"{did_you_mean(group, known)}"
        )
    if network.groups and group is not None and group not in network.groups:
        logger.warning(
            "The network has the groups %s and no %r: signals go along the mean over its groups",
            ", ".join(network.groups),
            group,
        )
    silent = [gene for gene in levels if gene not in set(network.edges["source"])]
    if silent:
        logger.warning("%s regulates nothing in the network: only its own level changes", ", ".join(silent))
