import gzip
import logging

import pandas as pd
import pytest

from grn._errors import InputError
from grn.evaluation import clean_reference, read_reference


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", "source,target,sign\nA,B,1\nB,NA,-1\n"),
        ("r.tsv", "Source\tTarget\tSign\nA\tB\t+\nB\tNA\t-\n"),
        ("r.csv", "Gene1,Gene2,Type\nA,B,+\nB,NA,-\n"),
        ("r.txt", "TF\ttarget\ttype\nA\tB\tActivation\nB\tNA\trepression\n"),
        ("r.csv", "index,source,target,sign,K\n0,A,B,1.0,3\n1,B,NA,-1.0,-2\n"),
    ],
)
def test_layouts(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    table = read_reference(tmp_path / name)
    assert table.to_numpy().tolist() == [["A", "B", 1], ["B", "NA", -1]]
    assert list(table) == ["source", "target", "sign"]


def test_signs_are_optional_and_files_may_be_compressed(tmp_path):
    with gzip.open(tmp_path / "r.csv.gz", "wt") as stream:
        stream.write("source,target\nA,B\n")
    assert read_reference(tmp_path / "r.csv.gz")["sign"].tolist() == [0]


def test_repeated_edges_become_one(caplog):
    table = pd.DataFrame({"source": list("AAABBC"), "target": list("BBCCCD"), "sign": ["+", "-", "1", "0", "-1", "-"]})
    with caplog.at_level(logging.INFO, logger="grn"):
        clean = clean_reference(table)
    assert clean.to_numpy().tolist() == [["A", "B", 0], ["A", "C", 1], ["B", "C", -1], ["C", "D", -1]]
    assert "1 edges of the reference have both signs" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from,to\nA,B\n", r"sed -i '1s/\.\*/source,target/'"),
        ("source,target,sign\nA,B,up\n", "the sign 'up' is not understood"),
        ("source,target\n", "there is no edge"),
        ("source,target\nA,\n", "empty source or target"),
        ("", "is empty"),
    ],
)
def test_bad_files_are_refused(text, message, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_reference(tmp_path / "r.csv")


def test_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "network.csv").write_text("source,target\nA,B\n")
    with pytest.raises(FileNotFoundError, match=r"Did you mean '.*network\.csv'"):
        read_reference(tmp_path / "netwrok.csv")
