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
    """

    slopes: torch.Tensor
    regulators: torch.Tensor
    genes: torch.Tensor

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
        return cls(slopes, of_regulators, residuals)

    def departures(self, groups: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Each group's departure from the common slopes and the variance of its error, (groups, regulators, genes).

        `groups` is the group of every cell, int (cells,); where a regulator does not vary in a group, its departure is
        0 and the variance infinite.
        """
        found, errors = [], []
        for group in range(int(groups.max()) + 1):
            cells = torch.from_numpy(np.flatnonzero(groups == group))
            r, e = self.regulators[cells], self.genes[cells]
            size = r.square().sum(0).unsqueeze(1)
            varies = size > 1e-9 * len(cells)
            size = torch.where(varies, size, 1.0)
            found.append(torch.where(varies, r.T @ e / size, 0.0))
            errors.append(torch.where(varies, (r.square().T @ e.square()) / size.square(), torch.inf))
        return torch.stack(found), torch.stack(errors)


@dataclass(frozen=True)
class GroupDepartures:
    """What `extract` adds to the common effects for each group.

    Attributes
    ----------
    slopes
        The common slopes, (regulators, genes).
    by_group
        Departures that count, (groups, regulators, genes).
    """

    slopes: torch.Tensor
    by_group: torch.Tensor


def group_departures(checked: CheckedData) -> GroupDepartures | None:
    """Departures of every group of the data; None for data without groups, or of a single one."""
    if checked.groups is None or len(checked.groups.categories) < 2:
        return None
    residuals = Residuals.of(checked)
    found, errors = residuals.departures(np.asarray(checked.groups.codes))
    precision = torch.where(errors > 0, 1 / errors, 0.0)
    total = precision.sum(0).clamp(min=1e-30)
    apart = found - (precision * found).sum(0) / total
    # A group is part of the mean that it is compared with, which takes its share off the error.
    error = (errors - 1 / total).clamp(min=1e-30)
    counted = (1 - NOISE * error / apart.square().clamp(min=1e-30)).clamp(min=0)
    # Departures are expected to be of the size of the slopes: what could only be found far larger, is mostly noise.
    size = residuals.slopes.square().mean()
    counted *= size / (size + error)
    own = torch.from_numpy(checked.regulators)
    counted[:, torch.arange(len(own)), own] = 0
    return GroupDepartures(residuals.slopes.float(), (apart * counted).nan_to_num_().float())
