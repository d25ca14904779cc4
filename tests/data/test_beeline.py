from __future__ import annotations

import logging

import numpy as np
import pytest

from grn._errors import InputError
from grn.data.beeline import beeline


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "GSD"
    made.mkdir()
    (made / "ExpressionData.csv").write_text(",E1_10,E2_20,E3_30,E4_40\nA,0.5,1,0,2\nB,1.5,0,0.25,1\nC,0,0,1,1\n")
    (made / "refNetwork.csv").write_text("Gene1,Gene2,Type\nA,B,+\nB,C,-\nA,A,+\nA,C,+\nA,C,-\nA,B,+\nC,Z,-\n")
    (made / "PseudoTime.csv").write_text(",PseudoTime1,PseudoTime2\nE1_10,0.1,0.2\nE3_30,,0.7\nE4_40,1,\n")
    return made


def test_reads_the_three_files(folder, caplog):
    with caplog.at_level(logging.INFO, logger="grn"):
        adata = beeline(folder)
    assert adata.obs_names.tolist() == ["E1_10", "E2_20", "E3_30", "E4_40"]
    assert adata.var_names.tolist() == ["A", "B", "C"]
    assert adata.X.dtype == np.float32
    np.testing.assert_allclose(adata.X, [[0.5, 1.5, 0], [1, 0, 0], [0, 0.25, 1], [2, 1, 1]])
    assert list(adata.uns["reference"].itertuples(index=False, name=None)) == [
        ("A", "B", 1),
        ("B", "C", -1),
        ("A", "C", 0),
        ("C", "Z", -1),
    ]
    assert adata.uns["reference"]["sign"].dtype == np.int8
    np.testing.assert_allclose(adata.obs["PseudoTime1"], [0.1, np.nan, np.nan, 1])
    np.testing.assert_allclose(adata.obs["PseudoTime2"], [0.2, np.nan, 0.7, np.nan])
    assert "1 self-loops left out; 1 edges are listed with both signs" in caplog.text
    assert "1 genes that are not in the expression, such as Z" in caplog.text
    assert "no row for 1 of 4 cells" in caplog.text


def test_survives_a_file(folder, tmp_path):
    from anndata import read_h5ad

    beeline(folder).write_h5ad(tmp_path / "set.h5ad")
    assert read_h5ad(tmp_path / "set.h5ad").uns["reference"]["sign"].tolist() == [1, -1, 0, -1]


def test_files_that_are_not_there_are_reported(folder, caplog):
    (folder / "refNetwork.csv").rename(folder / "refnetwork2.csv")
    (folder / "PseudoTime.csv").unlink()
    with caplog.at_level(logging.INFO, logger="grn"):
        adata = beeline(folder)
    assert "reference" not in adata.uns
    assert adata.obs.shape[1] == 0
    assert "holds no refNetwork.csv: no reference network. Did you mean 'refnetwork2.csv'" in caplog.text
    assert "holds no PseudoTime.csv: no pseudotime" in caplog.text


def test_names_of_the_files_can_be_given_or_left_out(folder):
    (folder / "refNetwork.csv").rename(folder / "mESC.csv")
    adata = beeline(folder, reference="mESC.csv", pseudotime=None)
    assert len(adata.uns["reference"]) == 4
    assert adata.obs.shape[1] == 0
    assert "reference" not in beeline(folder, reference=None).uns


def test_a_reference_without_types_has_signs_of_zero(folder):
    (folder / "refNetwork.csv").write_text("Gene1,Gene2\nA,B\nB,C\n")
    assert beeline(folder).uns["reference"]["sign"].tolist() == [0, 0]


def test_a_missing_folder_names_its_neighbour(folder):
    with pytest.raises(InputError, match=r"GSDD is not a folder; expected one that holds ExpressionData\.csv\..*'GSD'"):
        beeline(folder.parent / "GSDD")


def test_a_folder_without_expression_says_what_it_holds(folder):
    (folder / "ExpressionData.csv").rename(folder / "Expression-Data.csv")
    with pytest.raises(
        InputError, match=r"holds no ExpressionData\.csv; it holds Expression-Data\.csv, .*Did you mean"
    ):
        beeline(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ExpressionData.csv", "", "is no table"),
        ("ExpressionData.csv", ",c1,c2\nA,1,2\nB,1,2,3,4\n", "is no table"),
        ("ExpressionData.csv", ",c1,c2\nA,1,high\n", "column 'c2' holds text; expected numbers"),
        ("ExpressionData.csv", ",c1\n", "expected some|holds text"),
        ("ExpressionData.csv", ",c1,c2,c1\nA,1,2,3\n", "the header names 'c1' more than once"),
        ("ExpressionData.csv", ",c1,c2\nA,1,2\nA,1,2\n", "the first column names 'A' more than once"),
        (
            "ExpressionData.csv",
            ",A,B,C\nc1,1,2,3\nc2,1,2,3\n",
            "looks like cells x genes: .* transpose the file",
        ),
        ("refNetwork.csv", "From,To\nA,B\n", "lacks the column Gene1; it has From, To"),
        ("refNetwork.csv", "Gene1,Gene2,Type\nA,B,+\nB,C,up\n", "line 3: Type is 'up'; expected"),
        ("refNetwork.csv", "Gene1,Gene2,Type\nA,,+\n", "line 2: Gene2 is empty"),
        ("PseudoTime.csv", ",PseudoTime1\nE1_11,0.1\n", "1 cells are not in the expression, such as 'E1_11'"),
        (
            "PseudoTime.csv",
            ",PseudoTime1\nE1_10,0.1\nE1_10,0.2\n",
            "the first column names 'E1_10' more than once",
        ),
    ],
)
def test_tables_that_are_not_as_described_are_refused(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        beeline(folder)
