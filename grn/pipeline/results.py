"""What both jobs share: the gate, and reading the network out of a model and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError
from grn._files import atomic_path
from grn._log import logger
from grn._provenance import versions
from grn.data import CheckedData, check
from grn.dynamics import Dynamics, check_settings
from grn.network import GeneNetwork
from grn.network.extract import extract
from grn.prior import Prior
from grn.training.build import rebuild

if TYPE_CHECKING:
    from anndata import AnnData

_SIGNS_OF_ONE_NETWORK = ("sif", "gmt")


def checked_data(adata: AnnData, config: dict[str, Any]) -> CheckedData:
    """The data after the gate, as the configuration asks."""
    return check(
        adata,
        tf=config["tf"],
        layer=config["data"]["layer"],
        group_by=config["group_by"],
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
) -> GeneNetwork:
    """Network of a trained checkpoint on these cells, with how it was made as its parameters."""
    model, description = rebuild(checkpoint)
    params = {
        "method": config["model"]["name"],
        "seed": config["seed"],
        "noise": description["noise"],
        "model": config["model"],
        "training": config["training"],
        "tf": config["tf"],
        "expression": f"{checked.report.source} ({checked.report.kind})",
        "group_by": config["group_by"],
        "version": versions()["grn"],
        **dynamics_facts(dynamics),
    }
    return extract(
        model,
        batches,
        genes=description["genes"],
        regulators=description["regulators"],
        groups=groups,
        readout=config["network"]["readout"],
        params=params,
        dynamics=None if dynamics is None else dynamics.map,
        prior=prior,
    )


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
    """Refuse the settings of a run that was made before the model had views."""
    if "dynamics" not in config:
        raise InputError(
            "The run was made by an earlier version of grn, whose model this one does not read. Train it again, with "
            "overwrite=true in its place."
        )


def refuse_formats(formats: list[str], *, grouped: bool) -> None:
    """Refuse formats that hold one network where there is one for each group."""
    unfit = [name for name in formats if name in _SIGNS_OF_ONE_NETWORK]
    if grouped and unfit:
        raise InputError(
            f"network.formats names {' and '.join(unfit)}, which hold one network, but there is one for each group. "
            f"Leave {' and '.join(unfit)} out, and write single groups with `grn export group=...`."
        )


def write_network(network: GeneNetwork, folder: Path, settings: dict[str, Any]) -> None:
    """Write network.parquet, the formats asked for, and figures/network.png, each whole or not at all."""
    from grn.plotting import network as draw
    from grn.plotting import save

    for name in dict.fromkeys(["parquet", *settings["formats"]]):
        chosen = network
        if name == "graphml" and len(network) > settings["graphml_top"]:
            chosen = network.top(settings["graphml_top"])
            logger.info("network.graphml holds the %d strongest of %d edges", len(chosen), len(network))
        chosen.write(folder / f"network.{name}", format=name)
    if len(network):
        save(draw(network, top=settings["figure_top"]), folder / "figures" / "network.png")


def write_reference(adata: AnnData, folder: Path) -> None:
    """Lay the true network beside the inferred one, where the data come with it."""
    if "reference" in adata.uns:
        with atomic_path(folder / "reference.csv") as path:
            adata.uns["reference"].to_csv(path, index=False)
