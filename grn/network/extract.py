"""From a trained model to the network: effects, read-outs, groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from grn.models import GeneTransformer, RegulatoryModel, effect
from grn.network.network import GeneNetwork

Batch = dict[str, Tensor]
# Share of the mean squared row norm that the sphere read-out adds to every row, so that weak targets stay weak.
SPHERE_FLOOR = 0.3


def extract(
    model: RegulatoryModel | GeneTransformer,
    batches: Iterable[Batch],
    *,
    genes: list[str],
    regulators: list[int],
    groups: list[str] | None,
    readout: Literal["effect", "sphere"],
    params: dict[str, Any],
) -> GeneNetwork:
    """Read the network out of a trained model.

    Parameters
    ----------
    model
        Trained; moved to CPU.
    batches
        Cells to average over, as `ExpressionDataModule.predict_dataloader` gives them; gone through twice.
    genes
        Names of the genes.
    regulators
        Positions of the regulators among them.
    groups
        Names of the cell groups, in the order of the batches' codes; None for one network over all cells.
    readout
        "effect": by how many of its standard deviations a target moves when the regulator moves by one of its own,
        with the sign of that move. "sphere": the same, each target's effects divided by their norm with a floor,
        E_ji / sqrt(sum_j E_ji^2 + 0.3 mean_i sum_j E_ji^2), so that targets compare on equal terms.
    params
        How the network was made; kept with it.

    Returns
    -------
    GeneNetwork
        Effects averaged over the members of the model.
    """
    model = model.cpu().eval()
    if isinstance(model, GeneTransformer):
        maps = _transformer_map(model, batches, groups)
        maps.diagonal(dim1=1, dim2=2).zero_()  # a gene's attention to itself is no edge
        effects = maps[:, :, regulators]
    else:
        effects = _regulatory_effects(model, batches, groups)
    weights = read_out(effects, readout).transpose(1, 2).float().numpy()  # (groups, regulators, genes)
    names = [genes[position] for position in regulators]
    by_group: np.ndarray | dict[str, np.ndarray]
    by_group = weights[0] if groups is None else dict(zip(groups, weights, strict=True))
    return GeneNetwork.from_matrix(by_group, names, genes, params={**params, "readout": readout})


def read_out(effects: Tensor, readout: str) -> Tensor:
    """Effects (groups, genes, regulators) as "effect" leaves them or "sphere" divides them, see `extract`."""
    if readout == "effect":
        return effects
    if readout != "sphere":
        raise ValueError(f"readout must be 'effect' or 'sphere', not {readout!r}.")
    squared = effects.square().sum(-1, keepdim=True)
    return effects / (squared + SPHERE_FLOOR * squared.mean(1, keepdim=True)).sqrt().clamp(min=1e-30)


def _regulatory_effects(model: RegulatoryModel, batches: Iterable[Batch], groups: list[str] | None) -> Tensor:
    """Signed effects (groups, genes, regulators), mean over members."""
    if model.context == "cell":
        weights = _mean_over_cells(
            ((model.weights(batch["x"], group), group) for batch, group in _with_groups(batches, groups)), groups
        )
    else:
        weights = model.weights()
    return effect(weights, _channel_covariance(model, batches)).mean(1)


def _channel_covariance(model: RegulatoryModel, batches: Iterable[Batch]) -> Tensor:
    """Covariance over these cells of each regulator's value channels, (regulators, channels, channels).

    Around these cells' own mean: cells other than the model was trained on may lie elsewhere.
    """
    shape = (model.channels, model.n_regulators)
    total, products, cells = torch.zeros(shape, dtype=torch.float64), torch.zeros((), dtype=torch.float64), 0
    for batch in batches:
        values = model.values(batch["x"]).double().unflatten(0, shape)
        total = total + values.sum(-1)
        products = products + torch.einsum("cjb,djb->jcd", values, values)
        cells += values.shape[-1]
    mean = total / cells
    return products / cells - torch.einsum("cj,dj->jcd", mean, mean)


def _transformer_map(model: GeneTransformer, batches: Iterable[Batch], groups: list[str] | None) -> Tensor:
    """Mean attention map (groups, genes, genes): row target, column regulator."""
    return _mean_over_cells(
        ((model.map(batch["x"], group), group) for batch, group in _with_groups(batches, groups)), groups
    )


def _with_groups(batches: Iterable[Batch], groups: list[str] | None) -> Iterable[tuple[Batch, Tensor]]:
    for batch in batches:
        yield batch, batch["group"] if groups is not None else torch.zeros_like(batch["group"])


def _mean_over_cells(parts: Iterable[tuple[Tensor, Tensor]], groups: list[str] | None) -> Tensor:
    """Mean over cells from means over the cells of each batch and group."""
    n_groups = 1 if groups is None else len(groups)
    total: Tensor | None = None
    counts = torch.zeros(n_groups)
    for mean, group in parts:
        here = torch.bincount(group, minlength=n_groups)
        if total is None:
            total = mean.new_zeros(n_groups, *mean.shape[1:])
        total[: len(mean)] += mean * here[: len(mean)].view(-1, *[1] * (mean.dim() - 1))
        counts += here
    if total is None:
        raise ValueError("There are no cells to read the network out from.")
    return total / counts.clamp(min=1).view(-1, *[1] * (total.dim() - 1))
