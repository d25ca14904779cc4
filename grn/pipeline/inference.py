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
from grn._provenance import versions
from grn.config import load_data, plain_config
from grn.data import CheckedData, check
from grn.dynamics import find_dynamics
from grn.network import GeneNetwork
from grn.pipeline.results import (
    check_dynamics,
    checked_data,
    dynamics_facts,
    prior_facts,
    read_out,
    refuse_earlier_version,
    refuse_formats,
    write_network,
    write_reference,
)
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
    prior = prior or load_prior(config["prior"])
    with watch.phase("check"):
        checked = checked_data(adata, config)
    refuse_formats(config["network"]["formats"], grouped=checked.groups is not None)
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
        write_reference(adata, folder)
    record(folder, config, checked, watch, device="cpu", extra=prior_facts(network))
    return network


def _again(config: dict[str, Any], folder: Path) -> GeneNetwork:
    """Read a trained run out again."""
    watch = Stopwatch()
    checkpoint = load_checkpoint(_best_checkpoint(Path(config["run"])))
    description = checkpoint["grn"]
    trained = description["config"]
    refuse_earlier_version(trained)
    group_by = config["group_by"] or (trained["group_by"] if description["groups"] else None)
    prior = load_prior(config["prior"])
    _refuse_unknown_groups(description, config["group_by"])
    merged = {
        **trained,
        "network": config["network"],
        "dynamics": config["dynamics"] or trained["dynamics"],
        "group_by": group_by,
    }
    check_dynamics(merged["dynamics"], merged)
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
    refuse_formats(config["network"]["formats"], grouped=groups is not None)
    data = build_data({**trained["training"], "validation_fraction": 0.0}, checked, trained["seed"])
    with watch.phase("extract"):
        dynamics = find_dynamics(adata, checked, merged["dynamics"], seed=trained["seed"])
        network = read_out(checkpoint, checked, data.predict_dataloader(), groups, merged, dynamics, prior)
    with watch.phase("write"):
        write_network(network, folder, config["network"])
    record(
        folder,
        {**config, "seed": trained["seed"]},
        checked,
        watch,
        device="cpu",
        extra={"run": config["run"], **dynamics_facts(dynamics), **prior_facts(network)},
    )
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
    unused = {"tf": None, "seed": 0, "allow_negative": False}
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
