"""What prior knowledge adds on real cells: `python benchmarks/prior.py --root ../shared/data`.

Trains the default model once on each set (mouse dendritic cells, BEELINE's gene selections), brings known regulons
into the network as `grn infer run=... prior=file` does, and scores networks against two references other than the
regulons: STRING and cell-type specific ChIP-seq. The regulons are the rows of CollecTRI, TRRUST and DoRothEA (levels A
to C, mouse) in `<root>/regulons`. Beside expression, prior, and both:

- shuffled: the targets exchanged among all edges, so that every name keeps its number of edges; 20 draws, with the
  gate and with strength 1;
- half wrong: every edge is, with chance 1/2, one between a random regulator and a random target instead; 10 draws;
- one resource alone.

The result, one JSON object with the command, the commit and the machine, goes to
benchmarks/results/prior-<date>-<machine>.json; the table of docs/prior.md is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SETS = ("mDC-500", "mDC-1000")
REFERENCES = ("string", "specific")
MEASURES = ("auprc_ratio", "epr", "auroc_by_target")
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the sets, with `regulons` among them")
    parser.add_argument("--draws", type=int, default=20, help="shuffled priors; half as many half wrong ones")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result (default: %(default)s)")
    settings = parser.parse_args()
    from grn._provenance import commit, machine, versions

    load = round(os.getloadavg()[0], 2)
    rows = [row for name in SETS for row in measure(name, settings.root, settings.draws)]
    result = {
        "command": f"python benchmarks/prior.py {' '.join(sys.argv[1:])}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": {**machine(), "load_before": load},
        "versions": versions(),
        "rows": rows,
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"prior-{datetime.now(UTC):%Y%m%d}-{result['machine']['kind']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(rows), path, sep="\n")


def measure(name: str, root: Path, draws: int) -> Iterator[dict[str, Any]]:
    """Rows of one set: for each kind of prior the draws' mean and standard deviation of every measure."""
    from grn.evaluation import evaluate_matrix
    from grn.prior import Prior

    expression = network(root / name)
    genes, weights = expression.columns, expression.to_numpy()
    regulators = genes.get_indexer(expression.index)
    references = {one: root / name / f"network.{one}.csv" for one in REFERENCES}

    def row(kind: str, found: list[tuple[np.ndarray, dict[str, Any]]]) -> dict[str, Any]:
        scores: dict[str, Any] = {}
        for one, path in references.items():
            values = [evaluate_matrix(matrix, expression.index, genes, path) for matrix, _ in found]
            scores[one] = {
                measure: [f([value[measure] for value in values]) for f in (np.mean, np.std)] for measure in MEASURES
            }
        facts = [{key: one[key] for key in ("edges", "tfs", "z", "strength")} for _, one in found if one]
        return {"set": name, "prior": kind, "draws": len(found), "scores": scores, "facts": facts}

    def applied(table: pd.DataFrame, strength: Any = "auto") -> tuple[np.ndarray, dict[str, Any]]:
        return Prior(table, "", strength).apply(weights, genes, regulators)

    resources = regulons(root / "regulons")
    table = merged(pd.concat(resources.values()), genes[regulators])
    known = Prior(table, "").on(genes, regulators).known.toarray()
    yield row("none: expression alone", [(weights, {})])
    yield row("prior alone", [(known, {})])
    yield row("both", [applied(table)])
    for resource, rows in resources.items():
        yield row(f"both, {resource} only", [applied(rows)])
    yield row("both, TRRUST only, strength 1", [applied(resources["TRRUST"], 1.0)])
    shuffled = [shuffle(table, seed) for seed in range(draws)]
    yield row("both, shuffled", [applied(one) for one in shuffled])
    yield row("both, shuffled, strength 1", [applied(one, 1.0) for one in shuffled])
    half = [spoil(table, genes, seed) for seed in range(draws // 2)]
    yield row("prior alone, half wrong", [(Prior(one, "").on(genes, regulators).known.toarray(), {}) for one in half])
    yield row("both, half wrong", [applied(one) for one in half])
    yield row("both, half wrong, strength 1", [applied(one, 1.0) for one in half])


def network(folder: Path) -> pd.DataFrame:
    """Weights `(regulators, genes)` of the default run on a set."""
    import anndata

    import grn

    adata = anndata.read_h5ad(folder / "expression.h5ad")
    tfs = (folder / "tfs.txt").read_text(encoding="utf-8").split()
    grn.tl.infer(adata, tf=[tf for tf in tfs if tf in adata.var_names])
    return grn.get.network(adata).matrix()


def regulons(folder: Path) -> dict[str, pd.DataFrame]:
    """Tables of prior knowledge by resource, names in upper case so that rows of both species add up."""
    from grn.prior import clean_prior

    found = {}
    for name, file in {
        "CollecTRI": "collectri_human",
        "TRRUST": "trrust_v2_human",
        "DoRothEA": "dorothea_mouse",
    }.items():
        table = pd.read_csv(folder / f"{file}.csv.gz", keep_default_na=False)
        if "confidence" in table:
            table = table[table["confidence"].isin(["A", "B", "C"])]
        upper = table[["source", "target"]].apply(lambda names: names.str.upper())
        found[name] = clean_prior(upper.assign(sign=table["sign"]))
    return found


def merged(table: pd.DataFrame, regulators: pd.Index) -> pd.DataFrame:
    """One row for each edge of these regulators, the weights of its rows added."""
    edges = table.groupby(["source", "target"], as_index=False)[["sign", "weight"]].sum()
    return edges[edges["source"].isin(regulators.str.upper())].assign(sign=lambda rows: np.sign(rows["sign"]))


def shuffle(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Targets exchanged among all edges: each name keeps its number of edges."""
    return table.assign(target=np.random.default_rng(seed).permutation(table["target"]))


def spoil(table: pd.DataFrame, genes: pd.Index, seed: int) -> pd.DataFrame:
    """About half of the edges between random sources and targets instead, as many among the genes as before."""
    generator = np.random.default_rng(seed)
    edges = table.reset_index(drop=True)
    wrong, here = generator.random(len(edges)) < 0.5, edges["target"].isin(genes.str.upper()).to_numpy()
    for place in (here, ~here):
        for column in ("source", "target"):
            pool = table[column].to_numpy()[place]
            edges.loc[wrong & place, column] = generator.choice(np.unique(pool), (wrong & place).sum())
    return edges


def markdown(rows: list[dict[str, Any]]) -> str:
    """Table of docs/prior.md."""
    lines = [
        "| cells | prior | z | strength | STRING: ratio | EPR | by target | specific: ratio | EPR | by target |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        facts = [
            f"{np.mean([one[key] for one in row['facts']]):.{digits}f}" if row["facts"] else ""
            for key, digits in (("z", 1), ("strength", 2))
        ]
        scores = [
            f"{row['scores'][one][measure][0]:.{3 if measure == 'auroc_by_target' else 2}f}"
            for one in REFERENCES
            for measure in MEASURES
        ]
        lines.append("| " + " | ".join([row["set"], row["prior"], *facts, *scores]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
