"""The job of `grn benchmark`: methods by their names, the plan, the run, the tables and the figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grn import console
from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn._provenance import command_line, commit, machine, versions
from grn.config import conf_dir, plain_config
from grn.evaluation.baselines import BASELINES
from grn.evaluation.benchmark import Method, Problem, Results, SetSpec, collect, plan, run, write_results
from grn.evaluation.benchmark.report import number
from grn.evaluation.benchmark.table import ALL, Family
from grn.run_folder import Stopwatch, record

if TYPE_CHECKING:
    from omegaconf import DictConfig

# By some of them in their functions; the time of a small set would be that of loading them.
_LOADED_BY_BASELINES = ("torch", "scipy.stats", "joblib", "sklearn.linear_model", "sklearn.ensemble")


def benchmark(cfg: DictConfig | Mapping[str, Any], folder: Path) -> Results:
    """Run what is not finished yet, write the results into the run's folder, and return them.

    Parameters
    ----------
    cfg
        The composed configuration of `grn benchmark`.
    folder
        The run's folder, claimed for it.

    Raises
    ------
    InputError
        For a name that does not exist, where no set can be read, or where every cell has failed.
    """
    config, watch = plain_config(cfg), Stopwatch()
    suite = config["suite"]
    families = _families(suite)
    methods = _methods(config["methods"], config["variants"])
    sets = _sets(suite["sets"], config["sets"], families)
    root = None if config["data"]["root"] is None else Path(config["data"]["root"]).absolute()
    if root is not None and not root.is_dir():
        raise InputError(f"data.root={config['data']['root']}: there is no such folder.")
    cells, skipped = plan(methods, sets, config["seeds"], suite["candidates"], root=root, files=config["files"])
    for reason in dict.fromkeys(one["reason"] for one in skipped):
        names = [one["set"] for one in skipped if one["reason"] == reason]
        logger.warning("left out: %s (%s)", ", ".join(names), reason)
    with watch.phase("run"):
        failures = run(cells, folder, workers=config["workers"], time_limit=config["time_limit"])
    results = collect(cells, folder, families, skipped)
    if results.rows.empty:
        reasons = failures[0] if failures else None
        raise InputError(f"No method has a result. The first failure: {reasons and reasons.error} ({folder}/cells)")
    origin = {
        "suite": suite["name"],
        "command": command_line(sys.argv),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "workers": config["workers"],
        "versions": versions(),
        "config": config,
    }
    commits = sorted(set(results.rows["commit"].dropna()))
    if len(commits) > 1:
        logger.warning("the results come from %d commits of the code; results.csv says which is which", len(commits))
    with watch.phase("write"):
        write_results(results, folder, origin)
        _draw(results, folder / "figures" / "benchmark.png")
    record(folder, config, timings=watch, extra={"failed": len(results.failed), "skipped": len(results.skipped)})
    return results


def show(results: Results, folder: Path) -> None:
    """Print the means by family under each convention, what failed, and where everything lies."""
    columns = ["family", "method", "pairs", "ratio", "EPR", "by target", "sign AUROC", "s"]
    for convention in results.families["convention"].unique():
        chosen = results.families[results.families["convention"] == convention]
        chosen = chosen.sort_values(["family", "auprc_ratio"], ascending=[True, False])
        rows = [
            [
                *(row["family"], row["method"], str(row["pairs"])),
                *(number(row[name], 2) for name in ("auprc_ratio", "epr")),
                *(number(row[name], 3) for name in ("auroc_by_target", "sign_auroc")),
                number(row["seconds"], 2),
            ]
            for row in chosen.to_dict("records")
        ]
        console.show_table(f"Means by family, candidates {convention}", columns, rows)
    for one in results.failed:
        console.show(f"Failed  {one['cell']}: {one['error']}")
    console.show(f"Folder  {folder}")


def models() -> list[str]:
    """Names of the trained models, which are methods too."""
    return sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


def method_of(name: str, overrides: Sequence[str] = (), title: str | None = None) -> Method:
    """A model or a baseline by its name.

    Parameters
    ----------
    name
        One of `models()` or of the registry of baselines.
    overrides
        Settings of a model, as in `grn.tl.infer`.
    title
        Name in the table, if it is not `name`.

    Raises
    ------
    InputError
        If there is no such method (near misses are named), or a baseline is given settings.
    """
    settings = {"method": name, "overrides": list(overrides)}
    if name in models():
        function = partial(infer_model, name=name, overrides=tuple(overrides))
        return Method(title or name, function, settings=settings, imports=("grn.pipeline",))
    if name not in BASELINES:
        known = [*models(), *BASELINES]
        raise InputError(f"There is no method {name!r}.{did_you_mean(name, known)} There are: {', '.join(known)}.")
    if overrides:
        raise InputError(f"{name} is a baseline without settings, but it was given {', '.join(overrides)}.")
    found = BASELINES[name]
    return Method(
        title or name,
        partial(infer_baseline, name=name),
        signed=found.signed,
        seeded=found.seeded,
        settings=settings,
        imports=_LOADED_BY_BASELINES,
    )


def infer_model(problem: Problem, seed: int, *, name: str, overrides: tuple[str, ...] = ()) -> np.ndarray:
    """Weights `(regulators, genes)` of a trained model, with the defaults of `grn.tl.infer`."""
    from grn import get, tl

    tfs = list(problem.genes[problem.regulators])
    # Some simulated sets go slightly below 0; the gate refuses that unless told.
    negative = ["allow_negative=true"] if problem.x.min() < 0 else []
    done = tl.infer(problem.adata, tf=tfs, method=name, seed=seed, copy=True, overrides=[*negative, *overrides])
    found = get.network(done).matrix()
    return found.reindex(index=tfs, columns=problem.genes, fill_value=0.0).to_numpy(dtype=np.float64)


def infer_baseline(problem: Problem, seed: int, *, name: str) -> np.ndarray:
    """Scores `(regulators, genes)` of a baseline."""
    return np.asarray(BASELINES[name].score(problem.x, problem.regulators, seed=seed))


def _families(suite: Mapping[str, Any]) -> dict[str, Family]:
    families = {}
    for name, entry in suite["families"].items():
        if name == ALL:
            raise InputError(f"suite.families.{ALL} is the name of the mean over all families; take another.")
        if not isinstance(entry, dict) or set(entry) != {"title", "real"} or not isinstance(entry["real"], bool):
            raise InputError(f"suite.families.{name} = {entry!r}: expected title (text) and real (true or false).")
        families[name] = Family(str(entry["title"]), entry["real"])
    return families


def _methods(names: Sequence[str] | None, variants: Sequence[Mapping[str, Any]]) -> list[Method]:
    """Those asked for and all variants."""
    methods = [method_of(name) for name in (["regulatory", *BASELINES] if names is None else names)]
    for entry in variants:
        if not isinstance(entry.get("name"), str) or not isinstance(entry.get("method"), str):
            raise InputError(f"variants: {dict(entry)} needs name and method; what else it has are settings.")
        settings = [f"{key}={_as_override(value)}" for key, value in entry.items() if key not in ("name", "method")]
        methods.append(method_of(entry["method"], settings, entry["name"]))
    return methods


def _as_override(value: Any) -> str:
    """A value as an override has it: JSON is Hydra's grammar but for text, which goes without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _sets(
    entries: Sequence[dict[str, Any]], names: Sequence[str] | None, families: Mapping[str, Family]
) -> list[SetSpec]:
    specs = [SetSpec.of(entry) for entry in entries]
    known = [spec.name for spec in specs]
    for spec in specs:
        if spec.family not in families:
            raise InputError(
                f"suite.sets: {spec.name} is of the family {spec.family!r}, which suite.families has not."
                f"{did_you_mean(spec.family, families)}"
            )
        if known.count(spec.name) > 1:
            raise InputError(f"suite.sets: {spec.name} is given twice.")
    for name in names or ():
        if name not in known:
            raise InputError(
                f"sets: the suite has no set {name!r}.{did_you_mean(name, known)} It has: {', '.join(known)}."
            )
    return [spec for spec in specs if names is None or spec.name in names]


def _draw(results: Results, path: Path) -> None:
    from grn.plotting import benchmark as draw
    from grn.plotting import save

    table = results.families
    chosen = (table["convention"] == table["convention"].iloc[0]) & (table["family"] != ALL)
    save(draw(table[chosen], results.titles), path)
