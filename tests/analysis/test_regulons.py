"""Regulons: which edges are kept, their signs and ranks, and their form as gene sets."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._errors import InputError
from grn.analysis import regulon_sets, regulons
from grn.analysis.regulons import PER_TARGET
from grn.network import GeneNetwork, add_to_anndata


def pairs(table: pd.DataFrame, column: str) -> set[tuple[str, str]]:
    return set(zip(table[column], table["target"], strict=True))


def test_signs_and_ranks(dense: GeneNetwork) -> None:
    table = regulons(dense, top=30, min_targets=1)
    assert list(table) == ["regulator", "sign", "target", "weight", "rank"]
    assert (np.sign(table["weight"]) == table["sign"]).all()
    assert pairs(table, "regulator") == pairs(dense.top(30).edges, "source")
    for _, one in table.groupby(["regulator", "sign"]):
        assert one["rank"].tolist() == list(range(1, len(one) + 1))
        assert one["weight"].abs().is_monotonic_decreasing
    keys = list(zip(table["regulator"], -table["sign"].astype(int), table["rank"], strict=True))
    assert keys == sorted(keys)
    assert not (table["regulator"] == table["target"]).any()


def test_choices_apply_in_their_order(dense: GeneNetwork) -> None:
    table = regulons(dense, per_target=2, top=9, min_targets=1)
    assert pairs(table, "regulator") == pairs(dense.per_target(2).top(9).edges, "source")


def test_the_default_is_logged_and_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    genes = [f"G{number}" for number in range(9)]
    network = GeneNetwork.from_matrix(np.random.default_rng(0).normal(size=(9, 9)), genes, genes)
    with caplog.at_level(logging.INFO, logger="grn"):
        table = regulons(network, min_targets=1)
    assert "5 strongest regulators of each target" in caplog.text
    assert table["target"].value_counts().unique().tolist() == [PER_TARGET]
    pd.testing.assert_frame_equal(table, regulons(network, per_target=5, min_targets=1))
    assert len(regulons(network, per_target=9, min_targets=1)) == len(network)


def test_sparse_networks_are_kept_whole(caplog: pytest.LogCaptureFixture) -> None:
    """A curated network, whose weights are all alike: cutting it would be arbitrary."""
    edges = [(f"R{regulator}", f"T{(7 * regulator + step) % 90}") for regulator in range(80) for step in range(7)]
    network = GeneNetwork.from_edges(pd.DataFrame(edges, columns=["source", "target"]).assign(weight=1.0))
    assert network.edges["target"].value_counts().max() > PER_TARGET
    with caplog.at_level(logging.INFO, logger="grn"):
        assert len(regulons(network, min_targets=1)) == len(network)
    assert "all edges, because" in caplog.text


def test_min_targets_counts_both_signs(caplog: pytest.LogCaptureFixture) -> None:
    weights = [[0, 0, 0.5, -0.4, 0.3], [0, 0, 0.2, 0, 0.1]]
    network = GeneNetwork.from_matrix(weights, ["A", "B"], list("ABCDE"))
    with caplog.at_level(logging.INFO, logger="grn"):
        assert set(regulons(network, min_targets=3)["regulator"]) == {"A"}
    assert "1 regulators have fewer than 3 targets" in caplog.text
    assert set(regulons(network, min_targets=2)["regulator"]) == {"A", "B"}
    assert regulons(network, min_targets=4).empty


def test_fdr() -> None:
    edges = pd.DataFrame(
        {"source": "A", "target": list("BCDE"), "weight": [4, -3, 2, 1], "qvalue": [0.2, 0.01, 0.05, 1]}
    )
    network = GeneNetwork.from_edges(edges)
    assert set(regulons(network, fdr=0.05, min_targets=1)["target"]) == {"C", "D"}
    assert set(regulons(network, fdr=0.05, top=1, min_targets=1)["target"]) == {"C"}
    with pytest.raises(InputError, match="q-values"):
        regulons(GeneNetwork.from_edges(edges.drop(columns="qvalue")), fdr=0.05)


def test_groups(grouped: GeneNetwork) -> None:
    one = regulons(grouped, group="B/x", top=20, min_targets=1)
    assert pairs(one, "regulator") == pairs(grouped.of_group("B/x").top(20).edges, "source")
    mean = regulons(grouped, top=20, min_targets=1)
    pd.testing.assert_frame_equal(mean, regulons(grouped.ungrouped(), top=20, min_targets=1))
    with pytest.raises(InputError, match="No group 'B'"):
        regulons(grouped, group="B")
    with pytest.raises(InputError, match="needs one group of cells"):
        regulons(grouped, fdr=0.1)


def test_unsigned(unsigned: GeneNetwork) -> None:
    table = regulons(unsigned, top=20, min_targets=1)
    assert (table["sign"] == 0).all()
    assert all(name.endswith("(?)") for name in regulon_sets(table))
    assert table.groupby("regulator")["rank"].max().sum() == 20


def test_sets_are_those_of_gmt(dense: GeneNetwork, tmp_path: Path) -> None:
    network = dense.top(20)
    network.write(tmp_path / "n.gmt")
    written = [line.split("\t") for line in (tmp_path / "n.gmt").read_text().splitlines()]
    assert regulon_sets(regulons(network, top=20, min_targets=1)) == {name: names for name, _, *names in written}


def test_empty_network(empty: GeneNetwork) -> None:
    table = regulons(empty)
    assert list(table) == ["regulator", "sign", "target", "weight", "rank"]
    assert table.empty
    assert regulon_sets(table) == {}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"min_targets": 0}, InputError, "min_targets=0"),
        ({"min_targets": 2.5}, TypeError, "min_targets=2.5"),
        ({"top": 0}, InputError, "top"),
        ({"per_target": "5"}, TypeError, "per_target"),
        ({"group": "T"}, InputError, "no groups"),
    ],
)
def test_refuses(dense: GeneNetwork, settings: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        regulons(dense, **settings)


def test_a_table_without_regulons_is_refused() -> None:
    with pytest.raises(InputError, match="lacks regulator"):
        regulon_sets(pd.DataFrame({"target": ["A"], "sign": [1], "weight": [1.0], "rank": [1]}))


def test_the_face_takes_anndata_and_networks(dense: GeneNetwork) -> None:
    adata = anndata.AnnData(np.ones((3, 12)), var=pd.DataFrame(index=dense.genes))
    add_to_anndata(adata, dense, key_added="mine")
    expected = regulons(dense, top=20, min_targets=2)
    pd.testing.assert_frame_equal(grn.get.regulons(adata, "mine", top=20, min_targets=2), expected)
    pd.testing.assert_frame_equal(grn.get.regulons(dense, top=20, min_targets=2), expected)
    assert grn.get.regulon_sets(expected) == regulon_sets(expected)
    with pytest.raises(KeyError, match="there is one under 'mine'"):
        grn.get.regulons(adata)
