import json
import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn import get
from grn._errors import InputError
from grn.network import GeneNetwork, add_to_anndata, from_anndata

GENES = ["A", "B", "C", "D"]


def make_adata(genes=(*GENES, "zero")) -> anndata.AnnData:
    adata = anndata.AnnData(np.ones((3, len(genes)), dtype=np.float32))
    adata.var_names = list(genes)
    adata.obs_names = ["c1", "c2", "c3"]
    return adata


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


@pytest.fixture
def network(weights) -> GeneNetwork:
    params = {"method": "regulatory", "seed": np.int64(1), "lr": np.float32(0.5), "note": None}
    return GeneNetwork.from_matrix(weights, ["B", "D"], GENES, params=params)


@pytest.fixture
def grouped(weights) -> GeneNetwork:
    return GeneNetwork.from_matrix({"CD4/CD8": weights, "B cells": 3 * weights}, ["B", "D"], GENES)


def test_slots(network, weights):
    adata = make_adata()
    add_to_anndata(adata, network)
    varp = adata.varp["grn"]
    assert sparse.issparse(varp)
    assert varp.dtype == np.float32
    dense = varp.toarray()
    assert dense[1, 0] == weights[0, 0]  # B -> A: rows regulate columns
    assert dense[1, 1] == 0
    assert dense[:, 4].sum() == 0
    assert adata.var["is_tf"].tolist() == [False, True, False, True, False]
    assert set(adata.uns["grn"]) == {"edges", "genes", "regulators", "params", "version", "convention"}
    assert json.loads(adata.uns["grn"]["params"])["seed"] == 1


@pytest.mark.parametrize("which", ["network", "grouped"])
def test_slots_survive_a_file(which, request, tmp_path):
    given = request.getfixturevalue(which)
    adata = make_adata()
    add_to_anndata(adata, given, key_added="mine")
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = anndata.read_h5ad(tmp_path / "a.h5ad")
    found = from_anndata(back, "mine")
    pd.testing.assert_frame_equal(found.edges, given.edges)
    assert found.genes.tolist() == given.genes.tolist()
    assert found.regulators.tolist() == given.regulators.tolist()
    assert found.groups == given.groups
    assert (back.varp["mine"] != adata.varp["mine"]).nnz == 0
    pd.testing.assert_frame_equal(back.uns["mine"]["edges"], adata.uns["mine"]["edges"])


def test_varp_of_groups_is_their_mean(grouped, weights):
    adata = make_adata()
    add_to_anndata(adata, grouped)
    np.testing.assert_allclose(adata.varp["grn"].toarray()[1, [0, 2, 3]], 2 * weights[0, [0, 2, 3]], rtol=1e-6)


def test_a_second_network_replaces_the_first(network, weights):
    adata = make_adata()
    add_to_anndata(adata, network)
    add_to_anndata(adata, GeneNetwork.from_matrix(-weights, ["B", "D"], GENES))
    assert from_anndata(adata).params == {}
    assert adata.varp["grn"][1, 0] == -weights[0, 0]


def test_genes_removed_later_leave_and_are_told(network, caplog):
    adata = make_adata()
    add_to_anndata(adata, network)
    with caplog.at_level(logging.INFO, logger="grn"):
        found = from_anndata(adata[:, ["A", "B", "C"]].copy())
    assert found.regulators.tolist() == ["B"]
    assert set(found.edges["target"]) == {"A", "C"}
    assert "1 genes of the network 'grn' are no longer in the AnnData" in caplog.text


def test_refusals(network):
    with pytest.raises(InputError, match=r"2 of 4 genes.*e\.g\. 'C'"):
        add_to_anndata(make_adata(["A", "B"]), network)
    with pytest.raises(InputError, match=r"not unique, e\.g\. 'A'"):
        add_to_anndata(make_adata([*GENES, "A"]), network)
    with pytest.raises(InputError, match="without '/'"):
        add_to_anndata(make_adata(), network, key_added="a/b")
    with pytest.raises(TypeError, match="params holds a set"):
        add_to_anndata(make_adata(), GeneNetwork(network.edges, network.genes, network.regulators, {"x": {1}}))


def test_a_missing_key_names_those_there(network):
    adata = make_adata()
    with pytest.raises(KeyError, match=r"Run grn\.tl\.infer"):
        from_anndata(adata)
    add_to_anndata(adata, network, key_added="mine")
    with pytest.raises(KeyError, match="there is one under 'mine'"):
        from_anndata(adata)


def test_get_edges(network, grouped):
    adata = make_adata()
    add_to_anndata(adata, network)
    assert set(get.edges(adata, source="B")["source"]) == {"B"}
    assert set(get.edges(adata, target=["A", "C"])["target"]) == {"A", "C"}
    assert len(get.edges(adata, top=2)) == 2
    pd.testing.assert_frame_equal(get.edges(adata), network.edges)
    pd.testing.assert_frame_equal(get.network(adata).edges, network.edges)
    assert get.regulators(adata).index.tolist() == network.regulator_table().index.tolist()
    assert get.regulators(adata, top=1)[["activated", "repressed"]].to_numpy().sum() == 1
    add_to_anndata(adata, grouped, key_added="groups")
    assert set(get.edges(adata, "groups")["group"]) == {"CD4/CD8", "B cells"}
    one = get.edges(adata, "groups", group="CD4/CD8", source="B", top=1)
    pd.testing.assert_frame_equal(one, get.edges(adata, source="B", top=1))


def test_get_names_near_misses(network):
    adata = make_adata()
    add_to_anndata(adata, network)
    with pytest.raises(InputError, match="source='A' is no regulator of the network, which has 2"):
        get.edges(adata, source="A")
    with pytest.raises(InputError, match=r"target='a' is no gene.*Did you mean 'A'"):
        get.edges(adata, target="a")
