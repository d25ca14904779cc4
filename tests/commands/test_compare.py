"""`grn compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grn.analysis import compare
from grn.network import GeneNetwork


@pytest.fixture
def files(tmp_path: Path) -> None:
    genes = [f"G{number}" for number in range(10)]
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        GeneNetwork.from_matrix(generator.normal(size=(3, 10)), genes[:3], genes).write(tmp_path / f"{name}.parquet")
    weights = {"B/x": generator.normal(size=(3, 10)), "T": generator.normal(size=(3, 10))}
    GeneNetwork.from_matrix(weights, genes[:3], genes).write(tmp_path / "grouped.parquet")


@pytest.mark.usefixtures("files")
def test_shows_and_writes_the_python_result(grn_command: Callable, tmp_path: Path) -> None:
    done = grn_command("compare", "network=one.parquet", "other=two.parquet", "top=[5,10]", "output=new/c.json")
    assert done.code == 0, done.err
    expected = compare(*(GeneNetwork.read(tmp_path / f"{name}.parquet") for name in ("one", "two")), top=[5, 10])
    assert json.loads((tmp_path / "new" / "c.json").read_text()) == expected.to_dict()
    assert "one.parquet and two.parquet" in done.out
    assert f"{expected.summary['spearman_signed'].item():.3g}" in done.out
    assert f"{expected.overlap['jaccard'].iloc[1]:.3g}" in done.out
    assert f"{expected.differences['difference'].iloc[0]:.3g}" in done.out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t")])
def test_writes_the_differences(grn_command: Callable, tmp_path: Path, ending: str, separator: str) -> None:
    given = ("network=one.parquet", "other=two.parquet", "top=3", "differences=4", f"output=d.{ending}")
    assert grn_command("compare", *given).code == 0
    table = pd.read_csv(tmp_path / f"d.{ending}", sep=separator)
    assert len(table) == 4
    assert list(table)[:4] == ["source", "target", "weight_a", "weight_b"]


@pytest.mark.usefixtures("files")
def test_groups(grn_command: Callable, tmp_path: Path) -> None:
    done = grn_command("compare", "network=grouped.parquet", "group=B/x", "other_group=T", "top=5")
    assert done.code == 0, done.err
    assert "grouped.parquet (B/x) and grouped.parquet (T)" in done.out
    done = grn_command("compare", "network=grouped.parquet", "other=grouped.parquet", "top=5", "output=c.json")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "c.json").read_text())["summary"]
    assert [row["group"] for row in rows] == ["B/x", "T"]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "network must be given"),
        (["network=one.parquet"], "Give other=..., another network, or group=... and other_group=..."),
        (["network=on.parquet", "other=two.parquet"], "Did you mean 'one.parquet'"),
        (["network=one.parquet", "other=two.parquet", "top=0"], "top"),
        (["network=one.parquet", "other=two.parquet", "top=[]"], "top is empty"),
        (["network=one.parquet", "other=two.parquet", "top=many"], "does not fit"),
        (["network=one.parquet", "other=two.parquet", "output=c.xlsx"], "must end in .json, .csv or .tsv"),
        (["network=one.parquet", "other=grouped.parquet"], "give other_group=..., one of 'B/x', 'T'"),
    ],
)
def test_refuses(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("compare", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grouped.parquet", "one.parquet", "two.parquet"]
