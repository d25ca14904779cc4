"""Times from columns: which columns are meant, which cells are on a trajectory, in which order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.dynamics import read_trajectories
from grn.dynamics.trajectories import order, permuted

OBS = pd.DataFrame(
    {
        "pseudotime": [0.0, 1.0, 2.0, 3.0],
        "pseudotime1": [0.0, 1.0, np.nan, np.inf],
        "pseudotime2": [0.0, np.nan, 2.0, 3.0],
        "pseudotime_source": ["a", "b", "a", "b"],
        "sling_1": pd.array([0, 1, None, 3], dtype="Int64"),
        "day": pd.Categorical(["0h", "1h", "1h", "2h"]),
        "missing": [np.nan, np.inf, -np.inf, np.nan],
        "kept": [True, False, True, True],
    }
)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("pseudotime", ["pseudotime1", "pseudotime2"]),
        (["pseudotime"], ["pseudotime"]),
        (["pseudotime2", "pseudotime1"], ["pseudotime2", "pseudotime1"]),
        ("pseudotime2", ["pseudotime2"]),
        ("sling", ["sling_1"]),
    ],
)
def test_which_columns_are_meant(columns: str | list[str], names: list[str]) -> None:
    assert list(read_trajectories(OBS, columns)) == names


def test_cells_without_a_finite_time_are_off_the_trajectory() -> None:
    times = read_trajectories(OBS, ["pseudotime1", "sling_1"])
    np.testing.assert_array_equal(times["pseudotime1"], [0, 1, np.nan, np.nan])
    np.testing.assert_array_equal(times["sling_1"], [0, 1, np.nan, 3])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["pseudotim"], r"no column 'pseudotim'. Did you mean 'pseudotime'.*Columns with numbers: pseudotime,"),
        ("dpt", "no column 'dpt'. Columns with numbers"),
        (["day"], "holds category values; the time of a cell is a number"),
        (["kept"], "holds bool values"),
        (["missing"], "gives no cell a finite time: all 4 values are missing"),
        ([], "dynamics.columns is empty"),
        (["pseudotime", "pseudotime"], "names 'pseudotime' more than once"),
    ],
)
def test_what_cannot_be_used_is_explained(columns: str | list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trajectories(OBS, columns)


def test_columns_of_one_name_are_refused() -> None:
    twice = pd.DataFrame([[0.0, 1.0]], columns=["dpt", "dpt"])
    with pytest.raises(InputError, match="2 columns named 'dpt'"):
        read_trajectories(twice, ["dpt"])


def test_order() -> None:
    time = np.array([3.0, np.nan, 1.0, 2.0, 1.0])
    seen = {tuple(order(time, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert seen == {(2, 4, 3, 0), (4, 2, 3, 0)}


def test_permuting_keeps_times_and_cells() -> None:
    time = np.array([3.0, np.nan, 1.0, 2.0, 1.0])
    dealt = [permuted(time, np.random.default_rng(seed)) for seed in range(20)]
    for one in dealt:
        np.testing.assert_array_equal(np.isnan(one), np.isnan(time))
        np.testing.assert_array_equal(np.sort(one), np.sort(time))
    assert len({tuple(one) for one in dealt}) > 5
