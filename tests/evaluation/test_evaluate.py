import logging
import math

import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.evaluation import evaluate, evaluate_matrix
from grn.network import GeneNetwork

REFERENCE = pd.DataFrame(
    {
        "source": ["A", "A", "B", "B", "A", "Z"],
        "target": ["B", "C", "C", "B", "Q", "A"],
        "sign": [1, -1, 1, 1, 1, 1],
    }
)
EDGES = pd.DataFrame(
    {
        "source": ["A", "B", "A", "B", "C"],
        "target": ["B", "A", "C", "D", "A"],
        "weight": [0.9, -0.8, -0.5, 0.1, 5.0],
    }
)


def test_by_hand():
    result = evaluate(EDGES, REFERENCE)
    # Regulators A and B (Z is not in the data), genes A to D: 6 candidates; A-B, A-C and B-C are true.
    assert result["candidates"] == 6
    assert result["edges"] == 3
    assert result["regulators"] == 2
    assert result["targets"] == 4
    assert result["density"] == 0.5
    assert result["reference_edges"] == 5  # without the self-loop
    assert result["weighted"] == 4
    # Order: A-B true, B-A, A-C true, B-D, then B-C true and A-D with 0: a tie of two.
    expected = (1 / 1 + 2 / 3 + 3 / 6) / 3
    assert result["auprc"] == pytest.approx(expected)
    assert result["auprc_ratio"] == pytest.approx(expected / 0.5)
    assert result["auroc"] == pytest.approx((3 + 2 + 0.5) / 9)
    assert result["epr"] == pytest.approx((2 / 3) / 0.5)
    # Activation, k = 2: A-B, B-D by +weight, one is true. Repression, k = 1: B-A is the best by -weight.
    assert result["activation_epr"] == pytest.approx((1 / 2) / (2 / 6))
    assert result["repression_epr"] == 0
    assert result["signed_epr"] == pytest.approx((2 * 1.5 + 1 * 0) / 3)
    assert result["sign_accuracy"] == 1
    assert result["sign_majority"] == 0.5
    # B-C has no weight: 0 lies above A-C's -0.5, as A-B's 0.9 does.
    assert result["sign_auroc"] == 1
    # The means over regulators are 0.8 for A, 0.9 for B, 0.25 for C, 0.05 for D: A-B and B-A are then 1, A-C 2, B-D 2.
    assert result["auprc_ratio_levelled"] == pytest.approx((1 / 2 + 2 / 4 + 3 / 6) / 3 / 0.5)
    assert result["signed_edges"] == 2


def test_a_matrix_is_judged_as_its_table():
    weights = GeneNetwork.from_edges(EDGES).matrix()
    for candidates in ("all_genes", "reference_genes"):
        found = evaluate_matrix(weights.to_numpy(), weights.index, weights.columns, REFERENCE, candidates=candidates)
        assert found == pytest.approx(evaluate(EDGES, REFERENCE, candidates=candidates), nan_ok=True)
    # Rows in another order, and without B: its candidates have no weight.
    found = evaluate_matrix(
        weights.loc[["C", "A"]].to_numpy(), pd.Index(["C", "A"]), weights.columns, REFERENCE, candidates="all_genes"
    )
    expected = evaluate(EDGES[EDGES["source"] != "B"], REFERENCE, genes=weights.columns)
    assert found == pytest.approx(expected, nan_ok=True)
    with pytest.raises(InputError, match=r"shape \(2, 4\); expected \(regulators, genes\) = \(3, 4\)"):
        evaluate_matrix(weights.to_numpy()[:2], weights.index, weights.columns, REFERENCE)


def test_candidates_decide():
    result = evaluate(EDGES, REFERENCE, candidates="reference_genes")
    assert result["candidates"] == 4
    assert result["targets"] == 3
    assert evaluate(EDGES, REFERENCE, genes=list("ABCDEFG"))["candidates"] == 12


def test_network_table_and_file_agree(tmp_path):
    REFERENCE.to_csv(tmp_path / "r.csv", index=False)
    network = GeneNetwork.from_edges(EDGES)
    expected = evaluate(EDGES, REFERENCE)
    for edges, reference in [(network, REFERENCE), (network, tmp_path / "r.csv"), (EDGES[::-1], REFERENCE)]:
        assert evaluate(edges, reference) == pytest.approx(expected, nan_ok=True)


def test_genes_of_a_network_count_without_edges():
    network = GeneNetwork.from_edges(EDGES, genes=list("ABCDE")).top(1)
    assert evaluate(network, REFERENCE)["candidates"] == 8


def test_groups_are_averaged(caplog):
    weights = GeneNetwork.from_edges(EDGES).matrix()
    network = GeneNetwork.from_matrix({"x": weights, "y": 3 * weights}, weights.index, weights.columns)
    with caplog.at_level(logging.INFO, logger="grn"):
        assert evaluate(network, REFERENCE) == pytest.approx(evaluate(EDGES, REFERENCE), nan_ok=True)
    assert "mean over the groups x, y" in caplog.text


def test_without_signs():
    result = evaluate(EDGES, REFERENCE[["source", "target"]])
    for name in ("signed_epr", "activation_epr", "repression_epr", "sign_accuracy", "sign_majority", "sign_auroc"):
        assert math.isnan(result[name])
    assert result["auprc"] == evaluate(EDGES, REFERENCE)["auprc"]


def test_perfect_network():
    rng = np.random.default_rng(0)
    genes = [f"g{i}" for i in range(30)]
    weights = np.where(rng.random((5, 30)) < 0.2, rng.choice([-1.0, 1.0], (5, 30)), 0)
    network = GeneNetwork.from_matrix(weights, genes[:5], genes)
    result = evaluate(network, network.edges)
    assert result["auprc"] == result["auroc"] == result["auroc_by_target"] == result["sign_accuracy"] == 1
    assert result["epr"] == pytest.approx(1 / result["density"])


def test_refusals():
    with pytest.raises(InputError, match="None of the reference's 2 regulators"):
        evaluate(EDGES, pd.DataFrame({"source": ["X", "Y"], "target": ["A", "B"]}))
    with pytest.raises(InputError, match="None of the reference's 1 edges has both ends"):
        evaluate(EDGES, pd.DataFrame({"source": ["A"], "target": ["X"]}))
    with pytest.raises(InputError, match="Did you mean 'all_genes'"):
        evaluate(EDGES, REFERENCE, candidates="all-gene")
    with pytest.raises(TypeError, match="got a list"):
        evaluate([1], REFERENCE)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "ratio", "tolerance"),
    [
        ("sergio-DS1", 2.74, 0.01),
        ("beeline-dyn-LI", 2.39, 0.01),
        ("dream4-100", 4.44, 0.01),
        ("beeline-GSD", 1.32, 0.01),
    ],
)
def test_pearson_reaches_the_published_ratio(shared_data, name, ratio, tolerance):
    import anndata

    folder = shared_data / name
    adata = anndata.read_h5ad(folder / "expression.h5ad")
    x = adata.layers.get("counts", adata.X)
    x = np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64)
    if "counts" in adata.layers:
        x = np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4)
    tfs = (folder / "tfs.txt").read_text().split()
    matrix = pd.DataFrame(np.corrcoef(x.T), index=adata.var_names, columns=adata.var_names).loc[tfs]
    network = GeneNetwork.from_matrix(matrix.to_numpy(), tfs, adata.var_names)
    assert evaluate(network, folder / "network.csv")["auprc_ratio"] == pytest.approx(ratio, abs=tolerance)
