from __future__ import annotations

import pandas as pd
import pytest

from grn.data.identifiers import column_with, duplicates, examples, identify, look_like_barcodes, mismatch


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["GATA1", "SPI1", "HLA-DRA", "C1orf43"], ("symbols", "human")),
        (["Gata1", "Spi1", "H2-Aa", "1700009N14Rik"], ("symbols", "mouse")),
        (["ENSG00000102145", "ENSG00000066336.12"], ("Ensembl", "human")),
        (["ENSMUSG00000031162", "ENSMUSG00000002111"], ("Ensembl", "mouse")),
        (["ENSDARG00000013477", "ENSDARG00000000001"], ("Ensembl", "unknown")),
        ([f"G{number}" for number in range(30)], ("other", "unknown")),
        (["g1", "g6", "g4"], ("other", "unknown")),
        (["5578", "23", "1911"], ("other", "unknown")),
        (["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCGC-1"], ("other", "unknown")),
        ([], ("other", "unknown")),
    ],
)
def test_identify(names: list[str], expected: tuple[str, str]) -> None:
    assert identify(names) == expected


def test_barcodes() -> None:
    assert look_like_barcodes(["AAACCTGAGAAACCAT-1", "sample1_AAACCTGAGAAACCGC"])
    assert not look_like_barcodes(["GATA1", "ACTB"])


def test_column_with_takes_the_best_column() -> None:
    var = pd.DataFrame({"chr": ["X", "11"], "n": [1, 2], "gene_name": pd.Categorical(["GATA1", "SPI1"])})
    assert column_with(["GATA1", "SPI1"], var) == ("gene_name", 2)
    assert column_with(["KLF1"], var) is None


def test_mismatch_of_letter_case_names_the_other_list() -> None:
    hint = mismatch(["GATA1", "SPI1"], pd.Index(["Gata1", "Spi1"]), other_lists={"mouse": ["Gata1", "Spi1"]})
    assert hint == "Letter case suggests mouse: 2 would match if letter case were ignored. Try tf=mouse."


def test_mismatch_of_letter_case_of_names_given() -> None:
    assert "such as 'Spi1'" in mismatch(["SPI1", "GATA1"], pd.Index(["Actb", "Spi1"]))
    assert mismatch(["SPI1", "GATA1"], pd.Index(["ACTB", "SPI1"])) == ""


def test_mismatch_of_ensembl_without_symbols() -> None:
    hint = mismatch(["GATA1"], pd.Index(["ENSG00000102145", "ENSG00000066336"]), var=pd.DataFrame())
    assert "Ensembl identifiers (ENSG00000102145)" in hint


def test_mismatch_of_a_transposed_table() -> None:
    cells = pd.Index(["GATA1", "SPI1"])
    assert "adata.T" in mismatch(["GATA1", "SPI1"], pd.Index(["c1", "c2"]), cells=cells)


def test_words() -> None:
    assert examples("abcde") == "a, b, c and 2 more"
    assert examples("ab") == "a, b"
    assert list(duplicates(pd.Index(["b", "a", "b", "b"]))) == ["b"]
