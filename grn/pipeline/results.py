"""What both jobs share: the gate, and reading the network out of a model and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError
from grn._files import atomic_path
from grn._log import logger
from grn._provenance import versions
from grn._tables import write_frame
from grn.data import CheckedData, check
from grn.dynamics import Dynamics, check_settings
from grn.models import RegulatoryModel
from grn.network import GeneNetwork
from grn.network.contexts import group_departures
from grn.network.extract import attention_of_cells, extract
from grn.network.formats import FORMATS
from grn.pipeline.confidence import refuse_confidence, with_confidence
from grn.prior import Prior
from grn.training.build import rebuild

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def checked_data(adata: AnnData, config: dict[str, Any]) -> CheckedData:
    """The data after the gate, as the configuration asks."""
    return check(
        adata,
        tf=config["tf"],
        layer=config["data"]["layer"],
        group_by=config["group_by"],
        batch_key=config["batch_key"],
        allow_negative=config["allow_negative"],
    )


def read_out(
    checkpoint: dict[str, Any],
    checked: CheckedData,
    batches: Any,
    groups: list[str] | None,
    config: dict[str, Any],
    dynamics: Dynamics | None,
    prior: Prior | None,
) -> tuple[GeneNetwork, pd.DataFrame | None]:
    """Network of a trained checkpoint on these cells, with how it was made as its parameters.

    Beside it the attention that each regulator gets in each cell, where the model has a map for each; else None.
    """
    model, description = rebuild(checkpoint)
    params = {
        "method": config["model"]["name"],
        "noise": description["noise"],
        "model": config["model"],
        "training": config["training"],
        **how_data_were_read(checked, config),
        **dynamics_facts(dynamics),
    }
    one_map = isinstance(model, RegulatoryModel) and model.encoder is None
    network = extract(
        model,
        batches,
        genes=description["genes"],
        regulators=description["regulators"],
        groups=groups,
        readout=config["network"]["readout"],
        params=params,
        departures=group_departures(checked) if one_map else None,
        dynamics=None if dynamics is None else dynamics.map,
        prior=prior,
    )
    attention = attention_of_cells(model, batches, checked.cells, checked.tf_names)
    return with_confidence(network, checked, config), attention


def how_data_were_read(checked: CheckedData, config: dict[str, Any]) -> dict[str, Any]:
    """What a network's parameters say of the data: enough to read them in the same way again."""
    return {
        "seed": config["seed"],
        "tf": config["tf"],
        "cells": len(checked.cells),
        "expression": f"{checked.report.source} ({checked.report.kind})",
        **{key: config[key] for key in ("group_by", "batch_key", "allow_negative")},
        "layer": config["data"]["layer"],
        "version": versions()["grn"],
    }


def check_dynamics(settings: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse settings of the dynamics head that this run cannot follow."""
    readout, group_by = config["network"]["readout"], config["group_by"]
    check_settings(settings, model=config["model"]["name"], readout=readout, group_by=group_by)


def dynamics_facts(dynamics: Dynamics | None) -> dict[str, Any]:
    """What run.json says of the dynamics head."""
    return {} if dynamics is None else {"dynamics": dynamics.facts}


def prior_facts(network: GeneNetwork) -> dict[str, Any]:
    """What run.json says of the prior knowledge."""
    return {"prior": network.params["prior"]} if "prior" in network.params else {}


def refuse_earlier_version(config: dict[str, Any]) -> None:
    """Refuse the settings of a run that was made before batches were known."""
    if "batch_key" not in config:
        raise InputError(
            "The run was made by an earlier version of grn, whose model this one does not read. Train it again, with "
            "overwrite=true in its place."
        )


def refuse_choice(config: dict[str, Any]) -> None:
    """Refuse a choice of edges that cannot be made, before anything is computed."""
    refuse_confidence(config)
    network = config["network"]
    if network["fdr"] is not None and config["confidence"] is None:
        raise InputError(f"network.fdr={network['fdr']} needs q-values: add confidence=default.")
    GeneNetwork.from_matrix([[0.0]], ["A"], ["A"]).chosen(per_target=network["per_target"], top=network["top_k"])


def refuse_formats(formats: list[str], *, grouped: bool) -> None:
    """Refuse formats that hold one network where there is one for each group."""
    unfit = [name for name in formats if not FORMATS[name].grouped]
    if grouped and unfit:
        raise InputError(
            f"network.formats names {' and '.join(unfit)}, which hold one network, but there is one for each group. "
            f"Leave {' and '.join(unfit)} out, and write single groups with `grn export group=...`."
        )


def write_network(network: GeneNetwork, folder: Path, settings: dict[str, Any]) -> None:
    """Write network.parquet, the formats asked for, and figures/network.png, each whole or not at all."""
    from grn.plotting import network as draw
    from grn.plotting import save

    kept = network.chosen(fdr=settings["fdr"], per_target=settings["per_target"], top=settings["top_k"])
    if len(kept) < len(network):
        logger.info("network.parquet holds all %d edges; the other files hold the %d chosen", len(network), len(kept))
    for name in dict.fromkeys(["parquet", *settings["formats"]]):
        form = FORMATS[name]
        chosen = network if name == "parquet" else kept
        if form.drawn and len(kept) > settings["graphml_top"]:
            chosen = kept.top(settings["graphml_top"])
            logger.info("%s holds the %d strongest of %d edges", form.file, len(chosen), len(kept))
        chosen.write(folder / form.file, format=name)
    if len(kept):
        save(draw(kept, top=settings["figure_top"]), folder / "figures" / "network.png")


def write_attention(attention: pd.DataFrame | None, folder: Path) -> None:
    """Write attention.parquet, cells x regulators, where the model has a map for each cell."""
    if attention is not None:
        with atomic_path(folder / "attention.parquet") as temporary:
            attention.to_parquet(temporary)


def write_reference(adata: AnnData, folder: Path) -> None:
    """Lay the true network beside the inferred one, where the data come with it."""
    if "reference" in adata.uns:
        with atomic_path(folder / "reference.csv") as path:
            write_frame(adata.uns["reference"], path)
