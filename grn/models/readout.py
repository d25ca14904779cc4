"""How effects become weights that compare between targets, and how maps of different origin are joined."""

from __future__ import annotations

import torch
from torch import Tensor

# In parts of the mean squared row norm, what the sphere read-out adds to every row, so that weak targets stay weak.
SPHERE_FLOOR = 1.0


def read_out(effects: Tensor, readout: str) -> Tensor:
    """Effects (groups, genes, keys) as they are, or divided by each target's norm with a floor.

    E_ij / sqrt(sum_j E_ij^2 + mean_i sum_j E_ij^2) for "sphere"; "effect" changes nothing.
    """
    if readout == "effect":
        return effects
    if readout != "sphere":
        raise ValueError(f"readout must be 'effect' or 'sphere', not {readout!r}.")
    squared = torch.linalg.vector_norm(effects, dim=-1, keepdim=True).square()
    return effects / (squared + SPHERE_FLOOR * squared.mean(1, keepdim=True)).sqrt().clamp(min=1e-30)


def mean_at_one_size(maps: list[Tensor]) -> Tensor:
    """Mean of signed maps of equal shape, each brought to their mean size first.

    Sizes are root mean squares over all edges; a mean of signed effects weakens edges on whose sign the maps disagree.
    """
    sizes = [one.double().square().mean().sqrt().clamp(min=1e-30).item() for one in maps]
    common = sum(sizes) / len(sizes)
    total = torch.zeros_like(maps[0])
    for one, size in zip(maps, sizes, strict=True):
        total.add_(one, alpha=common / size / len(maps))
    return total
