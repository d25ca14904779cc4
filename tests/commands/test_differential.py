"""`grn differential`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn

GIVEN = ("data=h5ad", "data.path=cells.h5ad", "tf=[G0,G1,G2]", "permutations=5")


@pytest.fixture
def files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.poisson(5, size=(60, 12)).astype(np.float32)
    adata = anndata.AnnData(x)
    adata.var_names = [f"G{number}" for number in range(12)]
    adata.obs["kind"] = ["B/x", "T", "NK"] * 20
    adata.obs["plate"] = ["one", "two"] * 30
    adata.layers["scaled"] = x - 4.5
    adata.layers["logged"] = np.log1p(x)
    adata.write_h5ad(tmp_path / "cells.h5ad")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_writes_the_python_result(grn_command: Callable, tmp_path: Path, ending: str) -> None:
    given = ("group_by=kind", "group=B/x", "reference=NK", "batch_key=plate", "seed=3")
    done = grn_command("differential", *GIVEN, *given, f"output=new/d.{ending}")
    assert done.code == 0, done.err
    path = tmp_path / "new" / f"d.{ending}"
    if ending == "parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.read_csv(path, sep="\t" if ending == "tsv" else ",").astype({"qvalue": "float32"})
    settings = {"group": "B/x", "reference": "NK", "batch_key": "plate", "seed": 3, "permutations": 5}
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad")
    expected = grn.tl.differential(adata, "kind", tf=["G0", "G1", "G2"], **settings)
    pd.testing.assert_frame_equal(table, expected)
    few = int((expected["qvalue"] <= 0.05).sum())
    assert f"33 comparisons written to new/d.{ending}, {few} with a q-value of at most 0.05" in done.out
    assert f"{expected['effect'].iloc[0]:.3g}" in done.out


@pytest.mark.usefixtures("files")
def test_every_group_and_another_layer(grn_command: Callable, tmp_path: Path) -> None:
    assert grn_command("differential", *GIVEN, "group_by=kind", "data.layer=logged", "output=d.tsv").code == 0
    table = pd.read_csv(tmp_path / "d.tsv", sep="\t")
    assert sorted(table["group"].unique()) == ["B/x", "NK", "T"]
    assert len(table) == 3 * 33
    given = ("group_by=kind", "data.layer=scaled", "allow_negative=true", "output=s.tsv")
    assert grn_command("differential", *GIVEN, *given).code == 0


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["group_by=kind", "output=d.tsv"], "data must be given"),
        ([*GIVEN, "output=d.tsv"], "group_by must be given"),
        ([*GIVEN, "group_by=kind"], "output must be given"),
        ([*GIVEN, "group_by=kind", "output=d.h5ad"], "must end in one of .csv, .tsv, .parquet"),
        ([*GIVEN, "group_by=knd", "output=d.tsv"], "Did you mean 'kind'"),
        ([*GIVEN, "group_by=kind", "group=b/x", "output=d.tsv"], "Did you mean 'B/x'"),
        ([*GIVEN, "group_by=kind", "group=T", "reference=T", "output=d.tsv"], "compared with itself"),
        ([*GIVEN, "group_by=kind", "batch_key=plates", "output=d.tsv"], "Did you mean 'plate'"),
        ([*GIVEN, "group_by=kind", "data.layer=scaled", "output=d.tsv"], "looks scaled"),
    ],
)
def test_refuses(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("differential", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]
