"""The whole job: load, check, train, extract, write. Commands and the Python API both come through here."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from grn import console
from grn._errors import InputError, near_misses
from grn._files import atomic_path
from grn._log import logger
from grn._provenance import versions
from grn.config import load_data, plain_config
from grn.data import CheckedData, check
from grn.dynamics import Dynamics, check_settings, find_dynamics
from grn.network import GeneNetwork
from grn.network.extract import extract
from grn.prior import Prior, load_prior
from grn.resume import describe, refuse_changes_to_finished, refuse_other_run
from grn.run_folder import RECORD, Stopwatch, is_first_process, record
from grn.training.build import build_data, build_objective, rebuild
from grn.training.fit import BEST, fit, load_checkpoint
from grn.training.progress import Progress
from grn.training.quiet import quiet_lightning

if TYPE_CHECKING:
    from anndata import AnnData
    from omegaconf import DictConfig

_SIGNS_OF_ONE_NETWORK = ("sif", "gmt")


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
    """

    network: GeneNetwork | None
    checked: CheckedData
    summary: dict[str, Any]


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
    prior = prior or load_prior(config["prior"])
    _check_dynamics(config["dynamics"], config)
    with progress.phase("check"), watch.phase("check"):
        checked = check(
            adata,
            tf=config["tf"],
            layer=config["data"]["layer"],
            group_by=config["group_by"],
            allow_negative=config["allow_negative"],
        )
    if show_gate:
        console.show_gate(checked.report)
    groups = None if checked.groups is None else [str(name) for name in checked.groups.categories]
    _refuse_formats(config["network"]["formats"], grouped=groups is not None)
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
    summary = {"device": device, "noise": objective.description["noise"], **_dynamics_facts(dynamics)}
    if checkpoint is None:
        return Inference(None, checked, summary)
    summary["best_epoch"] = checkpoint["epoch"]
    with progress.phase("extract"), watch.phase("extract"):
        network = _read_out(checkpoint, checked, data.predict_dataloader(), groups, config, dynamics, prior)
    summary |= _prior_facts(network)
    return Inference(network, checked, summary)


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
        logger.info("%s is finished already; nothing to resume", folder)
        return GeneNetwork.read(folder)
    first = is_first_process()
    watch, progress = Stopwatch(), Progress(enabled=first)
    with progress.phase("load"), watch.phase("load"):
        adata = load_data(cfg.data)
    inference = infer(adata, config, folder, resume=config["resume"], watch=watch, progress=progress, show_gate=first)
    if inference.network is None:
        return None
    with progress.phase("write"), watch.phase("write"):
        write_network(inference.network, folder, config["network"])
        _write_reference(adata, folder)
    device = inference.summary.pop("device")
    record(folder, config, inference.checked, watch, device=device, extra=inference.summary)
    return inference.network


def infer_command(cfg: DictConfig, folder: Path) -> GeneNetwork:
    """The job of `grn infer`: a trained run read out again, or a method of `BASELINES` on data.

    Parameters
    ----------
    cfg
        The composed configuration.
    folder
        Where the network is written.

    Raises
    ------
    InputError
        If neither or both of run and method are given, the run has no checkpoint, the data lack its genes, groups are
        asked of a model without them, or there is no such method.
    """
    config = plain_config(cfg)
    _refuse_what_has_no_use(config)
    return _by_method(cfg, config, folder) if config["run"] is None else _again(config, folder)


def infer_by_method(
    adata: AnnData, config: dict[str, Any], watch: Stopwatch | None = None, *, prior: Prior | None = None
) -> tuple[GeneNetwork, CheckedData]:
    """Check the data and score every edge by a method that needs no training.

    Parameters
    ----------
    adata
        Expression; not changed.
    config
        The composed configuration of `grn infer` as plain values.
    watch
        Where times are kept.
    prior
        As in `infer`.

    Returns
    -------
    The network, and the data after the gate.
    """
    from grn.evaluation.baselines import find
    from grn.evaluation.baselines.network import baseline_network

    method, watch = find(config["method"]), watch or Stopwatch()
    prior = prior or load_prior(config["prior"])
    with watch.phase("check"):
        checked = check(
            adata,
            tf=config["tf"],
            layer=config["data"]["layer"],
            group_by=config["group_by"],
            allow_negative=config["allow_negative"],
        )
    _refuse_formats(config["network"]["formats"], grouped=checked.groups is not None)
    params = {
        "tf": config["tf"],
        "expression": f"{checked.report.source} ({checked.report.kind})",
        "group_by": config["group_by"],
        "version": versions()["grn"],
    }
    with watch.phase("score"):
        network = baseline_network(
            method, checked, seed=config["seed"], readout=config["network"]["readout"], params=params, prior=prior
        )
    return network, checked


def _by_method(cfg: DictConfig, config: dict[str, Any], folder: Path) -> GeneNetwork:
    watch = Stopwatch()
    with watch.phase("load"):
        adata = load_data(cfg.data)
    config["tf"] = config["data"]["tf"] if config["tf"] is None else config["tf"]
    network, checked = infer_by_method(adata, config, watch)
    console.show_gate(checked.report)
    with watch.phase("write"):
        write_network(network, folder, config["network"])
        _write_reference(adata, folder)
    record(folder, config, checked, watch, device="cpu", extra=_prior_facts(network))
    return network


def _again(config: dict[str, Any], folder: Path) -> GeneNetwork:
    """Read a trained run out again."""
    watch = Stopwatch()
    checkpoint = load_checkpoint(_best_checkpoint(Path(config["run"])))
    description = checkpoint["grn"]
    trained = description["config"]
    group_by = config["group_by"] or (trained["group_by"] if description["groups"] else None)
    prior = load_prior(config["prior"])
    _refuse_unknown_groups(description, config["group_by"])
    merged = {**trained, "network": config["network"], "dynamics": config["dynamics"] or trained["dynamics"]}
    _check_dynamics(merged["dynamics"], {**merged, "group_by": group_by})
    with watch.phase("load"):
        adata = load_data(config["data"] or trained["data"])
    with watch.phase("check"):
        names = description["genes"]
        tfs = [names[position] for position in description["regulators"]]
        layer = (config["data"] or trained["data"])["layer"]
        present = set(adata.raw.var_names if layer == "raw" and adata.raw is not None else adata.var_names)
        absent = [name for name in names if name not in present]
        if absent:
            raise InputError(
                f"{len(absent)} of the {len(names)} genes of the run are not in these data, among them "
                f"{', '.join(absent[:5])}. Give data with the same genes."
            )
        allow_negative = trained["allow_negative"]
        found = check(adata, tf=tfs, layer=layer, group_by=group_by, allow_negative=allow_negative)
        if found.report.kind != description["kind"]:
            logger.warning(
                "the run was trained on %s values, and these are %s: effects may not compare",
                description["kind"],
                found.report.kind,
            )
        checked = _align(found, description)
    console.show_gate(checked.report)
    groups = _groups_of(checked, description)
    _refuse_formats(config["network"]["formats"], grouped=groups is not None)
    data = build_data({**trained["training"], "validation_fraction": 0.0}, checked, trained["seed"])
    with watch.phase("extract"):
        dynamics = find_dynamics(adata, checked, merged["dynamics"], seed=trained["seed"])
        network = _read_out(checkpoint, checked, data.predict_dataloader(), groups, merged, dynamics, prior)
    with watch.phase("write"):
        write_network(network, folder, config["network"])
    record(
        folder,
        {**config, "seed": trained["seed"]},
        checked,
        watch,
        device="cpu",
        extra={"run": config["run"], **_dynamics_facts(dynamics), **_prior_facts(network)},
    )
    return network


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


def _write_reference(adata: AnnData, folder: Path) -> None:
    """Lay the true network beside the inferred one, where the data come with it."""
    if "reference" in adata.uns:
        with atomic_path(folder / "reference.csv") as path:
            adata.uns["reference"].to_csv(path, index=False)


def _refuse_what_has_no_use(config: dict[str, Any]) -> None:
    """Of `grn infer`: run or method, and only the settings of the one that is given."""
    from grn.evaluation.baselines import BASELINES, find

    if (config["run"] is None) == (config["method"] is None):
        raise InputError(
            "Give either run=... (a trained run to read out again) or method=... with data=... (without training: "
            f"{', '.join(BASELINES)})."
        )
    if config["run"] is None:
        find(config["method"])
        if config["dynamics"] is not None:
            raise InputError(f"dynamics is added to a trained model's map; method={config['method']} has none.")
        if config["data"] is None:
            raise InputError(f"method={config['method']} needs data=..., for instance data=h5ad data.path=my.h5ad.")
        return
    unused = {"tf": None, "seed": 0, "allow_negative": False}
    given = [name for name, default in unused.items() if config[name] != default]
    if given:
        raise InputError(f"{', '.join(given)}: belongs to method=..., or to the run, which keeps its own.")


def _read_out(
    checkpoint: dict[str, Any],
    checked: CheckedData,
    batches: Any,
    groups: list[str] | None,
    config: dict[str, Any],
    dynamics: Dynamics | None,
    prior: Prior | None,
) -> GeneNetwork:
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
        **_dynamics_facts(dynamics),
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


def _check_dynamics(settings: dict[str, Any], config: dict[str, Any]) -> None:
    readout, group_by = config["network"]["readout"], config["group_by"]
    check_settings(settings, model=config["model"]["name"], readout=readout, group_by=group_by)


def _dynamics_facts(dynamics: Dynamics | None) -> dict[str, Any]:
    return {} if dynamics is None else {"dynamics": dynamics.facts}


def _prior_facts(network: GeneNetwork) -> dict[str, Any]:
    return {"prior": network.params["prior"]} if "prior" in network.params else {}


def _refuse_formats(formats: list[str], *, grouped: bool) -> None:
    unfit = [name for name in formats if name in _SIGNS_OF_ONE_NETWORK]
    if grouped and unfit:
        raise InputError(
            f"network.formats names {' and '.join(unfit)}, which hold one network, but there is one for each group. "
            f"Leave {' and '.join(unfit)} out, and write single groups with `grn export group=...`."
        )


def _align(checked: CheckedData, description: dict[str, Any]) -> CheckedData:
    """Data with exactly the genes of the trained model, in its order; genes without a count anywhere are zero."""
    genes = description["genes"]
    at = checked.genes.get_indexer(genes)
    x = sparse.csc_matrix(checked.x)
    empty = sparse.csc_matrix((x.shape[0], 1), dtype=np.float32)
    columns = sparse.hstack([x, empty], format="csc")[:, np.where(at < 0, x.shape[1], at)]
    dense = columns.tocsr() if sparse.issparse(checked.x) else columns.toarray()
    names = checked.genes[:0].append(type(checked.genes)(genes))
    return replace(checked, x=dense, genes=names, regulators=np.asarray(description["regulators"]))


def _best_checkpoint(run: Path) -> Path:
    if run.is_file():
        return run
    best = run / "checkpoints" / BEST
    if not best.exists():
        siblings = [path.name for path in run.parent.glob("*/") if (path / "checkpoints" / BEST).exists()]
        close = near_misses(run.name, siblings) or siblings[:5]
        hint = f" Runs there: {', '.join(close)}." if close else ""
        raise InputError(f"{run} is not the folder of a trained run: it has no checkpoints/{BEST}.{hint}")
    return best


def _refuse_unknown_groups(description: dict[str, Any], group_by: str | None) -> None:
    context = description["model"].get("context", "cell")
    if group_by is None or context == "cell":
        return
    if description["groups"] is None:
        raise InputError(
            "The run has one map for all cells, so group_by has nothing to tell apart. Train with group_by=..., or "
            "with model=contextual, whose map depends on the cell."
        )
    trained = description["config"]["group_by"]
    if group_by != trained:
        raise InputError(f"The run was trained with group_by={trained}; it knows no groups of {group_by!r}.")


def _groups_of(checked: CheckedData, description: dict[str, Any]) -> list[str] | None:
    """Names of the network's groups: the model's own, where it has a map for each, else those of the cells."""
    if checked.groups is None:
        return None
    here = [str(name) for name in checked.groups.categories]
    if description["model"].get("context") not in ("auto", "group"):
        return here
    unknown = [name for name in here if name not in description["groups"]]
    if unknown:
        raise InputError(
            f"The run knows no group {', '.join(map(repr, unknown[:5]))}; it was trained on "
            f"{', '.join(description['groups'])}. Leave such cells out, or train on them."
        )
    return description["groups"]


def _device_name(device: Any) -> str:
    if device.type != "cuda":
        return f"{device} ({platform.processor() or platform.machine()})"
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
