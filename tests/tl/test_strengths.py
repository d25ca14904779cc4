"""`grn.tl.strengths`: the slot it writes, copies, and what it refuses."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.analysis import strengths
from grn.data import check
from grn.network import GeneNetwork, add_to_anndata

TFS = ["G0", "G1", "NKX2-5"]


def test_writes_cells_times_regulators(adata: anndata.AnnData, network: GeneNetwork, tmp_path: Path) -> None:
    before = adata.layers["counts"].toarray()
    assert grn.tl.strengths(adata) is None
    found = adata.obsm["grn_strength"]
    pd.testing.assert_frame_equal(found, strengths(network, check(adata, tf=TFS)))
    assert found.shape == (120, 3)
    assert list(found) == TFS
    assert (found["NKX2-5"] == 0).all()  # without an edge
    assert (found["G1"] > 0).all()
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), before)
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad").obsm["grn_strength"]
    pd.testing.assert_frame_equal(read, found, check_names=False)


def test_a_copy_leaves_the_original_alone(adata: anndata.AnnData) -> None:
    copy = grn.tl.strengths(adata, key_added="mine", copy=True)
    assert copy is not None
    assert "mine" in copy.obsm
    assert not adata.obsm


def test_the_groups_of_the_network_are_read(adata: anndata.AnnData, grouped: GeneNetwork) -> None:
    add_to_anndata(adata, grouped, key_added="by_kind")
    grn.tl.strengths(adata, key="by_kind")
    found = adata.obsm["grn_strength"]
    here = (adata.obs["kind"] == "B/x").to_numpy()
    assert (found.loc[here, "G1"] == 0).all()
    assert (found.loc[~here, "G1"] > 0).all()
    cells = adata[~here].copy()
    grn.tl.strengths(cells, key="by_kind")
    assert (cells.obsm["grn_strength"]["G1"] > 0).all()
    adata.obs["kind"] = adata.obs["kind"].cat.rename_categories({"T": "NK"})
    with pytest.raises(InputError, match="The network has the groups B/x, T, the cells B/x, NK"):
        grn.tl.strengths(adata, key="by_kind")


def test_other_layers(adata: anndata.AnnData, network: GeneNetwork) -> None:
    adata.layers["logged"] = np.log1p(adata.layers["counts"].toarray())
    grn.tl.strengths(adata, layer="logged")
    expected = strengths(network, check(adata, tf=TFS, layer="logged"))
    pd.testing.assert_frame_equal(adata.obsm["grn_strength"], expected)


def test_regulators_that_the_data_lack_are_left_out(adata: anndata.AnnData, caplog: pytest.LogCaptureFixture) -> None:
    other = adata[:, adata.var_names != "NKX2-5"].copy()
    with caplog.at_level(logging.INFO, logger="grn"):
        grn.tl.strengths(other)
    assert list(other.obsm["grn_strength"]) == ["G0", "G1"]
    assert "1 genes of the network 'grn' are no longer in the AnnData" in caplog.text


def test_refuses(adata: anndata.AnnData) -> None:
    with pytest.raises(InputError, match="key_added='a/b'"):
        grn.tl.strengths(adata, key_added="a/b")
    with pytest.raises(KeyError, match="holds no network"):
        grn.tl.strengths(adata, key="other")
    adata.layers["scaled"] = adata.layers["counts"].toarray() - 3.5
    with pytest.raises(InputError, match="looks scaled"):
        grn.tl.strengths(adata, layer="scaled")
    assert not adata.obsm
