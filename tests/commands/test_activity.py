"""`grn activity`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn.network import GeneNetwork

pytest.importorskip("decoupler")

GIVEN = ("network=n.parquet", "data=h5ad", "data.path=cells.h5ad", "min_targets=3")


@pytest.fixture
def files(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    genes = [f"G{number}" for number in range(20)]
    weights = {"B/x": generator.normal(size=(3, 20)), "T": generator.normal(size=(3, 20))}
    GeneNetwork.from_matrix(weights, genes[:3], genes).write(tmp_path / "grouped.parquet")
    GeneNetwork.from_matrix(weights["T"], genes[:3], genes).write(tmp_path / "n.parquet")
    adata = anndata.AnnData(generator.poisson(3, size=(16, 20)).astype(np.float32))
    adata.var_names = genes
    adata.obs["kind"] = ["B/x", "T"] * 8
    adata.layers["logged"] = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_writes_the_python_result(grn_command: Callable, tmp_path: Path, ending: str) -> None:
    done = grn_command("activity", *GIVEN, f"output=new/a.{ending}", "top=40", "centre=true")
    assert done.code == 0, done.err
    assert f"3 regulators in 16 cells written to new/a.{ending} and new/a_padj.{ending}" in done.out
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad")
    grn.tl.activity(adata, GeneNetwork.read(tmp_path / "n.parquet"), min_targets=3, top=40, centre=True)
    for name, slot in (("a", "grn_activity"), ("a_padj", "grn_activity_padj")):
        path = tmp_path / "new" / f"{name}.{ending}"
        if ending == "parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, sep="," if ending == "csv" else "\t", index_col="cell", dtype={"cell": str})
        pd.testing.assert_frame_equal(table, adata.obsm[slot], check_names=False)


@pytest.mark.usefixtures("files")
def test_writes_the_data_with_the_activities(grn_command: Callable, tmp_path: Path) -> None:
    given = ("data=h5ad", "data.path=cells.h5ad", "data.layer=logged", "network=grouped.parquet", "min_targets=3")
    done = grn_command("activity", *given, "group_by=kind", "method=aucell", "output=a.h5ad")
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert adata.obsm["grn_activity"].shape[0] == 16
    assert "logged" in adata.uns["grn_activity"]["expression"]
    assert adata.uns["grn_activity"]["group_by"] == "kind"
    assert "grn_activity_padj" not in adata.obsm


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["network=n.parquet", "data=h5ad", "data.path=cells.h5ad"], "output must be given"),
        (["network=n.parquet", "output=a.csv"], "data must be given"),
        ([*GIVEN, "output=a.xlsx"], "must end in one of .csv, .tsv, .parquet, .h5ad"),
        ([*GIVEN, "output=a.csv", "method=ulmm"], "expected one of 'ulm'"),
        ([*GIVEN, "output=a.csv", "fdr=0.1"], "q-values"),
        ([*GIVEN, "output=a.csv", "data.layer=loged"], "Did you mean 'logged'"),
        ([*GIVEN, "output=a.csv", "group=T"], "has no groups"),
    ],
)
def test_refuses(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("activity", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "grouped.parquet", "n.parquet"]
