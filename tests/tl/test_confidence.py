"""`grn.tl.confidence`: the columns it adds, copies, and what it refuses."""

from __future__ import annotations

import anndata
import pytest

import grn
from grn._errors import InputError

EVIDENCE = ["confidence", "pvalue", "qvalue"]
TFS = ["G0", "G1", "NKX2-5"]


@pytest.fixture
def inferred(bare: anndata.AnnData) -> anndata.AnnData:
    grn.tl.infer(bare, tf=TFS, method="ridge")
    return bare


def test_adds_columns_and_leaves_the_weights(inferred: anndata.AnnData) -> None:
    before = grn.get.edges(inferred)
    assert grn.tl.confidence(inferred, resamples=4, permutations=50) is None
    after = grn.get.edges(inferred)
    assert list(after) == [*before, *EVIDENCE]
    assert after[list(before)].equals(before)
    for name in EVIDENCE:
        assert after[name].between(0, 1).all()
    best = after.set_index(["source", "target"])
    assert best.loc[("G1", "G4"), "qvalue"] < 0.05


def test_a_copy_leaves_the_original_alone(inferred: anndata.AnnData) -> None:
    copy = grn.tl.confidence(inferred, resamples=2, permutations=2, copy=True)
    assert copy is not None
    assert set(EVIDENCE) <= set(grn.get.edges(copy))
    assert not set(EVIDENCE) & set(grn.get.edges(inferred))


def test_refuses(adata: anndata.AnnData) -> None:
    with pytest.raises(InputError, match="does not say how it was made"):
        grn.tl.confidence(adata)
    with pytest.raises(KeyError, match="holds no network"):
        grn.tl.confidence(adata, key="other")
