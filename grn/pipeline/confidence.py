"""Confidence of a network's edges: how the network is made again from other cells, as its configuration asks."""

from __future__ import annotations

from typing import Any

from grn._errors import InputError
from grn.data import CheckedData, ExpressionDataModule
from grn.data.statistics import gene_statistics
from grn.network import GeneNetwork
from grn.network.confidence import add_confidence, check_settings
from grn.network.contexts import group_departures
from grn.network.extract import weights_of
from grn.network.stability import Refit
from grn.training.build import STARTING_CELLS, build_model, noise_of, starting_cells


def with_confidence(network: GeneNetwork, checked: CheckedData, config: dict[str, Any]) -> GeneNetwork:
    """The network with confidence, p-values and q-values, where the configuration asks for them.

    Raises
    ------
    InputError
        If the model cannot be made again without long training.
    """
    settings = config["confidence"]
    if settings is None:
        return network
    refit = refit_of(config)
    return add_confidence(network, checked, refit, **settings, seed=config["seed"])


def refuse_confidence(config: dict[str, Any]) -> None:
    """Refuse confidence where it cannot be had, before anything is computed."""
    if config["confidence"] is not None:
        check_settings(**config["confidence"])
        refit_of(config)


def refit_of(config: dict[str, Any]) -> Refit:
    """How the configured model or method makes weights (groups, regulators, genes) from other cells.

    The regulatory model starts from its optimum's leading components; that start stands for the trained model. Prior
    knowledge and dynamics are left out: confidence speaks of the expression.
    """
    readout = config["network"]["readout"]
    if config.get("method") is not None:
        from grn.evaluation.baselines import find
        from grn.evaluation.baselines.network import method_weights

        method = find(config["method"])
        return lambda checked: method_weights(method, checked, seed=config["seed"], readout=readout)
    model = {key: value for key, value in config["model"].items() if key != "encoder"}
    if model.get("attention") != "spherical" or "views" not in model:
        raise InputError(
            f"confidence makes the network again from halves of the cells, which model={model['name']} with attention="
            f"{model.get('attention')} cannot without long training: use model=regulatory, or confidence=none."
        )
    readout = "sphere" if readout == "auto" else readout

    def refit(checked: CheckedData) -> Any:
        made: Any = build_model(
            model,
            regulators=checked.regulators,
            statistics=gene_statistics(checked.x, checked.batch_codes),
            seed=config["seed"],
        )
        data = ExpressionDataModule(checked, batch_size=STARTING_CELLS, validation_fraction=0.0, seed=config["seed"])
        batches = list(data.predict_dataloader())
        start = starting_cells(data, config["seed"])
        made.start(start["x"], noise_of(made, config["training"]["noise"]), start["batch"])
        return weights_of(
            made, batches, checked.regulators.tolist(), checked.group_names, readout, group_departures(checked)
        )

    return refit
