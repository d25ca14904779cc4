"""`grn.tl.differential`: where regulators, layer and batches come from, and what it refuses."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.analysis import differential
from grn.data import check

TFS = ["G0", "G1", "NKX2-5"]


def test_regulators_of_the_network_or_those_given(adata: anndata.AnnData) -> None:
    before = set(adata.uns), set(adata.obsm), set(adata.layers)
    table = grn.tl.differential(adata, "kind", permutations=5)
    pd.testing.assert_frame_equal(table, differential(check(adata, tf=TFS, group_by="kind"), permutations=5))
    assert set(table["source"]) == set(TFS)
    assert (set(adata.uns), set(adata.obsm), set(adata.layers)) == before
    del adata.uns["grn"]
    pd.testing.assert_frame_equal(grn.tl.differential(adata, "kind", tf=TFS, permutations=5), table)
    other = grn.tl.differential(adata, "kind", tf=["G2", "G5"], permutations=5)
    assert set(other["source"]) == {"G2", "G5"}


def test_groups_are_passed_on(adata: anndata.AnnData) -> None:
    table = grn.tl.differential(adata, "kind", permutations=2)
    assert set(table["group"]) == {"B/x"}
    assert set(table["reference"]) == {"T"}
    turned = grn.tl.differential(adata, "kind", group="T", reference="B/x", permutations=2)
    assert set(turned["group"]) == {"T"}
    assert set(grn.tl.differential(adata, "kind", group="T", permutations=2)["reference"]) == {"rest"}


def test_batches_and_layers(adata: anndata.AnnData) -> None:
    plain = grn.tl.differential(adata, "kind", permutations=5)
    batched = grn.tl.differential(adata, "kind", batch_key="plate", permutations=5)
    expected = differential(check(adata, tf=TFS, group_by="kind", batch_key="plate"), permutations=5)
    pd.testing.assert_frame_equal(batched, expected)
    assert not np.allclose(batched["pvalue"], plain["pvalue"])
    # Those of the network are taken where no other is given.
    adata.uns["grn"]["params"] = '{"batch_key": "plate"}'
    pd.testing.assert_frame_equal(grn.tl.differential(adata, "kind", permutations=5), batched)
    adata.layers["logged"] = np.log1p(adata.layers["counts"].toarray())
    logged = grn.tl.differential(adata, "kind", tf=TFS, layer="logged", permutations=5)
    assert not np.allclose(logged["effect"].sort_index(), plain["effect"].sort_index())


def test_negative_values(adata: anndata.AnnData) -> None:
    adata.layers["scaled"] = adata.layers["counts"].toarray() - 3.5
    with pytest.raises(InputError, match="looks scaled"):
        grn.tl.differential(adata, "kind", layer="scaled", permutations=2)
    for tf in (None, TFS):
        assert len(grn.tl.differential(adata, "kind", tf=tf, layer="scaled", allow_negative=True, permutations=2)) > 0


def test_seeds(adata: anndata.AnnData) -> None:
    first, again, other = (grn.tl.differential(adata, "kind", permutations=3, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["pvalue"].equals(other["pvalue"])


def test_refuses(adata: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"no column 'knd'.*Did you mean 'kind'"):
        grn.tl.differential(adata, "knd")
    with pytest.raises(InputError, match=r"There is no group 'b/x'.*Did you mean 'B/x'"):
        grn.tl.differential(adata, "kind", group="b/x")
    adata.obs["rare"] = np.where(np.arange(120) < 5, "few", "many")
    with pytest.raises(InputError, match="few has fewer than 10 cells"):
        grn.tl.differential(adata, "rare")
    del adata.uns["grn"]
    with pytest.raises(InputError, match=r"tf must say which genes regulate.*no network under 'grn' either"):
        grn.tl.differential(adata, "kind")
