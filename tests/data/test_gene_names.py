"""Gene names from a column: the same genes, whichever matrix is used, in every command that takes data."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import grn
from grn._errors import InputError
from grn.data import check, read_expression

LAYERS = [None, "X", "raw", "counts"]


@pytest.fixture
def cellxgene(counts: anndata.AnnData) -> anndata.AnnData:
    """As CELLxGENE distributes data: Ensembl index, symbols in a column, X logged, counts in raw."""
    counts.var["feature_name"] = pd.Categorical(counts.var_names)
    counts.var_names = [f"ENSG{number:011d}" for number in range(counts.n_vars)]
    counts.layers["counts"] = counts.X.copy()
    counts.raw = counts.copy()
    counts.X = sparse.csr_matrix(np.log1p(counts.X.toarray()))
    return counts


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("store", ["h5ad", "backed", "zarr", "h5mu"])
def test_every_matrix_gets_the_names_of_the_column(
    cellxgene: anndata.AnnData, layer: str | None, store: str, tmp_path: Path
) -> None:
    symbols = cellxgene.var["feature_name"].astype(str).tolist()
    if store == "zarr":
        cellxgene.write_zarr(tmp_path / "a.zarr")
        adata = read_expression(tmp_path / "a.zarr", gene_names="feature_name")
    elif store == "h5mu":
        write_h5mu(tmp_path / "a.h5mu", rna=cellxgene)
        adata = read_expression(tmp_path / "a.h5mu", gene_names="feature_name")
    else:
        cellxgene.write_h5ad(tmp_path / "a.h5ad")
        adata = read_expression(tmp_path / "a.h5ad", gene_names="feature_name", backed=store == "backed")
    found = check(adata, layer=layer, tf=["GATA1", "SPI1"], group_by="cell_type", batch_key="leiden")
    assert found.genes.tolist() == symbols
    assert found.tf_names == ["GATA1", "SPI1"]
    assert found.report.kind == ("log-normalised" if layer == "X" else "counts")


def write_h5mu(path: Path, **modalities: anndata.AnnData) -> Path:
    """A MuData file as mudata writes it: an AnnData for each modality, and obs and var of all."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path, "w") as file:
        for name, adata in modalities.items():
            write_elem(file, f"mod/{name}", adata)
        shared = pd.DataFrame({"donor": "d1", "rna:n_genes": 1.0}, index=next(iter(modalities.values())).obs_names)
        write_elem(file, "obs", shared)
        write_elem(file, "var", pd.DataFrame(index=[name for one in modalities.values() for name in one.var_names]))
    return path


@pytest.mark.parametrize("place", ["var", "raw"])
def test_a_column_that_one_table_lacks_is_taken_from_the_other(cellxgene: anndata.AnnData, place: str) -> None:
    symbols = cellxgene.var["feature_name"].astype(str).tolist()
    table = cellxgene.var if place == "var" else cellxgene.raw.var
    del table["feature_name"]
    grn.pp.name_genes(cellxgene, "feature_name")
    assert cellxgene.var_names.tolist() == cellxgene.raw.var_names.tolist() == symbols
    assert check(cellxgene, layer="raw", tf=["GATA1", "SPI1"]).genes.tolist() == symbols


def test_a_gene_is_called_the_same_in_both_tables(cellxgene: anndata.AnnData, caplog: pytest.LogCaptureFixture) -> None:
    """Of two genes of one symbol, `var` may hold the second alone: there it must not pass for the first."""
    raw = cellxgene.raw.var
    raw["feature_name"] = ["GATA1", "GATA1", " SPI1 ", None, *raw["feature_name"].astype(str)[4:]]
    cellxgene.var["feature_name"] = raw["feature_name"]
    part = cellxgene[:, 1:].copy()
    with caplog.at_level(logging.WARNING, logger="grn"):
        grn.pp.name_genes(part, "feature_name")
    assert part.raw.var_names[:4].tolist() == ["GATA1-1", "GATA1", "SPI1", "ENSG00000000003"]
    assert part.var_names[:3].tolist() == ["GATA1", "SPI1", "ENSG00000000003"]
    assert "1 genes have no name in raw.var['feature_name']" in caplog.text


def test_a_column_that_is_nowhere_is_refused(cellxgene: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"var and raw\.var have no such column. Did you mean 'feature_name'"):
        grn.pp.name_genes(cellxgene, "featurename")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_tools_take_the_names_for_every_matrix(cellxgene: anndata.AnnData, layer: str | None) -> None:
    grn.pp.name_genes(cellxgene, "feature_name")
    tf = ["GATA1", "SPI1", "KLF1"]
    grn.tl.infer(cellxgene, tf, method="ridge", layer=layer)
    assert set(grn.get.edges(cellxgene)["source"]) == set(tf)
    assert grn.tl.perturb(cellxgene, ko="GATA1").iloc[0]["gene"] == "GATA1"
    table = grn.tl.differential(cellxgene, "cell_type", layer=layer, permutations=2)
    assert set(table["source"]) == set(tf)
