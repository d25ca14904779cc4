from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.data.groups import group_name, read_groups


def test_categories_keep_their_order_without_empty_ones(counts: anndata.AnnData) -> None:
    groups = read_groups(counts.obs, "cell_type")
    assert list(groups.categories) == ["T", "B"]
    assert list(groups[:2]) == ["B", "T"]


def test_numbers_become_text_in_the_order_of_numbers(counts: anndata.AnnData) -> None:
    groups = read_groups(counts.obs, "leiden")
    assert list(groups.categories) == ["0", "1", "2", "10"]
    assert groups[0] == "10"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 10.0], ["1", "2", "10"]),
        (["2", "10", "1"], ["1", "2", "10"]),
        ([True, False, True], ["False", "True"]),
        (["CD4/CD8", "B", "B"], ["B", "CD4/CD8"]),
        (pd.Categorical([2, 10, 2]), ["2", "10"]),
        (pd.array([1, 2, 2], dtype="Int64"), ["1", "2"]),
    ],
)
def test_kinds_of_columns(values: object, expected: list[str]) -> None:
    groups = read_groups(pd.DataFrame({"g": values}), "g")
    assert list(groups.categories) == expected
    assert (groups.codes >= 0).all()


def test_an_unknown_column_names_near_misses_and_grouping_columns(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"no column 'celltype'. Did you mean 'cell_type'\? .* cell_type, leiden"):
        read_groups(counts.obs, "celltype")


def test_cells_without_a_group_are_refused(counts: anndata.AnnData) -> None:
    counts.obs.loc[counts.obs_names[:3], "cell_type"] = np.nan
    with pytest.raises(InputError, match=r"3 of 40 cells have no group .*notna\(\)"):
        read_groups(counts.obs, "cell_type")


def test_measurements_and_names_of_cells_are_refused(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"holds fractions .* not groups"):
        read_groups(counts.obs, "n_genes")
    counts.obs["barcode"] = counts.obs_names
    with pytest.raises(InputError, match=r"40 different values in 40 cells .* Columns that hold groups: cell_type"):
        read_groups(counts.obs, "barcode")


def test_only_names_of_columns_are_taken(counts: anndata.AnnData) -> None:
    with pytest.raises(TypeError, match="group_by must be the name of a column"):
        read_groups(counts.obs, ["cell_type", "leiden"])


def test_messages_name_the_users_argument(counts: anndata.AnnData) -> None:
    with pytest.raises(TypeError, match="batch_key must be the name of a column"):
        read_groups(counts.obs, 3, "batch_key")
    counts.obs.loc[counts.obs_names[:3], "cell_type"] = np.nan
    with pytest.raises(InputError, match="3 of 40 cells have no batch"):
        read_groups(counts.obs, "cell_type", "batch_key")


@pytest.mark.parametrize(("given", "name"), [(None, None), (3, "3"), (np.int64(3), "3"), ("03", "03")])
def test_a_group_may_be_given_as_a_whole_number(given: object, name: str | None) -> None:
    assert group_name(given) == name


@pytest.mark.parametrize("given", [True, 1.0, ["a"]])
def test_a_group_is_not_given_as_anything_else(given: object) -> None:
    with pytest.raises(TypeError, match="a group's name is text"):
        group_name(given)


def test_values_of_one_name_are_not_made_one_group(counts: anndata.AnnData) -> None:
    counts.obs["mixed"] = pd.Series([1, "1"] * 20, index=counts.obs_names, dtype=object)
    with pytest.raises(InputError, match="holds 1 and '1', which are different values of one name"):
        read_groups(counts.obs, "mixed")
