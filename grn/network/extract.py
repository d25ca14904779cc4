"""From a trained model to the network: effects, read-outs, groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from grn.models import GeneTransformer, RegulatoryModel, effect
from grn.models.readout import mean_at_one_size, read_out
from grn.network.contexts import GroupDepartures
from grn.network.network import GeneNetwork
from grn.prior import Prior

Batch = dict[str, Tensor]
_CELLS_AT_ONCE = 64  # queries are as many as genes in each


def extract(
    model: RegulatoryModel | GeneTransformer,
    batches: Iterable[Batch],
    *,
    genes: list[str],
    regulators: list[int],
    groups: list[str] | None,
    readout: Literal["auto", "effect", "sphere"],
    params: dict[str, Any],
    departures: GroupDepartures | None = None,
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
    departures
        How the groups' effects depart from the common ones, of a model with one map for all cells.
    dynamics
        Map (regulators, genes) of `grn.dynamics`; the network is then the mean of it and the model's map at one size.
    prior
        Known regulons, brought into every group's weights at the end; what came of it is added to the params.

    Returns
    -------
    GeneNetwork
        Signed weights of all regulators for all genes.
    """
    readout = "sphere" if readout == "auto" else readout
    weights = weights_of(model, batches, regulators, groups, readout, departures)
    if dynamics is not None:
        found = torch.from_numpy(weights)
        size = found.square().mean().sqrt()  # weights keep the size that they have without it
        weights = mean_at_one_size([found, torch.from_numpy(dynamics).to(found)[None] * size]).numpy()
    names = [genes[position] for position in regulators]
    by_group: np.ndarray | dict[str, np.ndarray]
    by_group = weights[0] if groups is None else dict(zip(groups, weights, strict=True))
    params = {**params, "readout": readout}
    if prior is not None:
        by_group, params["prior"] = prior.apply(by_group, genes, regulators)
    return GeneNetwork.from_matrix(by_group, names, genes, params=params)


def attention_of_cells(
    model: RegulatoryModel | GeneTransformer, batches: Iterable[Batch], cells: pd.Index, regulators: list[str]
) -> pd.DataFrame | None:
    """Attention that every regulator gets in every cell, of a model with a map for each cell; None for others.

    The root of the summed squared attention that all genes pay to it, float32 (cells, regulators), from the factorised
    attention: no cell's map is formed.

    Parameters
    ----------
    model
        Trained.
    batches
        All cells in the order of `cells`.
    cells, regulators
        Names.
    """
    if not isinstance(model, RegulatoryModel) or model.encoder is None or "regulators" not in model.views:
        return None
    view = model.cpu().eval().view("regulators")
    if view.attention != "spherical":
        return None
    with torch.no_grad():
        parts = [
            view.strengths(model.contexts(x)["regulators"])
            for batch in batches
            for x in batch["x"].split(_CELLS_AT_ONCE)
        ]
    return pd.DataFrame(torch.cat(parts).float().numpy(), index=cells, columns=regulators)


def weights_of(
    model: RegulatoryModel | GeneTransformer,
    batches: Iterable[Batch],
    regulators: list[int],
    groups: list[str] | None,
    readout: str,
    departures: GroupDepartures | None = None,
) -> np.ndarray:
    """Signed weights (groups, regulators, genes), float32; arguments as of `extract`. One group for groups=None."""
    model = model.cpu().eval()
    if isinstance(model, GeneTransformer):
        maps = _transformer_map(model, batches, groups)
        maps.diagonal(dim1=1, dim2=2).zero_()  # a gene's attention to itself is no edge
        found = read_out(maps[:, :, regulators], readout)
    else:
        # The norm is taken over all keys of a view, also those that are no regulators.
        names = list(model.views)[:1] if readout == "effect" else list(model.views)
        found = torch.stack([_view(model, name, batches, groups, readout, departures) for name in names]).mean(0)
    return found.transpose(1, 2).float().numpy()


def _view(
    model: RegulatoryModel,
    view: str,
    batches: Iterable[Batch],
    groups: list[str] | None,
    readout: str,
    departures: GroupDepartures | None,
) -> Tensor:
    """Weights of the regulators in one view, (groups, genes, regulators)."""
    effects, columns = _effects(model, view, batches, groups), _columns(model, view)
    if groups is None or model.encoder is not None:
        return read_out(effects, readout)[:, :, columns]
    if departures is None:
        return read_out(effects, readout)[:, :, columns].expand(len(groups), -1, -1)
    # Noise in the view shrinks its effects; departures of whole slopes are brought to the same size.
    slopes = departures.slopes.T
    scale = (effects[0][:, columns] * slopes).sum() / slopes.square().sum().clamp(min=1e-30)
    parts = []
    for apart, silent in zip(departures.by_group, departures.silent, strict=True):
        moved = effects.clone()  # one group at a time: a view of all genes is genes x genes
        moved[0][:, columns] = (moved[0][:, columns] + scale * apart.T).masked_fill(silent.T, 0.0)
        parts.append(read_out(moved, readout)[0][:, columns])
    return torch.stack(parts)


def _columns(model: RegulatoryModel, view: str) -> Tensor | slice:
    """Where among a view's keys the regulators are."""
    return slice(None) if view == "regulators" else model.regulators


def _effects(model: RegulatoryModel, view: str, batches: Iterable[Batch], groups: list[str] | None) -> Tensor:
    """Signed effects of a view's keys, (groups, genes, keys)."""
    if model.encoder is not None:
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
        values = model.values(view, batch["x"], batch.get("batch")).double().unflatten(0, shape)
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
