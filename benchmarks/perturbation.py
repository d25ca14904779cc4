"""How well knock-downs are predicted: `OMP_NUM_THREADS=1 python benchmarks/perturbation.py --root ../shared/data`.

The set sergio-DS1-perturb has unperturbed cells and, for each of ten regulators, cells in which it is knocked down to a
tenth. Everything is learnt from the unperturbed cells; the new level of the regulator is given. The shift of a gene is
the difference of its means after the gate; the perturbed gene itself is not scored. Compared, on counts and on the
simulator's concentrations:

- no change
- correlation: r times the ratio of standard deviations, in one step, or repeated three times
- CellOracle-style: ridge regression of every gene on the network's regulators of it, propagated cell by cell in three
  steps, no value below zero (after Kamimoto et al. 2023, Nature 614:742; own code from the description), from the
  values as they are and from means over neighbouring cells, which the method's authors advise for single cells
- ridge of standardised genes in three steps, its penalty the best of seven by the pooled correlation with the truth
- grn perturb

"total kept" brings the total of the mean cell back, as grn perturb does for counts, after another prediction.

Prints Markdown tables; the result, one JSON object, goes to benchmarks/results/perturbation-<date>-<machine>.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anndata
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

import grn
from grn._provenance import commit, machine, versions
from grn.analysis import perturb
from grn.data import check

RESULTS = Path(__file__).resolve().parent / "results"
SET, WILD_TYPE, LEFT = "sergio-DS1-perturb", "non-targeting", 0.1
LAYERS = ("counts", "X")
PENALTY = 10.0  # of the sum of squares over cells
SHARES = tuple(10.0**exponent for exponent in range(-3, 4))  # the same for each cell, of standardised genes
LARGEST = 0.2  # share of the true shifts whose signs are compared
NEIGHBOURS, COMPONENTS = 0.025, 50  # share of the cells; of the principal components that find them
MEASURES = ("pooled", "mean", "sign", "error")


@dataclass(frozen=True)
class Case:
    """The unperturbed cells after the gate, what happens to them and what came of it.

    Attributes
    ----------
    adata, layer
        Unperturbed cells, and where their expression is.
    x
        Their expression after the gate, (cells, genes), float64.
    regulators
        Positions of the regulators among the genes, which are knocked down one after the other.
    levels
        New mean level of each, (regulators,).
    truth
        Shift of the mean of every gene, (regulators, genes).
    kind
        Of the values.
    """

    adata: anndata.AnnData
    layer: str
    x: np.ndarray
    genes: list[str]
    regulators: np.ndarray
    levels: np.ndarray
    truth: np.ndarray
    kind: str

    @property
    def scored(self) -> np.ndarray:
        """Bool (regulators, genes), False for the perturbed gene."""
        mask = np.ones(self.truth.shape, dtype=bool)
        mask[np.arange(len(self.regulators)), self.regulators] = False
        return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help=f"folder of the sets, {SET} among them")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    load, start = round(os.getloadavg()[0], 2), time.perf_counter()
    whole = anndata.read_h5ad(settings.root / SET / "expression.h5ad")
    cases = {layer: read(whole, layer) for layer in LAYERS}
    rows = [row for case in cases.values() for row in measure(case)]
    concentrations = np.log1p(dense(whole.X))
    clean = shifts(concentrations, whole.obs["perturbation"].astype(str).to_numpy(), regulators_of(whole))
    clean, scored = clean[:, whole.var_names.get_indexer(cases["counts"].genes)], cases["counts"].scored
    result = {
        "command": " ".join(["python", "benchmarks/perturbation.py", *sys.argv[1:]]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": {**machine(), "threads": os.environ.get("OMP_NUM_THREADS", "not set"), "load_before": load},
        "versions": versions(),
        "seconds": round(time.perf_counter() - start),
        "set": SET,
        "unperturbed_cells": int(cases["counts"].x.shape[0]),
        "true_shifts_of_counts_against_concentrations": round(
            float(np.corrcoef(cases["counts"].truth[scored], clean[scored])[0, 1]), 3
        ),
        "rows": rows,
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    name = f"perturbation-{datetime.now(UTC):%Y%m%d}-{result['machine']['kind']}.json"
    (settings.results / name).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for layer in LAYERS:
        print(markdown([row for row in rows if row["layer"] == layer]), end="\n\n")
    print(settings.results / name)


def read(whole: anndata.AnnData, layer: str) -> Case:
    names = regulators_of(whole)
    after_gate = check(whole, tf=names, layer=layer)
    x, genes = dense(after_gate.x).astype(np.float64), [str(gene) for gene in after_gate.genes]
    perturbation = whole.obs["perturbation"].astype(str).to_numpy()
    unperturbed = perturbation == WILD_TYPE
    regulators = np.array([genes.index(name) for name in names])
    wild = x[unperturbed]
    levels = np.log1p(LEFT * np.expm1(wild[:, regulators])).mean(0)
    adata = whole[unperturbed].copy()
    return Case(adata, layer, wild, genes, regulators, levels, shifts(x, perturbation, names), after_gate.report.kind)


def regulators_of(whole: anndata.AnnData) -> list[str]:
    return sorted(set(whole.obs["perturbation"].astype(str)) - {WILD_TYPE})


def shifts(x: np.ndarray, perturbation: np.ndarray, names: list[str]) -> np.ndarray:
    wild = x[perturbation == WILD_TYPE].mean(0)
    return np.stack([x[perturbation == name].mean(0) - wild for name in names])


def dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def measure(case: Case) -> list[dict[str, Any]]:
    """One row for each method."""
    correlation = slopes_by_correlation(case)
    found = {
        "no change": np.zeros_like(case.truth),
        "correlation, one step": propagated(case, correlation, 1),
        "correlation, three steps": propagated(case, correlation, 3),
        "CellOracle-style": by_ridge(case, case.x),
        "CellOracle-style, neighbours averaged": by_ridge(case, averaged(case.x)),
        "ridge, best penalty": best_ridge(case),
        "grn perturb": ours(case),
    }
    if case.kind == "counts":
        for name in [name for name in found if name != "grn perturb"]:
            found[f"{name}, total kept"] = total_kept(case, found[name])
    return [{"layer": case.layer, "method": name, **score(case, shift)} for name, shift in found.items()]


def ours(case: Case) -> np.ndarray:
    names = [case.genes[place] for place in case.regulators]
    grn.tl.infer(case.adata, tf=names, layer=case.layer)
    network, checked = grn.get.network(case.adata), check(case.adata, tf=names, layer=case.layer)
    out = []
    for name, level in zip(names, case.levels, strict=True):
        table = perturb(network, checked, {name: float(level)}).table
        out.append(table.set_index("gene")["shift"].reindex(case.genes, fill_value=0.0).to_numpy())
    return np.stack(out)


def slopes_by_correlation(case: Case) -> np.ndarray:
    """Slope of every gene on each regulator alone, (regulators, genes), 0 on itself."""
    apart = case.x - case.x.mean(0)
    own = apart[:, case.regulators]
    slopes = own.T @ apart / np.maximum((own**2).sum(0), 1e-30)[:, None]
    slopes[np.arange(len(case.regulators)), case.regulators] = 0.0
    return slopes


def propagated(case: Case, slopes: np.ndarray, steps: int) -> np.ndarray:
    """Shift of the mean after so many steps, the perturbed gene held at its level."""
    out = []
    for place, level in zip(case.regulators, case.levels, strict=True):
        given = np.zeros(len(case.genes))
        given[place] = level - case.x[:, place].mean()
        shift = given
        for _ in range(steps):
            shift = shift[case.regulators] @ slopes
            shift[place] = given[place]
        out.append(shift)
    return np.stack(out)


def by_ridge(case: Case, x: np.ndarray) -> np.ndarray:
    """Ridge regression of every gene, three steps cell by cell, no value below zero."""
    slopes = np.zeros((len(case.regulators), len(case.genes)))
    for gene in range(len(case.genes)):
        chosen = np.flatnonzero(case.regulators != gene)  # the network has an edge for every pair
        slopes[chosen, gene] = Ridge(alpha=PENALTY).fit(x[:, case.regulators[chosen]], x[:, gene]).coef_
    out = []
    for place, level in zip(case.regulators, case.levels, strict=True):
        given = level - x[:, place]
        shift = np.zeros_like(x)
        shift[:, place] = given
        for _ in range(3):
            shift = shift[:, case.regulators] @ slopes
            shift[:, place] = given
            shift = np.maximum(x + shift, 0.0) - x
        out.append(shift.mean(0))
    return np.stack(out)


def best_ridge(case: Case) -> np.ndarray:
    spread = np.maximum(case.x.std(0), 1e-9)
    z = (case.x - case.x.mean(0)) / spread
    tried = []
    for share in SHARES:
        slopes = np.zeros((len(case.regulators), len(case.genes)))
        for gene in range(len(case.genes)):
            chosen = np.flatnonzero(case.regulators != gene)
            fit = Ridge(alpha=share * len(z), fit_intercept=False).fit(z[:, case.regulators[chosen]], z[:, gene])
            slopes[chosen, gene] = fit.coef_
        # A penalty takes size, which the correlation with the truth does not see.
        tried.append(propagated(case, slopes * spread / spread[case.regulators][:, None], 3))
    return max(tried, key=lambda found: score(case, found)["pooled"])


def averaged(x: np.ndarray) -> np.ndarray:
    """Mean of each cell and its nearest neighbours among the principal components."""
    neighbours = max(2, round(NEIGHBOURS * len(x)))
    components = PCA(min(COMPONENTS, *x.shape) - 1, random_state=0).fit_transform(x)
    near = NearestNeighbors(n_neighbors=neighbours).fit(components).kneighbors(components, return_distance=False)
    return x[near].mean(1)


def total_kept(case: Case, found: np.ndarray) -> np.ndarray:
    """Other genes scaled so that the mean cell keeps its total."""
    before = case.x.mean(0)
    out = []
    for place, level, shift in zip(case.regulators, case.levels, found, strict=True):
        new = np.expm1(np.maximum(before + shift, 0.0))
        new[place] = np.expm1(level)
        others = np.arange(len(new)) != place
        new[others] *= (np.expm1(before).sum() - new[place]) / new[others].sum()
        out.append(np.log1p(new) - before)
    return np.stack(out)


def score(case: Case, found: np.ndarray) -> dict[str, Any]:
    """Pearson over all shifts and per knock-down, agreement of the signs of large shifts, relative squared error."""
    mask, truth = case.scored, case.truth
    single = [pearson(found[row][mask[row]], truth[row][mask[row]]) for row in range(len(truth))]
    large = mask & (np.abs(truth) > np.quantile(np.abs(truth[mask]), 1 - LARGEST))
    error = ((found - truth)[mask] ** 2).sum() / (truth[mask] ** 2).sum()
    known = [one for one in single if one is not None]
    return {
        "pooled": pearson(found[mask], truth[mask]),
        "mean": round(float(np.mean(known)), 3) if known else None,
        "sign": round(float((np.sign(found) == np.sign(truth))[large].mean()), 3),
        "error": round(float(error), 3),
        "by_knock_down": dict(zip([case.genes[place] for place in case.regulators], single, strict=True)),
    }


def pearson(one: np.ndarray, other: np.ndarray) -> float | None:
    """None where nothing is predicted to move."""
    if one.std() < 1e-12:
        return None
    return round(float(np.corrcoef(one, other)[0, 1]), 3)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Table of docs/perturbation.md."""
    lines = [
        f"| on {rows[0]['layer']} | Pearson, pooled | Pearson, mean of knock-downs | signs of large shifts | error |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        values = ["" if row[name] is None else f"{row[name]:.2f}" for name in MEASURES]
        lines.append(f"| {' | '.join([row['method'], *values])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
