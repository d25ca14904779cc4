"""What each pair of regulator and gene shares beyond all other regulators, for every pair at once.

For a gene i and a regulator j, both are regressed on the other regulators by ridge (without j, and without i where
that is a regulator too), and the residuals e_i and r_j are compared:

    T_ji = sum_c r_jc e_ic / sqrt(sum_c r_jc^2 e_ic^2)

(under the root with the degrees of freedom that the regressions took, and with how unequal cells are read off the
residuals on all regulators), about standard normal where i does not depend on j given the others: the generalised
covariance measure of Shah and Peters (2020, Annals of Statistics 48:1514). It stays near zero when either of the two
regressions is right, so that an indirect path over another regulator does not count.

Notable choices
- All pairs come from one singular value decomposition: with P = (V^T V + pen I)^-1 for the regulators V (cells,
  regulators), leaving j out of a regression adds V P_j w_j / P_jj to its residual, and leaving i out too is a rank-one
  change of P. No residual of a pair is ever formed.
- Regressions of genes have the penalty that generalised cross-validation chooses for each (Golub, Heath and Wahba 1979,
  Technometrics 21:215); those of the regulators one that it chooses for all of them together.
- Penalties leave about half of the degrees of freedom: with more regulators than cells residuals would vanish.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-6, 4))  # for each cell
MOST_FREEDOM = 0.5


@dataclass(frozen=True)
class _Ridge:
    """Products of the regulators at one penalty, all (regulators, regulators).

    Attributes
    ----------
    penalty
        pen = penalty for each cell times the number of cells.
    inverse
        P.
    gram
        Inner products of the unscaled residuals V P.
    cross
        Inner products of V P_n, at the regulators' own penalty, with V P.
    freedom, left
        Trace of the hat matrix H, and of (I - H)^2.
    """

    penalty: float
    inverse: Tensor
    gram: Tensor
    cross: Tensor
    freedom: float
    left: float


class PartialRegression:
    """Ridge regressions of all genes on the regulators, with their own, and each other regulator in turn, left out.

    Parameters
    ----------
    z
        Expression (cells, genes), float64, centred; best of equal variance, which the penalties are meant for.
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    lost
        Degrees of freedom that centring took: the number of groups of cells that were centred apart.
    """

    def __init__(self, z: Tensor, regulators: Tensor, *, lost: int = 1) -> None:
        self.z, self.regulators = z, regulators
        self.cells, self.genes = z.shape
        self.freedom = self.cells - lost
        self._v = z[:, regulators]
        self._place = torch.full((self.genes,), -1, dtype=torch.int64)
        self._place[regulators] = torch.arange(len(regulators))
        _, lengths, directions = torch.linalg.svd(self._v, full_matrices=False)
        kept = lengths > 1e-7 * lengths.max().clamp(min=1e-30)
        self._squares, self._directions = lengths[kept].square(), directions[kept]
        penalties = [one * self.cells for one in PENALTIES]
        allowed = [pen for pen in penalties if self._shrinkage(pen).sum() <= MOST_FREEDOM * self.freedom]
        allowed = allowed or penalties[-1:]
        own = min(allowed, key=self._error_of_regulators)
        self._fits = [self._ridge(pen, own) for pen in allowed]
        self._own = self._fits[allowed.index(own)]

    def _shrinkage(self, penalty: float) -> Tensor:
        return self._squares / (self._squares + penalty)

    def _function(self, values: Tensor) -> Tensor:
        """The symmetric matrix with these eigenvalues in the space of the regulators."""
        return (self._directions.T * values) @ self._directions

    def _inverse(self, penalty: float) -> Tensor:
        spread = self._function(1 / (self._squares + penalty) - 1 / penalty)
        spread.diagonal().add_(1 / penalty)
        return spread

    def _error_of_regulators(self, penalty: float) -> float:
        """Generalised cross-validation of the regressions of the regulators on each other."""
        residual = self._function(self._squares / (self._squares + penalty).square()).diagonal()
        error = residual / self._inverse(penalty).diagonal().square()
        return float(error.sum() / (1 - self._shrinkage(penalty).sum() / self.freedom) ** 2)

    def _ridge(self, penalty: float, own: float) -> _Ridge:
        hat = self._shrinkage(penalty)
        return _Ridge(
            penalty,
            self._inverse(penalty),
            self._function(self._squares / (self._squares + penalty).square()),
            self._function(self._squares / (self._squares + penalty) / (self._squares + own)),
            float(hat.sum()),
            float(self.freedom - 2 * hat.sum() + hat.square().sum()),
        )

    def residuals_of_regulators(self) -> Tensor:
        """Each regulator's residual r_j on all others, (cells, regulators)."""
        return self._v @ (self._own.inverse / self._own.inverse.diagonal())

    def fit(self) -> tuple[Tensor, Tensor]:
        """Slopes of every gene on all regulators (regulators, genes), 0 on itself, and residuals (cells, genes)."""
        slopes = self._v.new_zeros(len(self.regulators), self.genes)
        for fit, targets, own in self._by_penalty(self.z):
            slopes[:, targets] = self._slopes(fit, self._v.T @ self.z[:, targets], own)[0]
        return slopes, self.z - self._v @ slopes

    def statistics(self, z: Tensor | None = None) -> Tensor:
        """T of every pair, (regulators, genes), 0 for a regulator with itself.

        Parameters
        ----------
        z
            Other values of the genes as targets, (cells, genes), such as permuted ones; the regulators stay. By default
            their own.
        """
        z = self.z if z is None else z
        squared = self.residuals_of_regulators().square()
        squared = squared / squared.sum(0).clamp(min=1e-30)
        found = z.new_zeros(len(self.regulators), self.genes)
        for fit, targets, own in self._by_penalty(z):
            found[:, targets] = self._pairs(fit, z[:, targets], own, squared)
        return found

    def _by_penalty(self, z: Tensor) -> list[tuple[_Ridge, Tensor, Tensor | None]]:
        """Targets by the penalty that cross-validation chooses; regulators apart, with their places among them."""
        parts = []
        is_regulator = self._place >= 0
        for targets in (torch.arange(self.genes)[~is_regulator], self.regulators):
            if not len(targets):
                continue
            own = self._place[targets] if targets is self.regulators else None
            chosen = self._choose(z[:, targets], own)
            for index, fit in enumerate(self._fits):
                here = chosen == index
                if here.any():
                    parts.append((fit, targets[here], None if own is None else own[here]))
        return parts

    def _choose(self, z: Tensor, own: Tensor | None) -> Tensor:
        """Index of the penalty with the least generalised cross-validation error, (targets,)."""
        products = self._directions @ (self._v.T @ z)  # singular value times the component, (rank, targets)
        total = z.square().sum(0)
        errors = []
        for fit in self._fits:
            spread = 1 / (self._squares + fit.penalty)
            # |z|^2 - sum (1 - (1 - h)^2) c^2 with h = L^2 spread and c = products / L
            explained = (spread * (2 - self._squares * spread)).unsqueeze(1) * products.square()
            rest = total - explained.sum(0)
            if own is not None:
                axis = self._directions[:, own]
                slope = (axis * spread.unsqueeze(1) * products).sum(0) / fit.inverse.diagonal()[own]
                along = fit.penalty * (axis * spread.square().unsqueeze(1) * products).sum(0)
                rest = rest + 2 * along * slope + fit.gram.diagonal()[own] * slope.square()
            errors.append(rest / (1 - fit.freedom / self.freedom) ** 2)
        return torch.stack(errors).argmin(0)

    def _slopes(self, fit: _Ridge, products: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        """Slopes with a gene's own value left out, and V^T e of their residuals; both (regulators, targets)."""
        slopes = fit.inverse @ products
        if own is None:
            return slopes, fit.penalty * slopes
        column = torch.arange(len(own))
        scaled = slopes[own, column] / fit.inverse.diagonal()[own]
        slopes = slopes - fit.inverse[:, own] * scaled
        slopes[own, column] = 0
        against = fit.penalty * slopes
        against[own, column] = scaled
        return slopes, against

    def _pairs(self, fit: _Ridge, z: Tensor, own: Tensor | None, squared: Tensor) -> Tensor:
        slopes, against = self._slopes(fit, self._v.T @ z, own)
        residual = z - self._v @ slopes
        ours = self._own
        with_regulator, with_fit = ours.inverse @ against, fit.inverse @ against
        size_regulator, size_fit = ours.inverse.diagonal()[:, None], fit.inverse.diagonal()[:, None]
        regulator, of_fit = ours.gram.diagonal()[:, None], fit.gram.diagonal()[:, None]
        both = fit.cross.diagonal()[:, None]
        if own is not None:
            # The target itself leaves the other regulator's regression too: a rank-one change of P.
            column = torch.arange(len(own))
            drop, drop_fit = (part.inverse[:, own] / part.inverse.diagonal()[own] for part in (ours, fit))
            with_regulator = with_regulator - drop * with_regulator[own, column]
            with_fit = with_fit - drop_fit * with_fit[own, column]
            regulator = regulator - 2 * drop * ours.gram[:, own] + drop.square() * ours.gram.diagonal()[own]
            of_fit = of_fit - 2 * drop_fit * fit.gram[:, own] + drop_fit.square() * fit.gram.diagonal()[own]
            both = (
                both - drop * fit.cross[own].T - drop_fit * fit.cross[:, own]
                + drop * drop_fit * fit.cross.diagonal()[own]
            )  # fmt: skip
            size_regulator = (size_regulator - drop * ours.inverse[:, own]).clamp(min=1e-30)
            size_fit = (size_fit - drop_fit * fit.inverse[:, own]).clamp(min=1e-30)
        covariance = with_regulator / size_regulator + both / (size_regulator * size_fit) * slopes
        regulator = regulator / size_regulator.square()
        rest = (
            residual.square().sum(0) + 2 * slopes * with_fit / size_fit + slopes.square() * of_fit / size_fit.square()
        )
        # Residuals may be large in the same cells, those of little depth for instance: by how much the products vary.
        squares = residual.square()
        unequal = self.cells * (squared.T @ squares) / squares.sum(0).clamp(min=1e-30)
        variance = regulator * rest / fit.left * unequal.clamp(min=0.05)
        varies = (regulator > 1e-9 * self.cells) & (rest > 1e-9 * self.cells)
        found = torch.where(varies, covariance / variance.clamp(min=1e-30).sqrt(), 0.0)
        if own is not None:
            found[own, torch.arange(len(own))] = 0
        return found
