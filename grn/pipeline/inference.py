"""The job of `grn infer`: a trained run read out again, or a method that needs no training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from grn import console
from grn._errors import InputError, near_misses
from grn._log import logger
from grn.config import load_data, plain_config
from grn.data import CheckedData, check
from grn.dynamics import find_dynamics
from grn.network import GeneNetwork
from grn.pipeline.confidence import with_confidence
from grn.pipeline.results import (
    check_dynamics,
    checked_data,
    dynamics_facts,
    how_data_were_read,
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
from grn.prior import Prior, load_prior
from grn.run_folder import Stopwatch, record
from grn.training.build import build_data
from grn.training.fit import BEST, load_checkpoint

if TYPE_CHECKING:
    from anndata import AnnData
    from omegaconf import DictConfig


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
    refuse_choice(config)
    prior = prior or load_prior(config["prior"])
    with watch.phase("check"):
        checked = checked_data(adata, config)
    refuse_formats(config["network"]["formats"], grouped=checked.groups is not None)
    params = how_data_were_read(checked, config)
    with watch.phase("score"):
        network = baseline_network(
            method, checked, seed=config["seed"], readout=config["network"]["readout"], params=params, prior=prior
        )
    with watch.phase("confidence"):
        network = with_confidence(network, checked, config)
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
        write_reference(adata, folder)
    record(folder, config, checked, watch, device="cpu", extra=prior_facts(network))
    write_report(folder, network)
    return network


def _again(config: dict[str, Any], folder: Path) -> GeneNetwork:
    """Read a trained run out again."""
    watch = Stopwatch()
    checkpoint = load_checkpoint(_best_checkpoint(Path(config["run"])), of_run=True)
    description = checkpoint["grn"]
    trained = description["config"]
    refuse_earlier_version(trained)
    group_by = config["group_by"] or trained["group_by"]
    prior = load_prior(config["prior"])
    for setting in ("prior", "confidence"):
        if trained.get(setting) is not None and config[setting] is None:
            logger.info("the run's own %s is not repeated: give %s=... for it", setting, setting)
    merged = {
        **trained,
        "data": config["data"] or trained["data"],
        "network": config["network"],
        "confidence": config["confidence"],
        "dynamics": config["dynamics"] or trained["dynamics"],
        "group_by": group_by,
    }
    check_dynamics(merged["dynamics"], merged)
    refuse_choice(merged)
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
        batch_key = trained["batch_key"]
        found = check(adata, tf=tfs, layer=layer, group_by=group_by, batch_key=batch_key, allow_negative=allow_negative)
        _refuse_other_batches(found, description)
        if found.report.kind != description["kind"]:
            logger.warning(
                "the run was trained on %s values, and these are %s: effects may not compare",
                description["kind"],
                found.report.kind,
            )
        checked = _align(found, description)
    console.show_gate(checked.report)
    groups = checked.group_names
    refuse_formats(config["network"]["formats"], grouped=groups is not None)
    data = build_data({**trained["training"], "validation_fraction": 0.0}, checked, trained["seed"])
    with watch.phase("extract"):
        dynamics = find_dynamics(adata, checked, merged["dynamics"], seed=trained["seed"])
        network, attention = read_out(checkpoint, checked, data.predict_dataloader(), groups, merged, dynamics, prior)
    with watch.phase("write"):
        write_network(network, folder, config["network"])
        write_attention(attention, folder)
    record(
        folder,
        {**config, "seed": trained["seed"]},
        checked,
        watch,
        device="cpu",
        extra={"run": config["run"], **dynamics_facts(dynamics), **prior_facts(network)},
    )
    write_report(folder, network)
    return network


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
    unused = {"tf": None, "seed": 0, "allow_negative": False, "batch_key": None}
    given = [name for name, default in unused.items() if config[name] != default]
    if given:
        raise InputError(f"{', '.join(given)}: belongs to method=..., or to the run, which keeps its own.")


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


def _refuse_other_batches(checked: CheckedData, description: dict[str, Any]) -> None:
    """A model with batches knows the means of its own alone."""
    here = [] if checked.batches is None else [str(name) for name in checked.batches.categories]
    if here != (description["batches"] or []):
        raise InputError(
            f"The run was trained on the batches {', '.join(description['batches'])}, and these data have "
            f"{', '.join(here[:5])}. Read it out on cells of the same batches, or train on these."
        )
