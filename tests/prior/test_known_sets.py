"""On real cells, expression and prior together beat both alone, and a shuffled prior changes next to nothing."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn.evaluation import evaluate_matrix
from grn.prior import Prior, read_prior

MEASURES = ("auprc_ratio", "epr", "auroc_by_target")


@pytest.fixture(scope="module")
def cells(shared_data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The default network of the dendritic cells, and the regulons of two resources."""
    files = [shared_data / "regulons" / f"{name}_human.csv.gz" for name in ("collectri", "trrust_v2")]
    folder = shared_data / "mDC-500"
    if not all(path.is_file() for path in (*files, folder / "expression.h5ad")):
        pytest.skip("mDC-500 or the regulons are not there")
    adata = anndata.read_h5ad(folder / "expression.h5ad")
    tfs = (folder / "tfs.txt").read_text().split()
    grn.tl.infer(adata, tf=[tf for tf in tfs if tf in adata.var_names])
    return grn.get.network(adata).matrix(), pd.concat([read_prior(path) for path in files])


@pytest.mark.shared_data
@pytest.mark.slow
def test_together_they_beat_both_alone(cells: tuple[pd.DataFrame, pd.DataFrame], shared_data: Path) -> None:
    expression, table = cells
    genes, regulators = expression.columns, expression.columns.get_indexer(expression.index)
    prior = Prior(table, "CollecTRI and TRRUST")
    combined, facts = prior.apply(expression.to_numpy(), genes, regulators)
    assert facts["z"] > 4
    alone = prior.on(genes, regulators).known.toarray()
    for name in ("string", "specific"):
        both, weights, known = (
            evaluate_matrix(matrix, expression.index, genes, shared_data / "mDC-500" / f"network.{name}.csv")
            for matrix in (combined, expression.to_numpy(), alone)
        )
        for measure in MEASURES:
            assert both[measure] > max(weights[measure], known[measure]), (name, measure)


@pytest.mark.shared_data
@pytest.mark.slow
def test_a_shuffled_prior_is_let_in_seldom(cells: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    expression, table = cells
    genes, regulators = expression.columns, expression.columns.get_indexer(expression.index)
    strengths = []
    for seed in range(10):
        other = np.random.default_rng(seed).permutation(table["target"].unique())
        names = dict(zip(table["target"].unique(), other, strict=True))
        shuffled = table.assign(target=table["target"].map(names))
        strengths.append(Prior(shuffled, "shuffled").apply(expression.to_numpy(), genes, regulators)[1]["strength"])
    assert np.mean(strengths) < 0.1
