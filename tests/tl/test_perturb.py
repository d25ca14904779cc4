"""`grn.tl.perturb`: levels, the layer it writes, what it takes from the network, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.analysis import perturb
from grn.data import check
from grn.network import GeneNetwork, add_to_anndata
from grn.tl._perturb import levels_of

TFS = ["G0", "G1", "NKX2-5"]


def test_writes_a_layer_of_the_whole_shape(adata: anndata.AnnData, network: GeneNetwork, tmp_path: Path) -> None:
    before = adata.copy()
    table = grn.tl.perturb(adata, ko="G0")
    checked = check(adata, tf=TFS)
    assert checked.x.shape == (120, 11)  # the gate drops the gene without counts
    expected = perturb(network, checked, {"G0": 0.0})
    pd.testing.assert_frame_equal(table, expected.table)
    assert len(table) == 11
    layer = adata.layers["grn_perturbed"]
    assert layer.shape == adata.shape
    assert layer.dtype == np.float32
    assert (layer[:, adata.var_names.get_loc("absent")] == 0).all()
    kept = adata.var_names != "absent"
    np.testing.assert_array_equal(layer[:, kept], expected.expression)
    # Nothing else is touched, and it can be written.
    np.testing.assert_array_equal(adata.X, before.X)
    assert (adata.layers["counts"] != before.layers["counts"]).nnz == 0
    assert set(adata.uns) == set(before.uns)
    adata.write_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "a.h5ad").layers["grn_perturbed"], layer)


def test_names_and_lists_and_texts_are_the_same(adata: anndata.AnnData) -> None:
    expected = grn.tl.perturb(adata, ko=["G0", "G1"])
    for ko in ("G0,G1", "G0, G1", ("G0", "G1")):
        pd.testing.assert_frame_equal(grn.tl.perturb(adata, ko=ko), expected)
    assert expected["perturbed"].sum() == 2


def test_a_high_level_is_the_99_percent_quantile(adata: anndata.AnnData) -> None:
    table = grn.tl.perturb(adata, oe="G0").set_index("gene")
    checked = check(adata, tf=TFS)
    values = checked.x[:, [checked.genes.get_loc("G0")]].toarray()
    assert table.loc["G0", "after"] == pytest.approx(np.quantile(values, 0.99))
    assert table.loc["G0", "shift"] > 0
    pd.testing.assert_frame_equal(grn.tl.perturb(adata, oe=["G0"]).set_index("gene"), table)


def test_levels_that_are_given(adata: anndata.AnnData) -> None:
    table = grn.tl.perturb(adata, oe={"G0": 6.5, "NKX2-5": 1}).set_index("gene")
    assert table.loc["G0", "after"] == pytest.approx(6.5)
    assert table.loc["NKX2-5", "after"] == pytest.approx(1.0)


def test_a_knock_out_and_an_overexpression_together(adata: anndata.AnnData) -> None:
    # Logged values have no total: one gene of counts at such a level would leave little room for all others.
    adata.layers["logged"] = np.log1p(adata.layers["counts"].toarray())
    table = grn.tl.perturb(adata, ko="G1", oe={"G0": 6.5}, layer="logged").set_index("gene")
    assert set(table.index[:2]) == {"G0", "G1"}
    assert table.loc["G1", "after"] == 0
    # G1 represses G4, and G0 activates G3.
    assert table.loc["G4", "shift"] > 0
    assert table.loc["G3", "shift"] > 0
    checked = check(adata, tf=TFS)
    assert levels_of(checked, "G1", {"G0": 6.5}) == {"G1": 0.0, "G0": 6.5}
    assert levels_of(checked, None, None) == {}


def test_group(adata: anndata.AnnData, grouped: GeneNetwork) -> None:
    add_to_anndata(adata, grouped)
    table = grn.tl.perturb(adata, ko="G0", group="B/x", key_added="here")
    here = (adata.obs["kind"] == "B/x").to_numpy()
    checked = check(adata, tf=TFS)
    x, kept = checked.x.toarray(), adata.var_names != "absent"
    np.testing.assert_array_equal(adata.layers["here"][~here][:, kept], x[~here])
    assert (adata.layers["here"][here, 0] == 0).all()
    before = table.set_index("gene")["before"].reindex(checked.genes)
    np.testing.assert_allclose(before, x[here].mean(0), rtol=1e-5)
    # Another column of groups than that of the network.
    grn.tl.perturb(adata, ko="G0", group="one", group_by="plate", key_added="there")
    assert (adata.layers["there"][:50, 0] == 0).all()
    assert (adata.layers["there"][50:, 0] > 0).any()


def test_the_networks_column_of_groups_is_needed_for_a_group_only(adata: anndata.AnnData, grouped: GeneNetwork) -> None:
    del adata.obs["kind"]
    assert grn.tl.perturb(adata, ko="G0", network=grouped)["gene"].iloc[0] == "G0"
    with pytest.raises(InputError, match="no column 'kind'"):
        grn.tl.perturb(adata, ko="G0", network=grouped, group="T")


def test_another_network_and_layer(adata: anndata.AnnData, network: GeneNetwork) -> None:
    add_to_anndata(adata, network.top(1), key_added="other")
    one = grn.tl.perturb(adata, ko="G0", key="other")
    pd.testing.assert_frame_equal(grn.tl.perturb(adata, ko="G0", network=network.top(1)), one)
    # The strongest edge is that of G1: G0 regulates nothing in this network.
    assert one.set_index("gene").loc["G3", "shift"] == pytest.approx(
        grn.tl.perturb(adata, ko="G0").set_index("gene").loc["G4", "shift"], abs=0.2
    )
    adata.layers["logged"] = np.log1p(adata.layers["counts"].toarray())
    logged = grn.tl.perturb(adata, ko="G0", layer="logged").set_index("gene")
    assert logged.loc["G0", "before"] == pytest.approx(adata.layers["logged"][:, 0].mean(), rel=1e-5)


def test_the_networks_own_layer_is_read(adata: anndata.AnnData, network: GeneNetwork) -> None:
    adata.layers["logged"] = np.log1p(adata.layers["counts"].toarray())
    network.params["layer"] = "logged"
    table = grn.tl.perturb(adata, ko="G0", network=network).set_index("gene")
    assert table.loc["G0", "before"] == pytest.approx(adata.layers["logged"][:, 0].mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Nothing is perturbed"),
        ({"ko": "nkx25"}, r"'nkx25' is not among the 11 genes of the data. Did you mean 'NKX2-5'"),
        ({"oe": "Q"}, "'Q' is not among"),
        ({"oe": {"Q": 1.0}}, "'Q' is not among"),
        ({"ko": "absent"}, "'absent' is not among"),
        ({"ko": "G0", "oe": ["G1", "G0"]}, "G0 is to be knocked out and overexpressed; name it once"),
        ({"ko": "G0", "oe": {"G0": 2.0}}, "G0 is to be knocked out and overexpressed"),
        ({"oe": {"G0": "high"}}, r"The level of G0 is 'high'; expected a number"),
        ({"oe": {"G0": True}}, r"The level of G0 is True; expected a number"),
        ({"oe": {"G0": -2.0}}, r"The level of G0 is -2.0; expected a number that is not negative"),
        ({"ko": "G0", "damping": 2.0}, "damping=2.0"),
        ({"ko": "G0", "group": "T"}, "not grouped: give group_by too"),
        ({"ko": "G0", "group": "t", "group_by": "kind"}, r"group='t' is no group.*Did you mean 'T'"),
        ({"ko": "G0", "group_by": "knd"}, "Did you mean 'kind'"),
        ({"ko": "G0", "key_added": "a/b"}, "key_added='a/b'"),
        ({"ko": "G0", "layer": "count"}, "Did you mean 'counts'"),
    ],
)
def test_refuses(adata: anndata.AnnData, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        grn.tl.perturb(adata, **settings)
    assert set(adata.layers) == {"counts"}


def test_refuses_without_a_network(bare: anndata.AnnData) -> None:
    with pytest.raises(KeyError, match="holds no network"):
        grn.tl.perturb(bare, ko="G0")


def test_a_gene_that_is_nearly_silent_has_no_high_level(adata: anndata.AnnData) -> None:
    counts = adata.layers["counts"].toarray()
    counts[1:, 2] = 0
    counts[0, 2] = 3
    adata.layers["counts"] = counts
    with pytest.raises(InputError, match=r"G2 is 0 in nearly all cells.*oe=\{'G2': 2.0\}"):
        grn.tl.perturb(adata, oe="G2")
    assert grn.tl.perturb(adata, oe={"G2": 2.0})["gene"].iloc[0] == "G2"
