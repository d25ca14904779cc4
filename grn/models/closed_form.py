"""The regulatory model's optimum in closed form: ridge regression of every gene on the regulators.

Without a context the model predicts z = W v linearly, and integrating out input noise of standard deviation s
adds s^2 |w_i|^2 to a target's squared error. With second moments C = E[v v^T] and b_i = E[v z_i] the optimum is

    w_i = (C + s^2 I)^-1 b_i,        for a regulator i without its own channels O:
    w_i <- w_i - P_O (P_OO)^-1 w_iO,     P = (C + s^2 I)^-1

(the second line conditions on w_iO = 0). It is the oracle of the trained model and a method of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Input noise in units of a gene's standard deviation: half-decades of the ridge penalty s^2 from 0.01 to 10.
NOISE_GRID = tuple(round((10.0 ** (exponent / 2)) ** 0.5, 4) for exponent in range(-4, 3))


@dataclass
class Moments:
    """Second moments of the regulators' value channels and the standardised genes, float64.

    Attributes
    ----------
    values
        Sum over cells of v v^T, (keys, keys); keys are channel after channel, regulators within.
    targets
        Sum over cells of v z^T, (keys, genes).
    cells
        Number of cells summed.
    regulators
        Position of each regulator among the genes, int64 (regulators,).
    """

    values: Tensor
    targets: Tensor
    cells: int
    regulators: Tensor

    @classmethod
    def of(cls, values: Tensor, standardised: Tensor, regulators: Tensor) -> Moments:
        """Moments of values (keys, cells) and standardised expression (cells, genes)."""
        v, z = values.double(), standardised.double()
        return cls(v @ v.T, v @ z, v.shape[1], regulators)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.values + other.values,
            self.targets + other.targets,
            self.cells + other.cells,
            self.regulators,
        )

    @property
    def channels(self) -> int:
        """Number of value channels."""
        return len(self.values) // len(self.regulators)

    def channel_blocks(self) -> Tensor:
        """Covariance of each regulator's own channels, (regulators, channels, channels)."""
        grid = (self.values / self.cells).unflatten(0, (self.channels, -1)).unflatten(-1, (self.channels, -1))
        return grid.diagonal(dim1=1, dim2=3).permute(2, 0, 1)


class RidgePath:
    """Closed-form weights for any input noise, from one eigendecomposition of the moments."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        self._eigenvalues, self._basis = torch.linalg.eigh(moments.values / moments.cells)
        self._projected = self._basis.T @ (moments.targets / moments.cells)

    def weights(self, noise: float) -> Tensor:
        """Weights (genes, channels, regulators) at input noise `noise`, in standard deviations; zero for self."""
        if not noise > 0:
            raise ValueError(f"The input noise must be positive, but is {noise}.")
        inverse = 1 / (self._eigenvalues.clamp(min=0) + noise**2)
        weights = self._basis @ (inverse.unsqueeze(1) * self._projected)
        precision = (self._basis * inverse) @ self._basis.T
        m, channels = len(self.moments.regulators), self.moments.channels
        for position, gene in enumerate(self.moments.regulators.tolist()):
            own = position + m * torch.arange(channels, device=weights.device)
            solved = torch.linalg.solve(precision[own][:, own], weights[own, gene])
            weights[:, gene] -= precision[:, own] @ solved
            weights[own, gene] = 0
        return weights.T.unflatten(-1, (channels, m))


def effect(weights: Tensor, channel_blocks: Tensor) -> Tensor:
    """Signed effect of each regulator on each target: how far its contribution moves the target over the cells.

    The contribution of regulator j to target i is w_ij . v_j over its channels. Its standard deviation is
    sqrt(w^T C_j w); its sign is that of its covariance with the regulator's expression, (C_j w)_0.

    Parameters
    ----------
    weights
        (..., genes, channels, regulators).
    channel_blocks
        C_j, (regulators, channels, channels), expression first.

    Returns
    -------
    (..., genes, regulators), in standard deviations of the target.
    """
    if weights.shape[-2] == 1:
        return weights.squeeze(-2) * channel_blocks[:, 0, 0].clamp(min=0).sqrt().to(weights.dtype)
    spread = torch.einsum("jcd,...idj->...icj", channel_blocks.to(weights.dtype), weights)
    variance = (spread * weights).sum(-2).clamp(min=0)
    return variance.sqrt() * spread[..., 0, :].sign()


@dataclass(frozen=True)
class NoiseChoice:
    """Chosen input noise and, for each value tried, the reliability of the closed-form network."""

    noise: float
    reliability: dict[float, float]
    reason: str


def choose_noise(half: Moments, other: Moments, *, target: float = 0.9) -> NoiseChoice:
    """Smallest input noise at which the network found in one half of the cells is found in the other.

    The two halves' effect maps are compared by their cosine c; 2 c / (1 + c) estimates the reliability of the
    network from all cells (Spearman 1910; Brown 1910), and 0.9 is the usual mark of a reliable measure. No
    reference network is looked at. Where no noise reaches the mark, the most reliable is taken.

    Parameters
    ----------
    half, other
        Moments of two random halves of the cells.
    target
        Reliability to reach.
    """
    paths = RidgePath(half), RidgePath(other)
    blocks = half.channel_blocks(), other.channel_blocks()
    reliability: dict[float, float] = {}
    for noise in NOISE_GRID:
        first, second = (effect(path.weights(noise), block) for path, block in zip(paths, blocks, strict=True))
        cosine = float((first * second).sum() / (first.norm() * second.norm()).clamp(min=1e-30))
        cosine = max(cosine, 0.0)
        reliability[noise] = 2 * cosine / (1 + cosine)
        if reliability[noise] >= target:
            reason = f"smallest noise with a reliability of {target:g} between halves of the cells"
            return NoiseChoice(noise, reliability, reason)
    best = max(reliability, key=lambda noise: reliability[noise])
    reason = f"no noise reaches a reliability of {target:g} between halves of the cells; the most reliable taken"
    return NoiseChoice(best, reliability, reason)
