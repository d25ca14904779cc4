"""`grn perturb`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn.network import GeneNetwork

GIVEN = ("network=n.parquet", "data=h5ad", "data.path=cells.h5ad")


@pytest.fixture
def files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    genes = [*(f"G{number}" for number in range(19)), "NKX2-5"]
    weights = {"B/x": random.normal(size=(3, 20)), "T": random.normal(size=(3, 20))}
    GeneNetwork.from_matrix(weights, genes[:3], genes).write(tmp_path / "grouped.parquet")
    GeneNetwork.from_matrix(weights["T"], genes[:3], genes).write(tmp_path / "n.parquet")
    adata = anndata.AnnData(random.poisson(3, size=(40, 20)).astype(np.float32))
    adata.var_names = genes
    adata.obs["kind"] = ["B/x", "T"] * 20
    adata.layers["logged"] = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_writes_the_python_result(grn_command: Callable, tmp_path: Path, ending: str) -> None:
    done = grn_command("perturb", *GIVEN, "ko=G0,NKX2-5", "damping=0.5", f"output=new/p.{ending}")
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad")
    network = GeneNetwork.read(tmp_path / "n.parquet")
    expected = grn.tl.perturb(adata, ko=["G0", "NKX2-5"], network=network, damping=0.5)
    pd.testing.assert_frame_equal(read(tmp_path / "new" / f"p.{ending}"), expected)
    assert f"20 genes written to new/p.{ending}" in done.out
    assert expected["gene"].iloc[2] in done.out
    assert f"{expected['shift'].iloc[2]:.3f}" in done.out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ("ko=[G0,G2]", {"ko": ["G0", "G2"]}),
        ("ko=G1", {"ko": "G1"}),
        ("oe=G0,G2", {"oe": ["G0", "G2"]}),
        ("oe={G1: 4.5, NKX2-5: 0.5}", {"oe": {"G1": 4.5, "NKX2-5": 0.5}}),
    ],
)
def test_genes_can_be_given_in_several_ways(grn_command: Callable, tmp_path: Path, given: str, settings: dict) -> None:
    assert grn_command("perturb", *GIVEN, given, "output=p.tsv").code == 0
    adata, network = anndata.read_h5ad(tmp_path / "cells.h5ad"), GeneNetwork.read(tmp_path / "n.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "p.tsv"), grn.tl.perturb(adata, network=network, **settings))


@pytest.mark.usefixtures("files")
def test_a_knock_out_and_an_overexpression_together(grn_command: Callable, tmp_path: Path) -> None:
    assert grn_command("perturb", *GIVEN, "ko=G0", "oe={G1: 4.5}", "output=p.tsv").code == 0
    table = read(tmp_path / "p.tsv").set_index("gene")
    assert table["after"][["G0", "G1"]].tolist() == pytest.approx([0.0, 4.5])
    assert table["perturbed"].sum() == 2


@pytest.mark.usefixtures("files")
def test_writes_the_data_with_the_prediction(grn_command: Callable, tmp_path: Path) -> None:
    given = ("network=grouped.parquet", "data=h5ad", "data.path=cells.h5ad", "data.layer=logged", "ko=G0")
    done = grn_command("perturb", *given, "group=B/x", "group_by=kind", "output=p.h5ad")
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(tmp_path / "p.h5ad")
    layer, before = adata.layers["grn_perturbed"], adata.layers["logged"]
    here = (adata.obs["kind"] == "B/x").to_numpy()
    assert (layer[here, 0] == 0).all()
    np.testing.assert_array_equal(layer[~here], before[~here])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["network=n.parquet", "ko=G0", "output=p.tsv"], "data must be given"),
        ([*GIVEN, "ko=G0"], "output must be given"),
        ([*GIVEN, "ko=G0", "output=p.xlsx"], "must end in one of .csv, .tsv, .parquet, .h5ad"),
        ([*GIVEN, "output=p.tsv"], "Nothing is perturbed"),
        ([*GIVEN, "ko=nkx25", "output=p.tsv"], "Did you mean 'NKX2-5'"),
        ([*GIVEN, "ko=G0", "oe=G0", "output=p.tsv"], "knocked out and overexpressed"),
        ([*GIVEN, "oe={G0: high}", "output=p.tsv"], "oe"),
        ([*GIVEN, "ko=G0", "damping=2", "output=p.tsv"], "damping=2"),
        ([*GIVEN, "ko=G0", "group=T", "output=p.tsv"], "give group_by too"),
        (["network=m.parquet", *GIVEN[1:], "ko=G0", "output=p.tsv"], "Did you mean "),
    ],
)
def test_refuses(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("perturb", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "grouped.parquet", "n.parquet"]


@pytest.mark.usefixtures("files")
def test_text_of_pandas_3_that_was_read_is_written(tmp_path: Path, grn_command: Callable[..., Any]) -> None:
    """anndata reads nullable strings and refuses to write them, which was noticed after all the work."""
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad")
    adata.obs["note"] = pd.array(["a", None] * 20, dtype="string")
    adata.obs_names = pd.Index(pd.array(adata.obs_names, dtype="string"))
    with anndata.settings.override(allow_write_nullable_strings=True):
        adata.write_h5ad(tmp_path / "cells.h5ad", convert_strings_to_categoricals=False)
    done = grn_command("perturb", *GIVEN, "ko=G0", "output=out.h5ad")
    assert done.code == 0, done.err
    back = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert back.obs["note"].isna().sum() == 20
    assert "grn_perturbed" in back.layers
