"""How the network of a group of cells departs from that of all cells, from one fit.

Every gene is regressed on the regulators over all cells, each centred in its own group and batch. What the fit leaves
over in the cells of one group says how that group's slopes differ (one Newton step from the common ones):

    d_gji = sum_{c in g} r_jc e_ic / sum_{c in g} r_jc^2          r, e: residuals of regulator and gene
    T_gji = (d_gji - mean of the groups) / its standard error

No group is fitted again: the cost is one product of residuals for each. A departure counts by the part
1 - 4 / T^2 of it, and not at all where |T| < 2; it counts less where its error is large beside the common slopes. So
groups of few cells keep the common network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from grn.data import CheckedData
from grn.data.centring import strata, within_strata
from grn.models.partial_regression import PartialRegression

NOISE = 4.0  # of T^2, which is 1 on average where a group departs in nothing


@dataclass(frozen=True)
class Residuals:
    """The common fit of all groups.

    Attributes
    ----------
    slopes
        Of every gene on all regulators, (regulators, genes), in standard deviations within groups.
    regulators, genes
        Residuals of the regulators on each other, (cells, regulators), and of the genes on them, (cells, genes).
    expression
        Standardised expression that was fitted, (cells, genes), and where the regulators are in it, `positions`.
    """

    slopes: torch.Tensor
    regulators: torch.Tensor
    genes: torch.Tensor
    expression: torch.Tensor
    positions: torch.Tensor

    @classmethod
    def of(cls, checked: CheckedData) -> Residuals:
        """Fit all genes on the regulators within groups and batches."""
        codes = strata(checked)
        z = torch.from_numpy(within_strata(checked.x, codes))
        regression = PartialRegression(z, torch.from_numpy(checked.regulators), lost=int(codes.max()) + 1)
        slopes, residuals = regression.fit()
        own, of_regulators = z[:, checked.regulators], regression.residuals_of_regulators()
        for code in range(int(codes.max()) + 1):
            # Of a regulator that does not vary here the residual is what the others say of it: no evidence.
            cells = torch.from_numpy(np.flatnonzero(codes == code))
            of_regulators[cells] *= own[cells].square().mean(0) > 1e-9
        return cls(slopes, of_regulators, residuals, z, torch.from_numpy(checked.regulators))

    def departure(self, cells: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Departure of some cells from the common slopes, and the variance of its error; both (regulators, genes).

        `cells` are positions, int (cells,). Where the regulator does not vary in them, 0 and infinite.
        """
        at = torch.from_numpy(cells)
        r, e = self.regulators[at], self.genes[at]
        size = r.square().sum(0).unsqueeze(1)
        varies = size > 1e-9 * len(cells)
        size = torch.where(varies, size, 1.0)
        error = (r.square().T @ e.square()) / size.square()
        return torch.where(varies, r.T @ e / size, 0.0), torch.where(varies, error, torch.inf)

    def silent(self, cells: np.ndarray) -> torch.Tensor:
        """Pairs that these cells say nothing of: regulator or gene do not vary in them; bool (regulators, genes)."""
        still = self.expression[torch.from_numpy(cells)].square().mean(0) <= 1e-9
        return still[self.positions].unsqueeze(1) | still


@dataclass(frozen=True)
class GroupDepartures:
    """What `extract` adds to the common effects for each group.

    Attributes
    ----------
    slopes
        The common slopes, (regulators, genes).
    by_group
        Departures that count, (groups, regulators, genes).
    silent
        Pairs of which regulator or gene do not vary in the group, which has no such edge; bool, of the same shape.
    """

    slopes: torch.Tensor
    by_group: torch.Tensor
    silent: torch.Tensor


def group_departures(checked: CheckedData) -> GroupDepartures | None:
    """Departures of every group of the data; None for data without groups, or of a single one."""
    if checked.groups is None or len(checked.groups.categories) < 2:
        return None
    residuals, codes = Residuals.of(checked), np.asarray(checked.groups.codes)
    groups = [np.flatnonzero(codes == group) for group in range(len(checked.groups.categories))]
    # Twice over the groups, so that no more than one of them is held in full precision.
    total, mean = torch.zeros_like(residuals.slopes), torch.zeros_like(residuals.slopes)
    for cells in groups:
        found, error = residuals.departure(cells)
        precision = torch.where(error > 0, 1 / error, 0.0)
        total += precision
        mean += precision * found
    total = total.clamp(min=1e-30)
    mean /= total
    size = residuals.slopes.square().mean()
    own = torch.arange(len(checked.regulators)), torch.from_numpy(checked.regulators)
    shape = (len(groups), *residuals.slopes.shape)
    by_group, silent = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    for group, cells in enumerate(groups):
        found, error = residuals.departure(cells)
        apart = found - mean
        # A group is part of the mean that it is compared with, which takes its share off the error.
        error = (error - 1 / total).clamp(min=1e-30)
        counted = (1 - NOISE * error / apart.square().clamp(min=1e-30)).clamp(min=0)
        # Departures are expected to be of the size of the slopes: what could only be found far larger is mostly noise.
        counted *= size / (size + error)
        counted[own] = 0
        by_group[group] = (apart * counted).nan_to_num_()
        silent[group] = residuals.silent(cells)
    return GroupDepartures(residuals.slopes.float(), by_group, silent)
