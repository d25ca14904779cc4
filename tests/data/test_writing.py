"""Whatever an AnnData holds, it can be written; what changes its form is said."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.data.writing import announce, write_h5ad

N = 40
COLUMNS: dict[str, tuple[Any, str | None]] = {
    "nullable text": (pd.array(["a", None] * 20, dtype="string"), None),
    "text of pandas 3": (pd.array(["a", None] * 20, dtype=pd.StringDtype("pyarrow", na_value=np.nan)), None),
    "text with gaps": (np.array(["a", None] * 20, dtype=object), None),
    "truth with gaps": (np.array([True, None] * 20, dtype=object), None),
    "several types": (np.array(["a", 1] * 20, dtype=object), "(int, str) is written as text"),
    "lists": (pd.Series([[1]] * N, dtype=object).array, "(list) is written as text"),
    "dates": (pd.date_range("2020-01-01", periods=N).array, "(datetime64[ns]) is written as text"),
    "bins": (pd.cut(np.arange(N), 3), "(category) is written as text"),
    "mixed categories": (pd.Categorical([1, "a"] * 20), "(category) is written as text"),
    "equal as text": (pd.Categorical([1, "1"] * 20), "(category) is written as text"),
    "nullable numbers": (pd.array([1.5, None] * 20, dtype="Float64"), "(Float64) is written as float64"),
    "sparse": (pd.arrays.SparseArray(np.arange(N)), "is written as float64"),
    "null characters": (np.array(["a\0b", "c"] * 20, dtype=object), "is written without its null characters"),
    "_index": (np.arange(N), "the column '_index' of obs is called 'index_'"),
}


def written(adata: anndata.AnnData, path: Path) -> anndata.AnnData:
    write_h5ad(adata, path / "a.h5ad")
    return anndata.read_h5ad(path / "a.h5ad")


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_can_be_written(
    name: str, counts: anndata.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values, said = COLUMNS[name]
    counts.obs[name] = values
    before = counts.obs.copy()
    with caplog.at_level(logging.WARNING, logger="grn"):
        back = written(counts, tmp_path).obs
    assert (said or "") in caplog.text
    assert bool(caplog.text) == (said is not None)
    column = back["index_" if name == "_index" else name]
    given = before[name]
    assert column.isna().tolist() == given.isna().tolist()
    kept = given.notna().to_numpy()
    if name == "null characters":
        assert column.tolist() == ["ab", "c"] * 20
        return
    if said is None or "text" in said:
        assert column[kept].astype(str).tolist() == given[kept].astype(str).tolist()
    else:
        np.testing.assert_array_equal(column[kept].to_numpy(float), given[kept].to_numpy(float))
    pd.testing.assert_frame_equal(counts.obs, before)  # what the user holds is left alone


UNS: dict[str, tuple[Any, Any]] = {
    "tuple": ((1, 2), [1, 2]),
    "set": ({"b", "a"}, ["a", "b"]),
    "range": (range(3), [0, 1, 2]),
    "series": (pd.Series(["a", "b"], dtype="string"), ["a", "b"]),
    "none in a list": (["a", None], '["a", null]'),
    "ragged": ([[1], [1, 2]], "[[1], [1, 2]]"),
    "dictionaries": ([{"a": 1}], '[{"a": 1}]'),
    "date": (datetime.date(2020, 1, 1), "2020-01-01"),
    "path": (Path("a/b"), "a/b"),
    "bytes": (b"ab", "ab"),
    "function": (print, None),
}


@pytest.mark.parametrize("name", UNS)
def test_every_value_of_uns_can_be_written(name: str, counts: anndata.AnnData, tmp_path: Path) -> None:
    value, expected = UNS[name]
    counts.uns["deep"] = {"a/b": {name: value}, 3: "three"}
    back = written(counts, tmp_path).uns["deep"]
    assert back["3"] == "three"
    found = back["a_b"].get(name)
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected


def test_names_and_tables_everywhere(counts: anndata.AnnData, tmp_path: Path) -> None:
    text = pd.array(["a", None] * 6, dtype="string")
    counts.var["note"] = text
    counts.raw = counts.copy()
    counts.obs_names = pd.Index(pd.array(counts.obs_names, dtype="string"))
    counts.var_names = pd.Index(pd.array(counts.var_names, dtype="string"))
    counts.obs.index.name = "n_genes"  # of a column with other values
    counts.obsm["scores"] = pd.DataFrame({"NKX2/5": np.arange(N), "_index": 1}, index=counts.obs_names)
    counts.uns["table"] = pd.DataFrame({"a": text})
    counts.varp["x"] = np.eye(12)
    back = written(counts, tmp_path)
    assert back.obs_names.tolist() == counts.obs_names.tolist()
    assert back.raw.var["note"].isna().sum() == back.var["note"].isna().sum() == 6
    assert back.obsm["scores"].iloc[:, 0].tolist() == list(range(N))
    assert back.uns["table"]["a"].iloc[0] == "a"
    np.testing.assert_array_equal(back.X.toarray(), counts.X.toarray())
    np.testing.assert_array_equal(back.raw.X.toarray(), counts.X.toarray())


def test_names_that_would_become_one_are_refused_before_the_work(counts: anndata.AnnData) -> None:
    counts.obs["1"], counts.obs[1] = 1, 2
    with pytest.raises(InputError, match=r"obs has two columns that would both be called '1'"):
        announce(counts)
    del counts.obs["1"], counts.obs[1]
    counts.uns |= {"a/b": 1, "a_b": 2}
    with pytest.raises(InputError, match=r"uns has two keys that would both be called 'a_b'"):
        announce(counts)


def test_a_null_character_in_a_name_is_refused_before_the_work(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.obs_names = ["a\0b", *counts.obs_names[1:]]
    with pytest.raises(InputError, match=r"1 names of obs hold a null character, such as 'a\\x00b'"):
        announce(counts)


def test_what_was_announced_is_not_said_again(
    counts: anndata.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts.obs["x"] = np.array(["a", 1] * 20, dtype=object)
    with caplog.at_level(logging.WARNING, logger="grn"):
        known = announce(counts)
        assert len(caplog.records) == 1
        counts.uns["later"] = print
        write_h5ad(counts, tmp_path / "a.h5ad", known=known)
    assert [record.getMessage().count("obs['x']") for record in caplog.records] == [1, 0]
    assert "uns['later'] (builtin_function_or_method) is left out" in caplog.text


def test_data_on_disk(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "b.h5ad")
    backed = anndata.read_h5ad(tmp_path / "b.h5ad", backed="r")
    backed.obs["x"] = np.array(["a", 1] * 20, dtype=object)
    assert len(announce(backed)) == 1
    np.testing.assert_array_equal(written(backed, tmp_path).X.toarray(), counts.X.toarray())
    backed.file.close()
