"""Comparison of two networks: by hand, against scipy and sets, and against chance."""

from __future__ import annotations

import json
import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import grn
from grn._errors import InputError
from grn.analysis import compare
from grn.analysis.compare import expected_jaccard
from grn.network import GeneNetwork, add_to_anndata


def network(weights: np.ndarray) -> GeneNetwork:
    genes = [f"G{number}" for number in range(np.shape(weights)[1])]
    return GeneNetwork.from_matrix(weights, genes[: len(weights)], genes)


def table(*rows: tuple[str, str, float]) -> GeneNetwork:
    return GeneNetwork.from_edges(pd.DataFrame(rows, columns=["source", "target", "weight"]))


def test_by_hand() -> None:
    a = table(("A", "B", 0.9), ("A", "C", -0.6), ("A", "D", 0.1), ("Z", "A", 5.0))
    b = table(("A", "C", 8.0), ("A", "B", 6.0), ("A", "Q", 9.0), ("B", "D", 1.0))
    found = compare(a, b, top=[1, 2, 5])
    # Only what both could have counts: A -> B, C, D. Not Z, which b lacks, nor Q, which a lacks.
    expected = {"genes_a": 5, "genes_b": 5, "genes_shared": 4, "regulators_a": 2, "regulators_b": 2}
    expected |= {"regulators_shared": 1, "pairs": 3, "edges_a": 3, "edges_b": 2}
    assert found.summary.iloc[0][list(expected)].to_dict() == expected
    assert found.summary["spearman_strength"].item() == pytest.approx(spearmanr([9, 6, 1], [6, 8, 0])[0])
    assert found.summary["spearman_signed"].item() == pytest.approx(spearmanr([9, -6, 1], [6, 8, 0])[0])
    assert found.overlap[["edges_a", "edges_b", "shared", "opposite"]].to_numpy().tolist() == [
        [1, 1, 0, 0],
        [2, 2, 2, 1],
        [3, 2, 2, 1],
    ]
    assert found.overlap["jaccard"].tolist() == pytest.approx([0, 1, 2 / 3])
    # 1 of 3 pairs each; 2 of 3 each: two or one shared; 3 and 2 of 3.
    assert found.overlap["expected"].tolist() == pytest.approx([1 / 3, 1 / 3 * 1 + 2 / 3 * 1 / 3, 2 / 3])
    size_a, size_b = np.sqrt((0.81 + 0.36 + 0.01) / 3), np.sqrt(100 / 3)
    first = found.differences.iloc[0]
    assert (first["source"], first["target"]) == ("A", "C")
    assert first["difference"] == pytest.approx(8 / size_b + 0.6 / size_a)
    ranks = found.differences.set_index("target")[["rank_a", "rank_b"]].T.to_dict("list")
    assert ranks == {"B": [1, 2], "C": [2, 1], "D": [3, 3]}


def test_a_network_and_itself(dense: GeneNetwork) -> None:
    found = compare(dense, dense, top=[5, 10])
    assert found.overlap["jaccard"].tolist() == [1, 1]
    assert found.overlap["opposite"].tolist() == [0, 0]
    assert found.summary[["spearman_strength", "spearman_signed"]].to_numpy().ravel() == pytest.approx([1, 1])
    assert found.differences.empty


def test_units_do_not_count_and_signs_do(dense: GeneNetwork) -> None:
    matrix = dense.matrix().to_numpy()
    same = compare(dense, network(8 * matrix), top=7)
    assert same.differences["difference"].abs().max() < 1e-6 if len(same.differences) else True
    mirrored = compare(dense, network(-matrix), top=7)
    assert mirrored.overlap["opposite"].item() == 7
    assert mirrored.summary["spearman_signed"].item() == pytest.approx(-1)
    assert mirrored.summary["spearman_strength"].item() == pytest.approx(1)
    assert (
        mirrored.differences.iloc[0][["source", "target"]].tolist()
        == dense.edges.iloc[0][["source", "target"]].tolist()
    )


def test_unrelated_networks_are_at_chance() -> None:
    generator = np.random.default_rng(0)
    overlaps, correlations, expected = [], [], 0.0
    for _ in range(20):
        found = compare(network(generator.normal(size=(10, 60))), network(generator.normal(size=(10, 60))), top=100)
        overlaps.append(found.overlap["jaccard"].item())
        correlations.append(found.summary["spearman_signed"].item())
        expected = found.overlap["expected"].item()
    assert np.mean(overlaps) == pytest.approx(expected, abs=4 * np.std(overlaps) / np.sqrt(20))
    assert abs(np.mean(correlations)) < 0.05


@pytest.mark.parametrize(("m", "n", "pairs"), [(3, 4, 10), (10, 10, 10), (7, 8, 10), (1, 1, 500)])
def test_expected_jaccard_is_the_mean_of_draws(m: int, n: int, pairs: int) -> None:
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(4000):
        one, other = (set(generator.permutation(pairs)[:size].tolist()) for size in (m, n))
        drawn.append(len(one & other) / len(one | other))
    assert expected_jaccard(m, n, pairs) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000) + 1e-12)
    assert np.isnan(expected_jaccard(0, 0, 5))
    assert expected_jaccard(0, 3, 5) == 0


def test_unsigned_networks_are_compared_by_strength(dense: GeneNetwork, unsigned: GeneNetwork) -> None:
    found = compare(dense, unsigned, top=10)
    assert np.isnan(found.summary["spearman_signed"].item())
    assert np.isnan(found.overlap["opposite"].item())
    assert (found.differences["weight_a"] >= 0).all()
    strengths = [one.matrix().abs().to_numpy() for one in (dense, unsigned)]
    # G0 to G2 regulate G0 to G11: all pairs but those of a gene with itself.
    off = ~np.eye(3, 12, dtype=bool)
    assert found.summary["spearman_strength"].item() == pytest.approx(spearmanr(*(one[off] for one in strengths))[0])


def test_groups_are_compared_one_by_one(grouped: GeneNetwork, caplog: pytest.LogCaptureFixture) -> None:
    weights = np.random.default_rng(1).normal(size=(3, 12))
    other = GeneNetwork.from_matrix({"B/x": weights, "NK": weights}, grouped.regulators, grouped.genes)
    with caplog.at_level(logging.INFO, logger="grn"):
        found = compare(grouped, other, top=[5, 9], differences=3)
    assert "left out: NK, T" in caplog.text
    assert found.overlap["group"].tolist() == ["B/x", "B/x"]
    assert found.overlap["jaccard"].tolist() == [1, 1]
    both = compare(grouped, grouped, top=5)
    assert both.summary["group"].tolist() == ["B/x", "T"]


def test_two_groups_of_one_network(grouped: GeneNetwork) -> None:
    found = compare(grouped, grouped, group="B/x", other_group="T", top=5, differences=4)
    assert "group" not in found.summary
    assert found.summary["spearman_signed"].item() < -0.9
    assert found.overlap["opposite"].item() == found.overlap["shared"].item() > 0
    assert len(found.differences) == 4
    same = compare(grouped, grouped, group="T", top=5)
    assert same.overlap["jaccard"].item() == 1


def test_groups_have_to_be_chosen(grouped: GeneNetwork, dense: GeneNetwork) -> None:
    with pytest.raises(
        InputError, match=r"The first network has groups of cells: give group=\.\.\., one of 'B/x', 'T'"
    ):
        compare(grouped, dense)
    with pytest.raises(InputError, match="The other network has groups of cells: give other_group"):
        compare(dense, grouped)
    assert compare(dense, grouped, other_group="T").summary["pairs"].item() == 33
    assert compare(grouped, dense, group="T").summary["pairs"].item() == 33
    with pytest.raises(InputError, match="Did you mean 'B/x'"):
        compare(grouped, grouped, group="bx", other_group="T")
    other = GeneNetwork.from_matrix({"NK": np.ones((1, 2))}, ["G0"], ["G0", "G1"])
    with pytest.raises(InputError, match="share no group of cells: B/x, T and NK"):
        compare(grouped, other)


def test_networks_that_share_no_pair() -> None:
    human, mouse = table(("GATA1", "KLF1", 1.0)), table(("Gata1", "Klf1", 1.0))
    with pytest.raises(InputError, match=r"share no regulator.*1 would match if letter case were ignored"):
        compare(human, mouse)
    with pytest.raises(InputError, match="share no pair"):
        compare(table(("A", "B", 1.0)), table(("A", "C", 1.0)))


def test_empty_network(empty: GeneNetwork) -> None:
    other = GeneNetwork.from_matrix([[0.0, 1.0, 2.0]], ["A"], ["A", "B", "C"])
    found = compare(other, empty)
    assert found.summary[["pairs", "edges_a", "edges_b"]].to_numpy().tolist() == [[2, 2, 0]]
    assert found.overlap["jaccard"].tolist() == [0, 0, 0]
    nothing = compare(empty, empty)
    assert nothing.overlap["jaccard"].isna().all()
    assert nothing.summary["spearman_strength"].isna().all()
    assert nothing.differences.empty


def test_equally_strong_edges_at_the_cut_are_told(caplog: pytest.LogCaptureFixture) -> None:
    a = network(np.array([[0.0, 1.0, -1.0, 0.5]]))
    with caplog.at_level(logging.WARNING, logger="grn"):
        compare(a, a, top=[2, 3])
        assert not caplog.text
        compare(a, a, top=1)
    assert "equally strong" in caplog.text


def test_as_json(dense: GeneNetwork, unsigned: GeneNetwork) -> None:
    plain = json.loads(json.dumps(compare(dense, unsigned, top=3, differences=2).to_dict(), allow_nan=False))
    assert plain["summary"][0]["spearman_signed"] is None
    assert plain["overlap"][0]["top"] == 3
    assert len(plain["differences"]) == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"top": 0}, InputError, "top=0"),
        ({"top": []}, InputError, "top is empty"),
        ({"top": [10, 2.5]}, TypeError, "top=2.5"),
        ({"differences": 0}, InputError, "differences=0"),
        ({"differences": True}, TypeError, "differences=True"),
    ],
)
def test_refuses(dense: GeneNetwork, settings: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare(dense, dense, **settings)


def test_the_face_takes_anndata_and_networks(dense: GeneNetwork) -> None:
    adata = anndata.AnnData(np.ones((3, 12)), var=pd.DataFrame(index=dense.genes))
    add_to_anndata(adata, dense)
    add_to_anndata(adata, network(-dense.matrix().to_numpy()), key_added="mirrored")
    assert grn.get.compare(adata, adata, other_key="mirrored", top=5).overlap["opposite"].item() == 5
    assert grn.get.compare(adata, dense, top=5).overlap["opposite"].item() == 0


def test_the_face_has_the_same_defaults() -> None:
    import inspect

    ours, theirs = (inspect.signature(one).parameters for one in (grn.get.compare, compare))
    assert all(ours[name].default == theirs[name].default for name in ("top", "differences"))
