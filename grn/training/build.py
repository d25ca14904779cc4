"""From configuration and checked data to a model, its data module and its objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from grn._errors import InputError
from grn._log import logger
from grn.config import factory, instantiate
from grn.data import CheckedData, ExpressionDataModule
from grn.data.module import Batch
from grn.data.statistics import GeneStatistics, gene_statistics
from grn.models import GeneTransformer, RegulatoryModel
from grn.training.objectives import MaskedExpressionObjective, Objective, RegulatoryObjective

# Cells that the first weights are computed from: more change them little and cost memory.
STARTING_CELLS = 4096
# Of training from random weights: below, the network is not worth reading.
FEW_STEPS = 200


def build_model(
    settings: dict[str, Any],
    *,
    regulators: np.ndarray,
    statistics: GeneStatistics,
    seed: int,
) -> RegulatoryModel | GeneTransformer:
    """Model of the configuration group `model` for genes with these statistics.

    Parameters
    ----------
    settings
        The group, resolved to plain values.
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    statistics
        Of each gene, see `grn.data.statistics`.
    seed
        Of the initial weights.
    """
    settings = {key: value for key, value in settings.items() if key != "name"}
    genes: dict[str, Any] = {
        "n_genes": len(statistics.mean),
        "mean": torch.from_numpy(statistics.mean),
        "std": torch.from_numpy(statistics.std),
        "seed": seed,
    }
    if settings["_target_"].endswith(".GeneTransformer"):
        if statistics.batch_mean is not None:
            raise InputError("batch_key is an intercept of the regulatory model's; model=transformer has none.")
        return instantiate("model", settings, **genes)
    if settings.get("encoder") is not None:
        genes["encoder"] = instantiate("model.encoder", settings.pop("encoder"), **genes)
    batches = {
        "batch_mean": statistics.batch_mean,
        "batch_detection": statistics.batch_detection,
    }
    genes_by_batch: dict[str, Any] = {
        name: torch.from_numpy(table) for name, table in batches.items() if table is not None
    }
    return instantiate(
        "model",
        settings,
        **genes,
        regulators=torch.from_numpy(regulators),
        detection=torch.from_numpy(statistics.detection),
        **genes_by_batch,
    )


def build_data(training: dict[str, Any], checked: CheckedData, seed: int) -> ExpressionDataModule:
    """Data module of the configuration group `training`."""
    return ExpressionDataModule(
        checked,
        batch_size=training["batch_size"],
        validation_fraction=training["validation_fraction"],
        seed=seed,
        batches_per_epoch=training["steps_per_epoch"],
    )


def build_objective(
    config: dict[str, Any], checked: CheckedData, data: ExpressionDataModule, description: dict[str, Any]
) -> Objective:
    """Objective around a freshly initialised model, with what a checkpoint needs to be read again.

    Parameters
    ----------
    config
        Composed configuration as plain values; `model`, `training` and `seed` are used.
    checked
        Data that passed the gate.
    data
        Its data module.
    description
        Entries to add to what travels in the checkpoint.
    """
    training, seed = config["training"], config["seed"]
    model = build_model(
        config["model"],
        regulators=checked.regulators,
        statistics=gene_statistics(checked.x, checked.batch_codes),
        seed=seed,
    )
    optimizer = factory("training.optimizer", training["optimizer"])
    try:
        optimizer([{"params": list(model.parameters())}])
    except ValueError as error:
        raise InputError(f"training.optimizer cannot be built: {error}") from error
    steps = training["epochs"] * training["steps_per_epoch"]
    hidden = {key: training[key] for key in ("hidden_fraction",) if key in training}
    if hidden and not isinstance(model, GeneTransformer) and model.encoder is None:
        raise InputError(
            f"training.hidden_fraction={hidden['hidden_fraction']} is the share of genes hidden from an encoder, which "
            f"model={config['model']['name']} does not have. Leave it out."
        )
    objective: Objective
    noise = None
    if isinstance(model, GeneTransformer):
        if training["noise"] != "auto":
            raise InputError(
                f"training.noise={training['noise']} is the regulatory model's penalty; a transformer trained by "
                "masked expression has none. Leave it out."
            )
        objective = MaskedExpressionObjective(model, optimizer, steps=steps, seed=seed, **hidden)
    else:
        noise = noise_of(model, training["noise"])
        if config["model"]["attention"] == "spherical":
            start = starting_cells(data, seed)
            model.start(start["x"], noise, start["batch"])
        elif steps < FEW_STEPS:
            logger.warning(
                "model.attention=%s starts from random weights, for which %d steps are few: add training=scratch",
                config["model"]["attention"],
                steps,
            )
        objective = RegulatoryObjective(model, optimizer, steps=steps, noise=noise, seed=seed, **hidden)
    objective.description = {
        "genes": [str(name) for name in checked.genes],
        "regulators": checked.regulators.tolist(),
        "batches": None if checked.batches is None else [str(name) for name in checked.batches.categories],
        "model": config["model"],
        "noise": noise,
        **description,
    }
    return objective


def noise_of(model: RegulatoryModel, setting: float | str) -> dict[str, float]:
    """Standard deviation of each view's input noise: by its share of the variance ("auto"), or as given for all."""
    return {name: model.view(name).noise if setting == "auto" else float(setting) for name in model.views}


def starting_cells(data: ExpressionDataModule, seed: int) -> Batch:
    """The training cells as one batch, at most 4096 of them, drawn with the seed."""
    cells = data.train_cells
    if len(cells) > STARTING_CELLS:
        cells = np.sort(np.random.default_rng((seed, 1)).choice(cells, STARTING_CELLS, replace=False))
    return data.dataset[cells]


def rebuild(checkpoint: dict[str, Any]) -> tuple[RegulatoryModel | GeneTransformer, dict[str, Any]]:
    """Trained model of a checkpoint and its description (genes, regulators, groups, settings)."""
    description, state = checkpoint["grn"], checkpoint["state_dict"]
    weights = {
        key.removeprefix("model."): value.float() if value.is_floating_point() else value
        for key, value in state.items()
    }
    genes = len(weights["mean"])
    statistics = GeneStatistics(
        weights["mean"].cpu().numpy(),
        weights["std"].cpu().numpy(),
        weights["detection"].cpu().numpy() if "detection" in weights else np.ones(genes, dtype=np.float32),
        *(weights[name].cpu().numpy() if name in weights else None for name in ("batch_mean", "batch_detection")),
    )
    model = build_model(
        dict(description["model"]),
        regulators=np.asarray(description["regulators"], dtype=np.int64),
        statistics=statistics,
        seed=0,
    )
    _refuse_other_positions(model, weights)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"The checkpoint's weights do not fit the settings of its model: {error}") from error
    return model.eval(), description


def _refuse_other_positions(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights whose positions of genes are not those that the model's settings give."""
    for name, made in model.named_buffers():
        if made.dtype == torch.int64 and name in weights and not torch.equal(made, weights[name]):
            raise InputError(f"The checkpoint's state_dict.model.{name} does not fit its genes and regulators.")
