"""The job of `grn train`: load, check, train, read out, write."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn import console
from grn._log import logger
from grn._process import unchanged_process
from grn._processes import is_first_process
from grn._provenance import versions
from grn._stored import RECORD
from grn.config import load_data, plain_config
from grn.data import CheckedData
from grn.dynamics import find_dynamics
from grn.network import GeneNetwork
from grn.pipeline.results import (
    check_dynamics,
    checked_data,
    dynamics_facts,
    prior_facts,
    read_out,
    refuse_choice,
    refuse_earlier_version,
    refuse_formats,
    write_attention,
    write_network,
    write_reference,
)
from grn.plotting import write_report
from grn.plotting.report.report import NAME as REPORT
from grn.prior import Prior, load_prior
from grn.resume import describe, refuse_changes_to_finished, refuse_other_run
from grn.run_folder import Stopwatch, record
from grn.training.build import build_data, build_objective
from grn.training.fit import fit
from grn.training.progress import Progress
from grn.training.quiet import quiet_lightning

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Inference:
    """What `infer` found.

    Attributes
    ----------
    network
        The network; None in every process but the first of a distributed run.
    checked
        The data after the gate.
    summary
        Facts for run.json: device, input noise, best epoch (as counted in metrics.csv), what a prior did.
    attention
        Attention that each regulator gets in each cell (cells, regulators), of a model with a map for each cell.
    """

    network: GeneNetwork | None
    checked: CheckedData
    summary: dict[str, Any]
    attention: pd.DataFrame | None = None


@unchanged_process()
def infer(
    adata: AnnData,
    config: dict[str, Any],
    folder: Path,
    *,
    resume: bool = False,
    watch: Stopwatch | None = None,
    progress: Progress | None = None,
    show_gate: bool = False,
    prior: Prior | None = None,
) -> Inference:
    """Check the data, train the configured model and read the network out.

    Parameters
    ----------
    adata
        Expression; not changed.
    config
        The composed configuration of `grn train` as plain values.
    folder
        Gets checkpoints and metrics.csv.
    resume
        Continue from the folder's last checkpoint.
    watch, progress
        Where times are kept and phases shown.
    show_gate
        Print what the gate found before training.
    prior
        Prior knowledge for the read-out; None: as the configuration says.
    """
    watch, progress = watch or Stopwatch(), progress or Progress(enabled=False)
    refuse_earlier_version(config)
    prior = prior or load_prior(config["prior"])
    check_dynamics(config["dynamics"], config)
    refuse_choice(config)
    with progress.phase("check"), watch.phase("check"):
        checked = checked_data(adata, config)
    if show_gate:
        console.show_gate(checked.report)
    groups = checked.group_names
    refuse_formats(config["network"]["formats"], grouped=groups is not None)
    if prior is not None:
        prior.on(checked.genes, checked.regulators)  # what cannot be used is said before training
    description = {**describe(config, checked), "versions": versions()}
    if resume:
        refuse_other_run(folder, description)
    data = build_data(config["training"], checked, config["seed"])
    with progress.phase("prepare"), watch.phase("prepare"):
        dynamics = find_dynamics(adata, checked, config["dynamics"], seed=config["seed"])
        objective = build_objective(config, checked, data, description)
    with (
        progress.phase("train", total=config["training"]["epochs"]),
        watch.phase("train"),
        quiet_lightning(),
    ):
        checkpoint = fit(objective, data, config, folder, resume=resume, progress=progress)
    device = _device_name(objective.trainer.strategy.root_device)
    summary = {"device": device, "noise": objective.description["noise"], **dynamics_facts(dynamics)}
    if checkpoint is None:
        return Inference(None, checked, summary)
    summary["best_epoch"] = checkpoint["epoch"]
    with progress.phase("extract"), watch.phase("extract"):
        network, attention = read_out(checkpoint, checked, data.predict_dataloader(), groups, config, dynamics, prior)
    summary |= prior_facts(network)
    return Inference(network, checked, summary, attention)


def train(cfg: DictConfig, folder: Path) -> GeneNetwork | None:
    """The job of `grn train`: everything of the run lands in `folder`.

    Parameters
    ----------
    cfg
        The composed configuration.
    folder
        The run's folder, claimed for it.

    Returns
    -------
    GeneNetwork or None
        The network; None in every process but the first of a distributed run.
    """
    config = plain_config(cfg)
    if config["resume"] and (folder / RECORD).exists():
        refuse_changes_to_finished(folder, config)
        network = GeneNetwork.read(folder)
        if (folder / REPORT).exists():
            logger.info("%s is finished already; nothing to resume", folder)
        else:
            logger.info("%s is finished but for its report, which is written now", folder)
            write_report(folder, network)
        return network
    first = is_first_process()
    watch, progress = Stopwatch(), Progress(enabled=first)
    with progress.phase("load"), watch.phase("load"):
        adata = load_data(cfg.data)
    inference = infer(adata, config, folder, resume=config["resume"], watch=watch, progress=progress, show_gate=first)
    if inference.network is None:
        return None
    with progress.phase("write"), watch.phase("write"):
        write_network(inference.network, folder, config["network"])
        write_attention(inference.attention, folder)
        write_reference(adata, folder)
    device = inference.summary.pop("device")
    record(folder, config, inference.checked, watch, device=device, extra=inference.summary)
    with progress.phase("report"):
        write_report(folder, inference.network)
    return inference.network


def _device_name(device: Any) -> str:
    if device.type != "cuda":
        return f"{device} ({platform.processor() or platform.machine()})"
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
