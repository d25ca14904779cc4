"""Text tables as other programs write them: one table, many letters, separators and lines before the header."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grn._errors import InputError
from grn._memory import free_memory, require_memory
from grn._tables import layout_of, read_text_table, warn_of_formulas, write_frame
from grn.data import read_expression
from grn.evaluation.reference import read_reference
from grn.network import GeneNetwork
from grn.prior import read_prior

ROWS = [["Gata1", "Klf1", "1"], ["NA", "Spi1", "-1"], ["MARCH1", "None", "0"]]
EXPECTED = pd.DataFrame(ROWS, columns=["source", "target", "sign"])


def lines(separator: str, header: str | None = None, quoted: bool = False, end: str = "\n") -> str:
    rows = [[f'"{field}"' for field in row] if quoted else row for row in ROWS]
    first = separator.join(EXPECTED.columns) if header is None else header
    return end.join([first, *(separator.join(row) for row in rows)]) + end


CASES = {
    "commas": lines(","),
    "tabs": lines("\t"),
    "semicolons": lines(";"),
    "blanks": lines("  "),
    "quotes": lines(",", quoted=True),
    "blanks and quotes": lines(" ", '"source" "target" "sign"', quoted=True),
    "line ends of Windows": lines(",", end="\r\n"),
    "blanks in the header": lines(",", " source , target ,sign "),
    "capitals": lines(",", "Source,TARGET,Sign"),
    "sep": "sep=;\n" + lines(";"),
    "sep in quotes": '"sep=,"\r\n' + lines(",", end="\r\n"),
    "comments": "# made by a program\n#version, 3\n" + lines(","),
    "empty lines": "\n\n" + lines("\t"),
    "header with a hash": lines("\t", "target\tsource\tsign").replace("target\tsource", "source\ttarget"),
    "no last line end": lines(",").rstrip("\n"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("case", CASES)
def test_one_table_however_it_is_written(case: str, encoding: str, packed: bool, tmp_path: Path) -> None:
    content = CASES[case].encode(encoding)
    path = tmp_path / ("network.csv.gz" if packed else "network.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_reference(path)
    assert found[["source", "target"]].to_numpy().tolist() == [row[:2] for row in ROWS]
    assert found["sign"].tolist() == [1, -1, 0]


def test_the_numbers_of_the_rows_are_no_column_of_ours(tmp_path: Path) -> None:
    for number, text in enumerate((lines(",", ",source,target,sign"), lines(","))):
        rows = text.splitlines()
        numbered = [rows[0], *(f"{place},{row}" for place, row in enumerate(rows[1:]))]
        (tmp_path / f"{number}.csv").write_text("\n".join(numbered))
        assert read_reference(tmp_path / f"{number}.csv")["source"].tolist() == [row[0] for row in ROWS]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"My network, version 2\n" + lines("\t").encode(), r"line 1 is no header but a title .*tail -n \+2 "),
        (b"Title\nsource,target\nA,B\n", r"line 1 is no header but a title \('Title'\).*tail -n \+2 "),
        (b"Gata1,Klf1,0.5\nSpi1,Klf1,0.2\n", r"sed -i '1i source,target,sign' "),
        (b"Gata1\tKlf1\nSpi1\tKlf1\n", r"sed -i '1i source\\ttarget' "),
        (lines(",").replace("Gata1", "Jos\xe9").encode("latin1"), "byte 0xe9.*iconv -f latin1 -t utf-8"),
        (b"source,target\nA,B\nC,D,E\n", "no table of edges, or is cut off"),
        (b"PK\x03\x04....", "zip archive, as .xlsx"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 file"),
        (b"source\nA\n", "one column only"),
        (b"\n\n", "is empty"),
        (b"sep=;\n", "has one line"),
    ],
)
def test_what_is_no_table_is_told_apart(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_reference(tmp_path / "x.csv")


EXPRESSION = pd.DataFrame(
    [[0.0, 1.5, 2.0], [3.0, 0.0, 0.25]], index=["liver, rep 1", "NA"], columns=["Gata1", "5S", "a;b"]
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("before", ["", "sep={}\n", "# counts of July\n"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("quoting", [0, 2])  # of the csv module: where needed; all that is no number, as in R
@pytest.mark.parametrize("corner", ["cell", "", None])
def test_expression_however_it_is_written(
    separator: str, before: str, encoding: str, quoting: int, corner: str | None, tmp_path: Path
) -> None:
    text = EXPRESSION.to_csv(sep=separator, quoting=quoting, index_label="cell")
    written = {0: "cell", 2: '"cell"'}[quoting]
    text = text.removeprefix(written)
    text = text.removeprefix(separator) if corner is None else written.replace("cell", corner) + text
    (tmp_path / "x.txt").write_text(before.format(separator) + text, encoding=encoding)
    found = read_expression(tmp_path / "x.txt")
    assert found.obs_names.tolist() == EXPRESSION.index.tolist()
    assert found.var_names.tolist() == EXPRESSION.columns.tolist()
    assert found.to_df().to_numpy().tolist() == EXPRESSION.to_numpy().tolist()


def test_genes_in_rows_as_r_writes_them(tmp_path: Path) -> None:
    EXPRESSION.T.to_csv(tmp_path / "x.csv", quoting=2)
    found = read_expression(tmp_path / "x.csv", transpose=True)
    assert found.obs_names.tolist() == EXPRESSION.index.tolist()
    assert found.var_names.tolist() == EXPRESSION.columns.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell;A;B\nc1;1,5;2,5\nc2;1;2,5\n", r"decimal commas \('1,5' for A\).*sed 's/,/\./g'"),
        ("a,b\nc1,x,1,2\nc2,y,1,2\n", "line 1 has 2 fields and the lines below have 4"),
        ("Counts of July\ncell,A,B\nc1,1,2\n", r"title \('Counts of July'\).*header .* is line 2"),
    ],
)
def test_expression_that_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_expression(tmp_path / "x.csv")


def test_what_looks_like_annotation_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.csv").write_text("gene,Length,c1,c2\nA,1200,1,0\nB,900,2,3\n")
    with caplog.at_level(logging.WARNING, logger="grn"):
        read_expression(tmp_path / "x.csv", transpose=True)
    assert "(Length) in the header of x.csv looks like annotation" in caplog.text


def test_blanks_around_names_of_genes_are_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.csv").write_text("cell, Gata1,Klf1 \nc1,1,0\nc2,2,3\n")
    with caplog.at_level(logging.INFO, logger="grn"):
        assert read_expression(tmp_path / "x.csv").var_names.tolist() == ["Gata1", "Klf1"]
    assert "blanks around 2 names" in caplog.text


def test_a_packed_file_may_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of a bomb: 64 MiB of blanks in 64 KiB, on a machine with 8 MiB."""
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(b"source,target\n")
        for _ in range(64):
            stream.write(b" " * (1 << 20))
    monkeypatch.setattr("grn._tables.free_memory", lambda: 8 << 20)
    for read in (read_reference, read_expression, GeneNetwork.read):
        with pytest.raises(InputError, match=r"unpacks to more than the 8\.0 MiB of memory that are free"):
            read(path)


def test_what_is_free_is_known() -> None:
    free = free_memory()
    if free is None:
        pytest.skip("this system does not tell how much memory is free")
    require_memory(free // 2, "This", "Nothing.")
    with pytest.raises(InputError, match=r"This needs .* of memory, and .* are free\. Wait\."):
        require_memory(2 * free, "This", "Wait.")


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("=HYPERLINK(1)", True),
        ("+cmd|' /C calc'!A0", True),
        ("@SUM(A1)", True),
        ("-2+3", True),
        ("-", False),
        ("-1e-05", False),
        ("HLA-A", False),
        ("+1", False),
    ],
)
def test_formulas_are_named_and_written_as_they_are(
    text: str, formula: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = GeneNetwork.from_edges(pd.DataFrame({"source": [text], "target": ["B"], "weight": [0.5]}))
    with caplog.at_level(logging.WARNING, logger="grn"):
        network.write(tmp_path / "n.tsv")
        write_frame(pd.DataFrame({"gene": [text], "score": [1.0]}), tmp_path / "t.csv")
    assert caplog.text.count("a spreadsheet takes them for formulas") == 2 * formula
    assert GeneNetwork.read(tmp_path / "n.tsv").edges["source"].tolist() == [text]
    assert pd.read_csv(tmp_path / "t.csv", dtype=str)["gene"].tolist() == [text]


def test_numbers_of_a_table_are_no_formulas(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="grn"):
        warn_of_formulas({"-1", "+0.5", "-inf", "-1E+3", "", "="}, tmp_path / "x.tsv")
    assert not caplog.text


@given(
    st.lists(
        st.lists(st.text(st.characters(blacklist_characters='"\r\n\x00', blacklist_categories=("Cs",)), min_size=1).map(
            lambda text: f"x{text}x"), min_size=2, max_size=2),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_any_names_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("names") / "x.tsv"
    write_frame(pd.DataFrame(rows, columns=["source", "target"]), path, "\t")
    found = read_text_table(path, "the table", ["source"], ["source", "target"])
    assert found.to_numpy().tolist() == rows
    assert layout_of(path, "the table", likely="\t").separator == "\t"


def test_parquet_of_more_rows_than_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"source": ["A"] * 100_000, "target": ["B"] * 100_000, "weight": 1.0})
    table.to_parquet(tmp_path / "n.parquet", index=False)
    assert (tmp_path / "n.parquet").stat().st_size < 10_000
    monkeypatch.setattr("grn._memory.free_memory", lambda: 1_000_000)
    for read in (GeneNetwork.read, read_prior):
        with pytest.raises(InputError, match=r"by its header 100,000 rows x 3 columns, needs 2\.3 MiB of memory"):
            read(tmp_path / "n.parquet")


FEW_CELLS = "cell,Gata1,Klf1\nc1,1,2\nc2,3,0\n"


def test_utf_16_without_a_mark_is_named_and_utf_32_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FEW_CELLS.encode("utf-16-le"))
    with pytest.raises(InputError, match=r"holds null characters.*iconv -f utf-16le -t utf-8 .*a\.csv > .*utf8_a\.csv"):
        read_expression(path)
    path.write_bytes(FEW_CELLS.encode("utf-32"))
    assert read_expression(path).var_names.tolist() == ["Gata1", "Klf1"]


def test_annotation_between_the_numbers_gets_its_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("# Program:featureCounts\nGeneid\tChr\tLength\tc1\tc2\tStrand\tc3\nGata1\tchr1\t900\t1\t2\t+\t3\n")
    with pytest.raises(InputError, match=r"cut -f1,4-5,7 .*counts\.txt > .*numbers_counts\.txt"):
        read_expression(path, transpose=True)
    path.write_text("cell;Gata1;kind\nc1;1;T\n")
    with pytest.raises(InputError, match=r"cut -d';' -f1-2 |cut -d';' -f1,2 "):
        read_expression(path)
    path.write_text("cell kind\nc1 T\n")
    with pytest.raises(InputError, match=r"keep annotation in a file of its own"):
        read_expression(path)


def test_lines_that_end_with_a_separator(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(FEW_CELLS.replace("\n", ",\n"))
    assert read_expression(path).var_names.tolist() == ["Gata1", "Klf1"]
    path.write_text("cell,Gata1,\nc1,1,2\n")
    with pytest.raises(InputError, match="has no name in the header, but values"):
        read_expression(path)


def test_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('cell,Gata1,Klf1\nc1,"1,200","12,345,678"\nc2,"3,000",7\n')
    with pytest.raises(InputError, match="sets thousands apart with commas"):
        read_expression(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("cell;Gata1;Klf1\nc1;1,2;0,5\nc2;3,0;7\n")
    with pytest.raises(InputError, match="has decimal commas"):
        read_expression(tmp_path / "a.csv")
