"""What direction from time adds: `OMP_NUM_THREADS=1 python benchmarks/dynamics.py --root ../shared/data`.

On every set with a time or with spliced and unspliced layers, scores (against each reference of the set):

- steady: the default run; dynamics: the map of the time alone; sum: both, whatever the gate says; gated: what
  `grn train dynamics=time` (or velocity) writes
- permuted: the map of permuted times, and its sum with steady; reversed: the sum with the map of the time run backwards
- lagged: ridge regression from cell to later cell (`grn.dynamics.lagged_ridge`)

Prints Markdown tables of means over replicates; the result, one JSON object, goes to
benchmarks/results/dynamics-<date>-<machine>.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import grn
from grn._provenance import commit, machine, versions
from grn.data import check
from grn.dynamics import find_dynamics, lagged_ridge, read_trajectories
from grn.dynamics.dynamics import standardise
from grn.dynamics.head import dynamics_map, pairs
from grn.dynamics.trajectories import permuted
from grn.dynamics.velocity import read_layers, velocity_map
from grn.evaluation import evaluate
from grn.evaluation.benchmark.sets import Problem, SetSpec, absent, load_problem
from grn.network import GeneNetwork

RESULTS = Path(__file__).resolve().parent / "results"
SIMULATED = {
    **dict.fromkeys(("beeline-GSD", "beeline-HSC"), ("pseudotime", "simulation_time")),
    **dict.fromkeys(("beeline-dyn-BF", "beeline-dyn-CY", "beeline-dyn-LI", "beeline-dyn-LL"), ("pseudotime",)),
}
REAL = {**dict.fromkeys(("mDC-500", "mDC-1000"), ("pseudotime", "hours")), "mEF-40": ("pseudotime",)}
SPLICED = ("sergio-DS4", "sergio-DS5")
METRICS = ("auprc_ratio", "epr", "sign_auroc", "auroc_by_target")
PERMUTATIONS = 3
UNTOUCHED = (3, 4, 5)  # replicates that no setting was chosen on


@dataclass
class Case:
    """One set, replicate and source of direction."""

    name: str
    replicate: int | None
    kind: str
    problem: Problem
    references: dict[str, pd.DataFrame]
    layer: str | None = None

    @property
    def tf(self) -> list[str]:
        """Names of the regulators."""
        return [str(name) for name in self.problem.genes[self.problem.regulators]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--replicates", type=int, default=6, help="of the simulated circuits (default: %(default)s)")
    parser.add_argument("--cells", type=int, nargs="+", default=[0], help="so many of each, drawn with seed 0; 0: all")
    parser.add_argument("--sets", nargs="+", default=[*SIMULATED, *REAL, *SPLICED])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    load, start = round(os.getloadavg()[0], 2), time.perf_counter()
    scores: list[dict[str, Any]] = []
    gates: list[dict[str, Any]] = []
    for case in cases(settings):
        found, gate = measure(case)
        scores += found
        gates.append(gate)
        print(case.name, case.replicate, case.kind, "open" if gate["open"] else "closed", file=sys.stderr)
    table = pd.DataFrame(scores)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    result = {
        "command": " ".join(["python", "benchmarks/dynamics.py", *sys.argv[1:]]),
        "date": date,
        "commit": commit(),
        "machine": {**machine(), "threads": os.environ.get("OMP_NUM_THREADS", "not set"), "load_before": load},
        "versions": versions(),
        "seconds": round(time.perf_counter() - start),
        "means": means(table),
        "means_of_untouched_replicates": means(table[table["replicate"].isin(UNTOUCHED)]),
        "gates": gates,
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    name = f"dynamics-{date.replace('-', '')}-{result['machine']['kind']}"
    path = settings.results / f"{name}{'' if settings.cells == [0] else '-few-cells'}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for metric in METRICS:
        print(markdown(result["means"], metric), end="\n\n")
    if result["means_of_untouched_replicates"]:
        print(markdown(result["means_of_untouched_replicates"], METRICS[0], note=", untouched replicates"), end="\n\n")
    print(path)


def cases(settings: argparse.Namespace) -> Iterator[Case]:
    """Sets that are there, in their order, each with every source of direction."""
    for name, cells in itertools.product(settings.sets, settings.cells):
        replicates = tuple(range(settings.replicates)) if name in SIMULATED else None
        # Of SERGIO's two files of references one holds the same edges with their strengths.
        references = ("truth",) if name in SPLICED else None
        spec = SetSpec(name, "dynamics", references=references, cells=cells or None, replicates=replicates)
        missing = absent(spec, settings.root)
        if missing:
            print(f"{name} is skipped: {missing}", file=sys.stderr)
            continue
        for replicate in replicates or (None,):
            problem, truths = load_problem(spec, settings.root, replicate)
            if name in SPLICED:
                yield Case(name, replicate, "clean layers", problem, truths, "spliced")
                thin(problem.adata)
                yield Case(name, replicate, "thinned to counts", problem, truths, "spliced")
                continue
            for kind in {**SIMULATED, **REAL}[name]:
                if kind == "hours":
                    problem.adata.obs[kind] = problem.adata.obs["time"].astype(str).str.rstrip("h").astype(float)
                yield Case(name, replicate, kind, problem, truths)


def thin(adata: AnnData) -> None:
    """Simulated molecules become counts: Poisson, as many spliced ones per cell as the set's own counts."""
    generator = np.random.default_rng(0)
    dense = {name: np.asarray(layer.toarray() if hasattr(layer, "toarray") else layer) for name, layer in layers(adata)}
    share = dense["counts"].mean() / dense["spliced"].mean()
    for name in ("spliced", "unspliced"):
        adata.layers[name] = generator.poisson(share * dense[name]).astype(np.float32)


def layers(adata: AnnData) -> list[tuple[str, Any]]:
    return [(name, adata.layers[name]) for name in ("counts", "spliced", "unspliced")]


def measure(case: Case) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Scores of every map, and the facts of the gate."""
    adata = case.problem.adata
    checked = check(adata, tf=case.tf, layer=case.layer)
    steady = unit(trained(case, "none").reindex(index=checked.tf_names, columns=checked.genes).to_numpy())
    generator = np.random.default_rng(7)
    maps: dict[str, list[np.ndarray]] = {"steady": [steady]}
    start = time.perf_counter()
    if case.layer is None:
        settings = {"name": "time", "columns": case.kind, "gate": True}
        found = find_dynamics(adata, checked, settings, seed=0)
        seconds = time.perf_counter() - start
        z, times = standardise(checked.x), list(read_trajectories(adata.obs, case.kind).values())

        def of(times: list[np.ndarray]) -> np.ndarray:
            return dynamics_map(pairs(z, times, np.random.default_rng((0, 2))), checked.regulators)

        forward = of(times)
        shuffled = [of([permuted(one, generator) for one in times]) for _ in range(PERMUTATIONS)]
        maps["reversed + steady"] = [steady + of([-one for one in times])]
        maps["lagged"] = [lagged_ridge(z, times, checked.regulators, generator)]
    else:
        settings = {"name": "velocity", "spliced": "spliced", "unspliced": "unspliced", "gate": True}
        found = find_dynamics(adata, checked, settings, seed=0)
        seconds = time.perf_counter() - start
        spliced, unspliced = map(standardise, read_layers(adata, checked.genes, ("spliced", "unspliced"))[:2])
        forward = velocity_map(spliced, unspliced, checked.regulators)
        shuffled = [
            velocity_map(spliced, generator.permutation(unspliced), checked.regulators) for _ in range(PERMUTATIONS)
        ]
    maps |= {"dynamics": [forward], "sum": [steady + forward], "permuted": shuffled}
    maps["permuted + steady"] = [steady + one for one in shuffled]
    if found is None:
        raise RuntimeError("dynamics was asked for, but not looked for.")
    gated = trained(case, settings["name"]) if found.map is not None else None
    maps["gated"] = [steady if gated is None else gated.reindex(checked.tf_names, columns=checked.genes).to_numpy()]
    cells = case.problem.adata.n_obs
    place = {"set": case.name, "replicate": case.replicate, "cells": cells, "direction": case.kind}
    rows = [
        {**place, "reference": name, "map": label, "open": found.facts["open"], **score(case, checked, one, reference)}
        for name, reference in case.references.items()
        for label, several in maps.items()
        for one in several
    ]
    return rows, {**rounded(found.facts), **place, "on_trajectory": found.facts["cells"], "seconds": round(seconds, 2)}


def trained(case: Case, dynamics: str) -> pd.DataFrame:
    """Weights (regulators, genes) of the default run."""
    adata = case.problem.adata.copy()
    overrides = [f"dynamics.columns={case.kind}"] if dynamics == "time" else []
    grn.tl.infer(adata, tf=case.tf, layer=case.layer, dynamics=dynamics, overrides=overrides)
    return grn.get.network(adata).matrix()


def score(case: Case, checked: Any, weights: np.ndarray, reference: pd.DataFrame) -> dict[str, float]:
    network = GeneNetwork.from_matrix(weights, checked.tf_names, checked.genes)
    scores = evaluate(network, reference, genes=case.problem.genes, candidates="all_genes")
    return {name: float(scores[name]) for name in METRICS}


def unit(weights: np.ndarray) -> np.ndarray:
    return weights / np.sqrt(np.square(weights).mean())


def rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()}


def means(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Means over replicates and permutations, one entry per set, direction and reference."""
    entries = []
    keys = ["set", "cells", "direction", "reference"]
    for place, rows in table.groupby(keys, sort=False):
        entry: dict[str, Any] = dict(zip(keys, place, strict=True)) | {"cells": int(place[1])}
        entry |= {"replicates": int(rows["replicate"].nunique() or 1), "open": round(float(rows["open"].mean()), 2)}
        for metric in METRICS:
            by_map = rows.groupby("map", sort=False)[metric].mean()
            entry[metric] = {name: None if np.isnan(value) else round(value, 3) for name, value in by_map.items()}
        entries.append(entry)
    return entries


def markdown(entries: list[dict[str, Any]], metric: str, note: str = "") -> str:
    """One table of a metric."""
    columns = ["steady", "dynamics", "sum", "gated", "permuted", "permuted + steady", "reversed + steady", "lagged"]
    head = ["set", "cells", "direction", "reference", "gate", *columns]
    lines = [f"{metric}{note}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for entry in entries:
        gate = {0.0: "closed", 1.0: "open"}.get(entry["open"], f"open in {entry['open']:.0%}")
        values = [entry[metric].get(column) for column in columns]
        cells = ["" if value is None else f"{value:.2f}" for value in values]
        lines.append(f"| {' | '.join([*(str(entry[key]) for key in head[:4]), gate, *cells])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
