"""How well edges that differ between two groups are found: `OMP_NUM_THREADS=1 python benchmarks/contexts.py`.

Two groups of cells with a known network each, of whose edges 30 % exist in one group only:

- linear: 500 cells each (or 100) of 200 genes, 40 of them regulators; every group has means of its own
- kinetic, clean, and counts: 1,000 cells each of 100 genes, 20 regulators, by the kinetics of grn.datasets.simulated
  (three states of the masters in each group); concentrations, or UMI counts with technical noise of them
- counts, 80 cells: the same with 80 cells in the second group
- each also without any difference between the networks ("none differ"), with levels that differ between the groups and
  with the same levels, for what p-values then are

Scored: AUPRC over the share of differing edges, of |statistic| of grn.tl.differential, and of the difference of the
two groups' weights in one fit (grn.tl.infer with group_by) and in a fit of each group's cells alone; of the networks
themselves, AUPRC over the share of edges, mean of the groups; edges found at q-values of at most 0.1 and the false ones
among them; where none differ, the share of p-values of at most 0.05.

Prints Markdown tables; the result, one JSON object, goes to benchmarks/results/contexts-<date>-<machine>.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

import grn
from grn._provenance import commit, machine, versions
from grn.data.simulator.kinetics import Conditions, master_rates, simulate_cells
from grn.data.simulator.random_network import PlantedNetwork, random_network
from grn.data.simulator.technical_noise import add_technical_noise

RESULTS = Path(__file__).resolve().parent / "results"
GROUPS = ("one", "two")
SHARE, STATES, FDR = 0.3, 3, 0.1

# Cells of two groups, and the true weights of both, (regulators, genes); the regulators are the first genes.
Planted = tuple[anndata.AnnData, np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="draws of each set (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    load, start = round(os.getloadavg()[0], 2), time.perf_counter()
    rows = []
    for name, make in SETS.items():
        for seed in range(settings.seeds):
            rows.append({"set": name, "seed": seed, **compared(make(seed, True, False)), **calibrated(make, seed)})
            print(name, seed, file=sys.stderr)
    result = {
        "command": " ".join(["python", "benchmarks/contexts.py", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": {**machine(), "threads": os.environ.get("OMP_NUM_THREADS", "not set"), "load_before": load},
        "versions": versions(),
        "seconds": round(time.perf_counter() - start),
        "rows": rows,
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    name = f"contexts-{datetime.now(UTC):%Y%m%d}-{result['machine']['kind']}.json"
    (settings.results / name).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(pd.DataFrame(rows)), settings.results / name, sep="\n\n")


def linear(seed: int, differ: bool, same: bool, *, cells: int = 500, genes: int = 200, regulators: int = 40) -> Planted:
    random = np.random.default_rng(seed)
    weights = np.zeros((regulators, genes))
    for target in range(regulators, genes):
        chosen = random.choice(regulators, random.integers(1, 6), replace=False)
        weights[chosen, target] = random.choice([-1, 1], len(chosen)) * random.uniform(0.5, 1, len(chosen))
    both = split(weights, random) if differ else (weights, weights)
    parts = []
    for own in both:
        means = (not same) * random.standard_normal(regulators)
        levels = random.standard_normal((cells, regulators)) + means
        values = levels @ own + random.standard_normal((cells, genes))
        values[:, :regulators] = levels
        parts.append(values)
    return together(np.vstack(parts), (cells, cells), *both)


def kinetic(seed: int, differ: bool, same: bool, *, counts: bool, second: int = 1000, cells: int = 1000) -> Planted:
    random = np.random.default_rng(seed)
    drawn = {"n_genes": 100, "n_tfs": 20, "n_masters": 8, "mean_regulators": 3.0}
    network = random_network(random, **drawn, repression=0.3, strength=(1.0, 5.0))
    both = split(network.strength, random) if differ else (network.strength, network.strength)
    rates = master_rates(random, network.masters, 2 * STATES)
    parts = []
    for number, own in enumerate(both):
        states = rates[:, :STATES] if same else rates[:, number * STATES : (number + 1) * STATES]
        size = second if number else cells
        parts.append(
            simulate_cells(
                PlantedNetwork(own, network.masters),
                Conditions(states, np.array([-1]), 0.1),
                np.arange(size) % STATES,
                np.zeros(size, dtype=int),
                hill=2.0,
                noise=1.0,
                seed=np.random.SeedSequence((seed, number)),
            )
        )
    x: Any = np.vstack(parts)
    if counts:
        noise = {"library_size": 3000.0, "library_spread": 0.4, "dropout": 0.3, "outliers": 0.01}
        x = add_technical_noise(x, random, **noise)
    return together(x, (cells, second), *both)


def split(weights: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The weights in both groups, so that a share of the edges is in one of them only."""
    both = (weights.copy(), weights.copy())
    edges = random.permutation(np.argwhere(weights))
    for number, edge in enumerate(edges[: int(SHARE * len(edges))]):
        both[number % 2][tuple(edge)] = 0
    return both


def together(x: Any, sizes: tuple[int, int], one: np.ndarray, two: np.ndarray) -> Planted:
    adata = anndata.AnnData(x.astype(np.float32))
    adata.obs["group"] = pd.Categorical(np.repeat(GROUPS, sizes))
    adata.var_names = [f"G{number}" for number in range(adata.n_vars)]
    return adata, one, two


SETS: dict[str, Callable[[int, bool, bool], Planted]] = {
    "linear": linear,
    "linear, 100 cells each": lambda *drawn: linear(*drawn, cells=100),
    "kinetic, clean": lambda *drawn: kinetic(*drawn, counts=False),
    "kinetic, counts": lambda *drawn: kinetic(*drawn, counts=True),
    "kinetic, counts, 80 cells": lambda *drawn: kinetic(*drawn, counts=True, second=80),
}


def regulators_of(planted: Planted) -> list[str]:
    return list(planted[0].var_names[: len(planted[1])])


def differential(planted: Planted) -> pd.DataFrame:
    return grn.tl.differential(planted[0], "group", tf=regulators_of(planted), allow_negative=True)


def compared(planted: Planted) -> dict[str, float]:
    adata, one, two = planted
    names = regulators_of(planted)
    pairs = np.array(names)[:, None] != adata.var_names.to_numpy()[None]
    true = ((one != 0) != (two != 0))[pairs]
    table = differential(planted)
    places = table["source"].map(adata.var_names.get_loc), table["target"].map(adata.var_names.get_loc)
    statistic, qvalue = np.zeros(one.shape), np.ones(one.shape)
    statistic[places], qvalue[places] = table["statistic"].abs(), table["qvalue"]
    grouped = adata.copy()
    infer(grouped, names, group_by="group")
    network = grn.get.network(grouped)
    weights = [matrix(network.of_group(name), names, adata) for name in GROUPS]
    apart = []
    for name in GROUPS:
        cells = adata[adata.obs["group"] == name].copy()
        infer(cells, names)
        apart.append(matrix(grn.get.network(cells), names, adata))
    found = qvalue[pairs] <= FDR
    return {
        "best_possible": float(1 / true.mean()),
        "statistic": ratio(true, statistic[pairs]),
        "one_fit": ratio(true, (weights[0] - weights[1])[pairs]),
        "separate_fits": ratio(true, (apart[0] - apart[1])[pairs]),
        "found": int(found.sum()),
        "false_among_found": float((found & ~true).sum() / max(1, found.sum())),
        "differing": int(true.sum()),
        "network_one_fit": mean_ratio((one, two), weights, pairs),
        "network_separate_fits": mean_ratio((one, two), apart, pairs),
    }


def calibrated(make: Callable[[int, bool, bool], Planted], seed: int) -> dict[str, float]:
    """Where no edge differs, with levels that do or do not differ between the groups."""
    found: dict[str, float] = {}
    for name, same in (("other_levels", False), ("same_levels", True)):
        table = differential(make(seed, False, same))
        found[f"p_at_most_5_percent_{name}"] = float((table["pvalue"] <= 0.05).mean())
        found[f"found_{name}"] = int((table["qvalue"] <= FDR).sum())
    return found


def infer(adata: anndata.AnnData, names: list[str], **settings: Any) -> None:
    grn.tl.infer(adata, tf=names, overrides=["allow_negative=true"], **settings)


def matrix(network: grn.GeneNetwork, names: list[str], adata: anndata.AnnData) -> np.ndarray:
    return network.matrix().reindex(index=names, columns=adata.var_names, fill_value=0.0).to_numpy()


def ratio(true: np.ndarray, values: np.ndarray) -> float:
    """AUPRC over the share of true pairs."""
    return float(average_precision_score(true, np.abs(values)) / true.mean())


def mean_ratio(true: tuple[np.ndarray, ...], weights: list[np.ndarray], pairs: np.ndarray) -> float:
    return float(np.mean([ratio((one != 0)[pairs], own[pairs]) for one, own in zip(true, weights, strict=True)]))


def markdown(rows: pd.DataFrame) -> str:
    """Tables of docs/contexts.md: means over seeds."""
    means = rows.drop(columns="seed").groupby("set", sort=False).mean()
    tables = []
    for columns in (
        ("statistic", "one_fit", "separate_fits", "network_one_fit", "network_separate_fits", "best_possible"),
        ("differing", "found", "false_among_found"),
        (
            "p_at_most_5_percent_other_levels",
            "found_other_levels",
            "p_at_most_5_percent_same_levels",
            "found_same_levels",
        ),
    ):
        lines = [f"| set | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        for name, row in means.iterrows():
            lines.append(f"| {name} | {' | '.join(f'{row[column]:.3g}' for column in columns)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


if __name__ == "__main__":
    main()
