from __future__ import annotations

import anndata
import pytest
import scanpy as sc

from grn._errors import InputError
from grn.data.layers import pick, usable


def test_the_layer_named_counts_comes_first(counts: anndata.AnnData) -> None:
    assert pick(counts, None).label == "X"
    counts.layers["counts"] = counts.X.copy()
    assert pick(counts, None).label == "layers['counts']"
    assert pick(counts, "X").label == "X"


def test_raw_brings_its_own_genes(counts: anndata.AnnData) -> None:
    counts.raw = counts
    selected = counts[:, :5].copy()
    source = pick(selected, "raw")
    assert source.label == "raw.X"
    assert source.matrix.shape[1] == len(source.var) == 12


def test_an_unknown_layer_names_near_misses(counts: anndata.AnnData) -> None:
    counts.layers["counts"] = counts.X.copy()
    with pytest.raises(InputError, match=r"no layer 'Count'. Did you mean 'counts'\? layer= can be 'counts', 'X'"):
        pick(counts, "Count")


def test_raw_that_is_absent_is_refused(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"this AnnData has no raw. layer= can be 'X'"):
        pick(counts, "raw")


def test_raw_that_is_ambiguous_is_refused(counts: anndata.AnnData) -> None:
    counts.raw = counts
    counts.layers["raw"] = counts.X.copy()
    with pytest.raises(InputError, match=r"could be the slot raw or"):
        pick(counts, "raw")


def test_an_empty_x_names_what_is_there(counts: anndata.AnnData) -> None:
    bare = anndata.AnnData(None, obs=counts.obs, var=counts.var, layers={"spliced": counts.X})
    with pytest.raises(InputError, match=r"X is empty .* layer= can be 'spliced'"):
        pick(bare, None)


def test_usable_names_what_would_pass(counts: anndata.AnnData) -> None:
    counts.raw = counts
    counts.layers["umi"] = counts.X.copy()
    counts.X = counts.X.toarray()
    counts.layers["shifted"] = counts.X - 1
    sc.pp.scale(counts)
    assert usable(counts, "X") == ["layer='umi' (counts)", "layer='raw' (counts)"]
