import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn._errors import InputError
from grn.network import GeneNetwork

GENES = ["A", "B", "C", "D"]
WEIGHTS = np.array([[9.0, 0.5, -2.0, 0.0], [1.0, 9.0, 0.0, -0.25]])


@pytest.fixture
def small() -> GeneNetwork:
    return GeneNetwork.from_matrix(WEIGHTS, ["A", "B"], GENES, params={"seed": 3})


@pytest.fixture
def grouped() -> GeneNetwork:
    return GeneNetwork.from_matrix({"T": WEIGHTS, "CD4/CD8": -3 * WEIGHTS}, ["A", "B"], GENES)


def test_edges_of_a_matrix_are_sorted_signed_and_without_loops_and_zeros(small):
    rows = small.edges.to_dict("list")
    assert rows["source"] == ["A", "B", "A", "B"]
    assert rows["target"] == ["C", "A", "B", "D"]
    np.testing.assert_allclose(rows["weight"], [-2.0, 1.0, 0.5, -0.25])
    assert rows["sign"] == [-1, 1, 1, -1]
    assert small.edges["weight"].dtype == np.float32
    assert small.edges["sign"].dtype == np.int8
    assert small.params == {"seed": 3}


def test_direction_rows_regulate_columns():
    only = np.zeros((1, 4))
    only[0, 3] = 1
    edge = GeneNetwork.from_matrix(only, ["A"], GENES).edges.iloc[0]
    assert (edge["source"], edge["target"]) == ("A", "D")


def test_sparse_and_dense_matrices_give_the_same_edges(small):
    again = GeneNetwork.from_matrix(sparse.csr_matrix(WEIGHTS), ["A", "B"], GENES)
    pd.testing.assert_frame_equal(again.edges, small.edges)


def test_equal_weights_keep_the_order_of_the_matrix():
    flat = GeneNetwork.from_matrix(np.ones((2, 4)), ["A", "B"], GENES)
    assert [*zip(flat.edges["source"], flat.edges["target"], strict=True)] == [
        ("A", "B"), ("A", "C"), ("A", "D"), ("B", "A"), ("B", "C"), ("B", "D")
    ]  # fmt: skip


def test_matrix_gives_the_weights_back(small):
    expected = WEIGHTS.copy()
    expected[[0, 1], [0, 1]] = 0
    pd.testing.assert_frame_equal(
        small.matrix(), pd.DataFrame(expected.astype(np.float32), index=["A", "B"], columns=GENES)
    )


def test_groups(grouped, small):
    assert grouped.groups == ["CD4/CD8", "T"]
    assert small.groups == []
    pd.testing.assert_frame_equal(grouped.of_group("T").edges, small.edges)
    pd.testing.assert_frame_equal(grouped.matrix("CD4/CD8"), -3 * small.matrix())
    pd.testing.assert_frame_equal(grouped.matrix(), -small.matrix())
    assert "2 groups" in repr(grouped)


def test_ungrouped_counts_missing_edges_as_zero():
    first, second = np.zeros((1, 4)), np.zeros((1, 4))
    first[0, 1], second[0, 2], first[0, 3], second[0, 3] = 1.0, 3.0, 5.0, -5.0
    mean = GeneNetwork.from_matrix({"x": first, "y": second}, ["A"], GENES).ungrouped()
    assert [*zip(mean.edges["target"], mean.edges["weight"], strict=True)] == [("C", 1.5), ("B", 0.5)]


def test_of_group_names_near_misses(grouped, small):
    with pytest.raises(InputError, match=r"No group 'cd4cd8'.*Did you mean 'CD4/CD8'"):
        grouped.of_group("cd4cd8")
    with pytest.raises(InputError, match="has no groups"):
        small.of_group("T")


def test_top_is_per_group(small, grouped):
    assert small.top(2).edges["target"].tolist() == ["C", "A"]
    assert len(small.top(100)) == 4
    assert grouped.top(1).edges["group"].tolist() == ["CD4/CD8", "T"]
    assert list(small.top(1).genes) == GENES


def test_per_target_keeps_the_strongest_regulators():
    weights = np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 0.0, -5.0, 1.0]])
    best = GeneNetwork.from_matrix(weights, ["A", "B"], GENES).per_target(1)
    assert best.matrix().loc["A"].tolist() == [0, 1, 0, 3]
    assert best.matrix().loc["B"].tolist() == [1, 0, -5, 0]


@pytest.mark.parametrize("method", ["top", "per_target"])
def test_numbers_of_edges_are_checked(small, method):
    with pytest.raises(InputError, match="at least 1"):
        getattr(small, method)(0)
    with pytest.raises(TypeError, match=r"2\.5"):
        getattr(small, method)(2.5)


def test_regulator_table(small, grouped):
    table = small.regulator_table()
    assert table.index.tolist() == ["A", "B"]
    assert table["out_strength"].tolist() == [2.5, 1.25]
    assert table["activated"].tolist() == [1, 1]
    assert table["repressed"].tolist() == [1, 1]
    assert table["strongest"].tolist() == ["C", "A"]
    assert small.regulator_table(top=1)["repressed"].tolist() == [1, 0]
    assert grouped.regulator_table()["out_strength"].tolist() == [5.0, 2.5]


def test_regulators_without_edges_are_listed():
    empty = GeneNetwork.from_matrix(np.zeros((2, 4)), ["A", "B"], GENES)
    assert len(empty) == 0
    assert empty.regulator_table()["out_strength"].tolist() == [0, 0]
    assert "0 edges" in repr(empty)


def test_names_stay_after_selection(small):
    assert small.top(1).regulators.tolist() == ["A", "B"]


@pytest.mark.parametrize(
    ("weights", "regulators", "message"),
    [
        (WEIGHTS.T, ["A", "B"], r"\(4, 2\).*look transposed"),
        (WEIGHTS[:1], ["A", "B"], r"expected \(regulators, genes\) = \(2, 4\)"),
        (np.where(WEIGHTS == 1, np.nan, WEIGHTS), ["A", "B"], "1 weights are NaN or infinite"),
        (WEIGHTS, ["A", "A"], "'A' is given twice"),
        (WEIGHTS, ["A", "bb"], "'bb'"),
        (WEIGHTS, ["A", "b"], "not among its 4 genes.*Did you mean 'B'"),
        (WEIGHTS, ["A", ""], "empty name"),
        ({}, ["A", "B"], "No group"),
        ({"T": WEIGHTS.T}, ["A", "B"], "of group 'T'"),
    ],
)
def test_bad_matrices_are_refused(weights, regulators, message):
    with pytest.raises(InputError, match=message):
        GeneNetwork.from_matrix(weights, regulators, GENES)


def test_positions_instead_of_names_are_refused():
    with pytest.raises(TypeError, match=r"genes\[positions\]"):
        GeneNetwork.from_matrix(WEIGHTS, np.array([0, 1]), GENES)
    with pytest.raises(TypeError, match="single string"):
        GeneNetwork.from_matrix(WEIGHTS, "AB", GENES)


def test_constructor_wants_its_columns(small):
    with pytest.raises(InputError, match="from_edges"):
        GeneNetwork(small.edges.drop(columns="sign"), small.genes, small.regulators)


def test_evidence_stays_with_its_edges(small: GeneNetwork) -> None:
    table = small.edges.assign(
        confidence=np.linspace(1, 0, len(small)), pvalue=0.5, qvalue=np.linspace(0, 1, len(small))
    )
    whole = GeneNetwork.from_edges(table.sample(frac=1, random_state=0))
    assert list(whole.edges.columns) == ["source", "target", "weight", "sign", "confidence", "pvalue", "qvalue"]
    assert whole.edges["confidence"].is_monotonic_decreasing
    assert len(whole.significant(0.5)) == int((table["qvalue"] <= 0.5).sum())
    assert "confidence" in whole.top(1).edges
    assert "qvalue" in whole.per_target(1).edges
    grouped = GeneNetwork.from_edges(pd.concat([table.assign(group="a"), table.assign(group="b")]))
    assert list(grouped.of_group("a").edges.columns) == list(whole.edges.columns)
    assert list(grouped.ungrouped().edges.columns) == ["source", "target", "weight", "sign"]


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "much"])
def test_evidence_lies_between_0_and_1(value: object) -> None:
    with pytest.raises(InputError, match=r"'qvalue' are no numbers from 0 to 1"):
        GeneNetwork.from_edges(pd.DataFrame({"source": ["A"], "target": ["B"], "weight": [1.0], "qvalue": [value]}))


@pytest.mark.parametrize(("fdr", "words"), [(0, "above 0"), (1.5, "at most 1"), (True, "above 0"), (0.1, "q-values")])
def test_a_network_without_q_values_has_no_significant_edges(small: GeneNetwork, fdr: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        small.significant(fdr)
