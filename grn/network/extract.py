"""From a trained model to the network: effects, read-outs, groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from grn.models import GeneTransformer, RegulatoryModel, effect
from grn.models.readout import mean_at_one_size, read_out
from grn.network.network import GeneNetwork
from grn.prior import Prior

Batch = dict[str, Tensor]


def extract(
    model: RegulatoryModel | GeneTransformer,
    batches: Iterable[Batch],
    *,
    genes: list[str],
    regulators: list[int],
    groups: list[str] | None,
    readout: Literal["auto", "effect", "sphere"],
    params: dict[str, Any],
    dynamics: np.ndarray | None = None,
    prior: Prior | None = None,
) -> GeneNetwork:
    """Read the network out of a trained model.

    Parameters
    ----------
    model
        Trained; moved to CPU.
    batches
        Cells to average over, as `ExpressionDataModule.predict_dataloader` gives them; gone through once for each view.
    genes
        Names of the genes.
    regulators
        Positions of the regulators among them.
    groups
        Names of the cell groups, in the order of the batches' codes; None for one network over all cells.
    readout
        "effect": by how many of its standard deviations a target moves when the regulator moves by one of its own,
        with the sign of that move, in the model's first view. "sphere": in each view, every target's effects divided by
        their norm with a floor, so that targets compare on equal terms; the mean over views.
        "auto" is "sphere".
    params
        How the network was made; kept with it.
    dynamics
        Map (regulators, genes) of `grn.dynamics`; the network is then the mean of it and the model's map at one size.
    prior
        Known regulons, brought into every group's weights at the end; what came of it is added to the params.

    Returns
    -------
    GeneNetwork
        Signed weights of all regulators for all genes.
    """
    model = model.cpu().eval()
    readout = "sphere" if readout == "auto" else readout
    if isinstance(model, GeneTransformer):
        maps = _transformer_map(model, batches, groups)
        maps.diagonal(dim1=1, dim2=2).zero_()  # a gene's attention to itself is no edge
        found = read_out(maps[:, :, regulators], readout)
    elif readout == "effect":
        view = next(iter(model.views))
        found = _effects(model, view, batches, groups)[:, :, _columns(model, view)]
    else:
        # The norm is taken over all keys of a view, also those that are no regulators.
        views = {name: read_out(_effects(model, name, batches, groups), readout) for name in model.views}
        found = torch.stack([effects[:, :, _columns(model, name)] for name, effects in views.items()]).mean(0)
    if dynamics is not None:
        size = found.square().mean().sqrt()  # weights keep the size that they have without it
        found = mean_at_one_size([found, torch.from_numpy(dynamics).to(found).T[None] * size])
    weights = found.transpose(1, 2).float().numpy()  # (groups, regulators, genes)
    names = [genes[position] for position in regulators]
    by_group: np.ndarray | dict[str, np.ndarray]
    by_group = weights[0] if groups is None else dict(zip(groups, weights, strict=True))
    params = {**params, "readout": readout}
    if prior is not None:
        by_group, params["prior"] = prior.apply(by_group, genes, regulators)
    return GeneNetwork.from_matrix(by_group, names, genes, params=params)


def _columns(model: RegulatoryModel, view: str) -> Tensor | slice:
    """Where among a view's keys the regulators are."""
    return slice(None) if view == "regulators" else model.regulators


def _effects(model: RegulatoryModel, view: str, batches: Iterable[Batch], groups: list[str] | None) -> Tensor:
    """Signed effects of a view's keys, (groups, genes, keys)."""
    if model.context == "cell":
        weights = _mean_over_cells(
            ((model.weights(view, batch["x"], group), group) for batch, group in _with_groups(batches, groups)), groups
        )
    else:
        weights = model.weights(view)
    return effect(weights, _channel_covariance(model, view, batches))


def _channel_covariance(model: RegulatoryModel, view: str, batches: Iterable[Batch]) -> Tensor:
    """Covariance over these cells of each key's value channels, (keys, channels, channels).

    Around these cells' own mean: cells other than the model was trained on may lie elsewhere.
    """
    module = model.view(view)
    shape = (module.channels, len(module.keys))
    total, products, cells = torch.zeros(shape, dtype=torch.float64), torch.zeros((), dtype=torch.float64), 0
    for batch in batches:
        values = module.values(batch["x"], model.standardise(batch["x"])).double().unflatten(0, shape)
        total = total + values.sum(-1)
        products = products + torch.einsum("cjb,djb->jcd", values, values)
        cells += values.shape[-1]
    if not cells:
        raise ValueError("There are no cells to measure the regulators' values over.")
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
