"""Whether p-values, q-values and confidence mean what they say: `python benchmarks/confidence.py`.

- null: data in which nothing regulates. Kolmogorov and Smirnov's p-value of the edges' p-values against uniform, for
  normal data, for counts of cells of unequal depth, and for real blood cells with every gene permuted; five seeds.
- planted: linear networks, regulators regulating each other too. Share of false edges among those of q at most 0.05,
  0.1 and 0.2, and share of the true ones found. A link between two regulators counts as right in either direction; the
  share with directions counted stands beside it. Three seeds.
- simulated: single cells by Hill kinetics (`grn.datasets.simulated`), as concentrations and as counts of 10,000 and of
  2,000 molecules a cell. The same shares, how many of the false edges are indirect (a path leads from source to
  target) or reversed, the same among edges of a confidence above 0.95 too, and the share of right edges by confidence.
  Two seeds.
- seconds: confidence for 800 genes, 300 regulators and 400 cells.

The result, one JSON object with the command, the commit and the machine, goes to
benchmarks/results/confidence-<date>-<machine>.json; the tables of docs/confidence.md are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results"
Q = (0.05, 0.1, 0.2)
CONFIDENCE = ((0.95, 1.01), (0.75, 0.95), (0.5, 0.75), (0.05, 0.5), (-0.01, 0.05))
PLANTED: dict[str, dict[str, float]] = {
    "300 cells, 40 regulators": {},
    "100 cells, 40 regulators": {"cells": 100},
    "300 cells, noise twice as large": {"noise": 2.0},
    "400 cells, 300 regulators": {"cells": 400, "regulators": 300, "genes": 800},
    "120 cells, 150 regulators": {"cells": 120, "regulators": 150, "genes": 300},
}
SIMULATED = {"concentrations": None, "10,000 molecules": 10_000.0, "2,000 molecules": 2_000.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one seed of each, without the large ones")
    settings = parser.parse_args()
    from grn._provenance import commit, machine, versions

    load = round(os.getloadavg()[0], 2)
    result = {
        "command": f"python benchmarks/confidence.py {' '.join(sys.argv[1:])}".strip(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": {**machine(), "load_before": load},
        "versions": versions(),
        "null": list(null(1 if settings.quick else 5)),
        "planted": list(planted(1 if settings.quick else 3, settings.quick)),
        "simulated": list(simulated(1 if settings.quick else 2, settings.quick)),
        "seconds": None if settings.quick else seconds(),
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"confidence-{datetime.now(UTC):%Y%m%d}-{result['machine']['kind']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(result), path, sep="\n")


def gated(x: np.ndarray, regulators: int, **settings: Any) -> Any:
    """Data after the gate; the first genes regulate."""
    from anndata import AnnData

    from grn.data import check

    adata = AnnData(np.asarray(x, dtype=np.float32))
    adata.var_names = [f"g{position}" for position in range(x.shape[1])]
    return check(adata, tf=list(adata.var_names[:regulators]), allow_negative=True, **settings)


def normal(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    return rng.standard_normal((300, 150)), 30


def counts(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    mean = np.exp(rng.normal(0.0, 1.2, 200))
    rate = np.exp(rng.normal(0.0, 0.4, 400))[:, None] * mean * rng.gamma(2.0, 0.5, (400, 200))
    return rng.poisson(rate).astype(float), 40


def blood(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    import grn

    adata = grn.datasets.pbmc68k()
    found = set(grn.pp.check(adata).tf_names)
    order = np.argsort([name not in found for name in adata.var_names], kind="stable")
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    return rng.permuted(np.asarray(x[:, order], dtype=np.float64), axis=0), len(found)


NULLS: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, int]]] = {
    "normal": normal,
    "counts of unequal depth": counts,
    "blood cells, genes permuted": blood,
}


def null(seeds: int) -> Iterator[dict[str, Any]]:
    from scipy import stats

    from grn.network.error_rates import error_rates

    for name, make in NULLS.items():
        ks, found = [], 0
        for seed in range(seeds):
            data = gated(*make(np.random.default_rng(seed)))
            rates = error_rates(data, seed=seed)
            pairs = np.ones(rates.pvalue[0].shape, dtype=bool)
            pairs[np.arange(len(data.regulators)), data.regulators] = False
            ks.append(float(stats.kstest(rates.pvalue[0][pairs], "uniform").pvalue))
            found += int((rates.qvalue[0][pairs] <= 0.1).sum())
        yield {"data": name, "ks_pvalues": [round(one, 4) for one in ks], "edges_of_q_0.1": found}


def linear(
    rng: np.random.Generator, cells: int = 300, genes: int = 200, regulators: int = 40, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Expression of a planted linear network, and which pairs are edges (regulators, genes)."""
    weights, x = np.zeros((regulators, genes)), rng.standard_normal((cells, genes))
    x[:, regulators:] *= noise
    for target in range(1, genes):
        earlier = min(target, regulators)
        sources = rng.choice(earlier, min(earlier, rng.integers(0, 3 if target < regulators else 7)), replace=False)
        weights[sources, target] = rng.choice([-1, 1], len(sources)) * rng.uniform(0.3, 1.0, len(sources))
        x[:, target] += x[:, sources] @ weights[sources, target]
    return x, weights != 0


def planted(seeds: int, quick: bool) -> Iterator[dict[str, Any]]:
    from grn.network.error_rates import error_rates

    for name, settings in PLANTED.items():
        if quick and settings.get("genes", 0) > 300:
            continue
        sums = {q: np.zeros(4) for q in Q}
        for seed in range(seeds):
            x, truth = linear(np.random.default_rng(seed), **settings)  # type: ignore[arg-type]
            qvalue = error_rates(gated(x, len(truth)), seed=seed).qvalue[0]
            link = truth.copy()
            link[:, : len(truth)] |= truth[:, : len(truth)].T
            for q in Q:
                hit = qvalue <= q
                sums[q] += (
                    hit.sum(),
                    (hit & ~link).sum(),
                    (hit & ~truth).sum(),
                    (hit & truth).sum() / truth.sum() / seeds,
                )
        for q, (found, false, directed, power) in sums.items():
            most = max(found, 1)
            yield {
                "data": name, "q": q, "edges": int(found), "false": round(false / most, 3),
                "false_with_directions": round(directed / most, 3), "found": round(power, 3),
            }  # fmt: skip


def evidence(data: Any) -> tuple[pd.DataFrame, float]:
    """Edges of the default model's start with their evidence, and the seconds that took."""
    from grn.config import compose, plain_config
    from grn.network import GeneNetwork
    from grn.pipeline.confidence import refit_of, with_confidence

    config = plain_config(compose("train", ["confidence=default"]))
    weights = refit_of(config)(data)
    network = GeneNetwork.from_matrix(weights[0], data.tf_names, list(data.genes))
    start = time.perf_counter()
    return with_confidence(network, data, config).edges, time.perf_counter() - start


def simulated(seeds: int, quick: bool) -> Iterator[dict[str, Any]]:
    import grn
    from grn.data import check

    size = {"n_cells": 1000, "n_genes": 150, "n_tfs": 30} if quick else {"n_cells": 2000, "n_genes": 400, "n_tfs": 60}
    for name, library in SIMULATED.items():
        tables = []
        for seed in range(seeds):
            adata = grn.datasets.simulated(**size, library_size=library or 2000.0, seed=seed)
            layer = "true" if library is None else "counts"
            data = check(adata, tf=list(adata.var_names[: size["n_tfs"]]), layer=layer)
            edges, _ = evidence(data)
            truth, reach = reachable(adata)
            pairs = pd.MultiIndex.from_frame(edges[["source", "target"]])
            back = pd.MultiIndex.from_frame(edges[["target", "source"]])
            right = pairs.isin(truth)
            tables.append(
                edges.assign(right=right, reversed=back.isin(truth) & ~right, indirect=pairs.isin(reach) & ~right)
            )
        edges = pd.concat(tables)
        density = float(edges["right"].mean())
        for q in Q:
            hit = edges[edges["qvalue"] <= q]
            steady = hit[hit["confidence"] > CONFIDENCE[0][0]]
            false = hit[~hit["right"]]
            yield {
                "data": name,
                "q": q,
                "edges": len(hit),
                "false": share(~hit["right"]),
                "false_indirect": share(false["indirect"]),
                "false_reversed": share(false["reversed"]),
                "found": round(float(hit["right"].sum() / edges["right"].sum()), 3),
                "density": round(density, 4),
                "edges_of_confidence_too": len(steady),
                "false_of_confidence_too": share(~steady["right"]),
            }
        for low, high in CONFIDENCE:
            hit = edges[(edges["confidence"] > low) & (edges["confidence"] <= high)]
            yield {
                "data": name,
                "confidence": [max(low, 0), min(high, 1)],
                "edges": len(hit),
                "right": share(hit["right"]),
            }


def share(column: pd.Series) -> float | None:
    return round(float(column.mean()), 3) if len(column) else None


def reachable(adata: Any) -> tuple[pd.MultiIndex, pd.MultiIndex]:
    """The edges of the true network, and all pairs that a path joins."""
    import networkx as nx

    truth = adata.uns["reference"]
    graph = nx.from_pandas_edgelist(truth, "source", "target", create_using=nx.DiGraph)
    paths = [(one, other) for one in graph for other in nx.descendants(graph, one)]
    return pd.MultiIndex.from_frame(truth[["source", "target"]]), pd.MultiIndex.from_tuples(paths)


def seconds() -> dict[str, float]:
    import grn
    from grn.data import check

    adata = grn.datasets.simulated(n_cells=400, n_genes=800, n_tfs=300, n_masters=30, seed=0)
    return {"800 genes, 300 regulators, 400 cells": round(evidence(check(adata, tf=list(adata.var_names[:300])))[1], 1)}


def markdown(result: dict[str, Any]) -> str:
    simulated_columns = [
        *("data", "q", "edges", "false", "false_indirect", "false_reversed", "found", "density"),
        *("edges_of_confidence_too", "false_of_confidence_too"),
    ]
    tables = [
        (result["null"], dict.fromkeys(["data", "ks_pvalues", "edges_of_q_0.1"])),
        (result["planted"], dict.fromkeys(["data", "q", "edges", "false", "false_with_directions", "found"])),
        (result["simulated"], dict.fromkeys(simulated_columns)),
        (result["simulated"], dict.fromkeys(["data", "confidence", "edges", "right"])),
    ]
    lines: list[str] = []
    for rows, titles in tables:
        lines += ["", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        for row in rows:
            if set(titles) <= set(row):
                lines.append(f"| {' | '.join(written(row[name]) for name in titles)} |")
    return "\n".join([*lines, "", f"seconds: {result['seconds']}"])


def written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
