"""Tables of prior knowledge in the spellings of the field."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from grn._errors import InputError
from grn.prior import clean_prior, read_prior

ROWS = "A,B,-1,0.5\nB,C,1,2\nNA,C,1,1\n"


@pytest.mark.parametrize(
    "header", ["source,target,sign,weight", "TF,Target,MOR,Weight", "regulator,gene,mor,likelihood"]
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "tsv.gz", "parquet"])
def test_spellings_and_formats(tmp_path: Path, header: str, ending: str) -> None:
    lines = [line.split(",") for line in ROWS.splitlines()]
    table = pd.DataFrame(lines, columns=header.split(","))
    path = tmp_path / f"prior.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if "tsv" in ending else ",", index=False)
    found = read_prior(path)
    assert found.to_numpy().tolist() == [["A", "B", -1, 0.5], ["B", "C", 1, 2.0], ["NA", "C", 1, 1.0]]
    assert list(found.columns) == ["source", "target", "sign", "weight"]


def edge(**columns: object) -> pd.DataFrame:
    return clean_prior(pd.DataFrame({"source": ["A", "B"], "target": ["B", "C"], **columns}))


def test_signs_come_from_words_numbers_or_negative_weights() -> None:
    assert edge(sign=["activation", "-"])["sign"].tolist() == [1, -1]
    assert edge(mor=[0.3, -0.2])["sign"].tolist() == [1, -1]
    assert edge(sign=["", "?"])["sign"].tolist() == [0, 0]
    assert edge(weight=[1.0, -0.5])["sign"].tolist() == [1, -1]
    assert edge(weight=[1.0, -0.5])["weight"].tolist() == [1.0, 0.5]
    # Weights without a negative one are confidences.
    assert edge(weight=[1.0, 0.5])["sign"].tolist() == [0, 0]
    assert edge()["weight"].tolist() == [1.0, 1.0]


def test_rows_of_one_edge_stay_and_rows_of_weight_zero_go() -> None:
    twice = pd.DataFrame({"source": ["A", "A", "B"], "target": ["B", "B", "C"], "weight": [1, 1, 0]})
    assert len(clean_prior(twice)) == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sign": ["up", "-"]}, "the sign 'up' is not understood"),
        ({"weight": ["x", "1"]}, "the weight 'x' is not a finite number"),
        ({"weight": [float("inf"), 1.0]}, "not a finite number"),
        ({"weight": [-1.0, 1.0], "sign": [1, 1]}, "a negative weight stands beside a sign"),
        ({"weight": [0.0, 0.0]}, "there is no edge"),
    ],
)
def test_values_that_are_refused(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        edge(**columns)


def test_missing_columns_and_names() -> None:
    with pytest.raises(TypeError, match=r"must be a table \(pandas DataFrame\) or the path of one, not dict"):
        clean_prior({"source": ["A"]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"no column for target among 'tf', 'x'; expected source \(or tf"):
        clean_prior(pd.DataFrame({"tf": ["A"], "x": ["B"]}))
    with pytest.raises(InputError, match="an edge has an empty source or target"):
        clean_prior(pd.DataFrame({"tf": ["A"], "target": [""]}))


def test_files_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "regulons.csv").write_text("source,target\nA,B\n")
    with pytest.raises(InputError, match=r"no file of prior knowledge .*Beside it: regulons.csv"):
        read_prior(tmp_path / "regulon.csv")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "text.parquet").write_text("no parquet")
    refused = r"is no table of prior knowledge: it is empty|[Tt]able of prior knowledge .* cannot be read"
    for name in ("empty.csv", "text.parquet"):
        with pytest.raises(InputError, match=refused):
            read_prior(tmp_path / name)
