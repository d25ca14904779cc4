"""Trajectories: one time per cell and lineage, from columns of `adata.obs`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean

_NUMBER = re.compile(r"[_. -]?\d+")


def read_trajectories(obs: pd.DataFrame, columns: str | Sequence[str]) -> dict[str, np.ndarray]:
    """Time of every cell on each trajectory.

    Parameters
    ----------
    obs
        Annotation of the cells.
    columns
        A list of columns, one per trajectory (lineage). Or one text: the columns it begins and a number ends, such as
        `pseudotime1`, `pseudotime2` of "pseudotime", where there are any, else the column of this name. A cell is on a
        trajectory where its time is a finite number; it may be on several.

    Returns
    -------
    dict
        By column, float64 (cells,), NaN off the trajectory.

    Raises
    ------
    InputError
        If there is no such column, or it holds no numbers, or none that is finite.

    Examples
    --------
    >>> obs = pd.DataFrame({"dpt": [0.0, 1.0], "dpt1": [0.0, None], "dpt2": [None, 1.0]})
    >>> list(read_trajectories(obs, "dpt")), list(read_trajectories(obs, ["dpt"]))
    (['dpt1', 'dpt2'], ['dpt'])
    """
    if isinstance(columns, str):
        lineages = [name for name in map(str, obs.columns) if _is_lineage(name, columns)]
        columns = lineages or [columns]
    if not len(columns):
        raise InputError("dynamics.columns is empty: name a column of adata.obs with the time of each cell.")
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise InputError(f"dynamics.columns names {twice[0]!r} more than once; each trajectory counts once.")
    return {name: _time(obs, name) for name in columns}


def order(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Positions of a trajectory's cells from early to late, int64; cells of equal time in random order.

    Parameters
    ----------
    time
        (cells,), NaN off the trajectory.
    """
    cells = generator.permutation(np.flatnonzero(np.isfinite(time)))
    return cells[np.argsort(time[cells], kind="stable")]


def permuted(time: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same times dealt at random to the trajectory's cells."""
    cells = np.flatnonzero(np.isfinite(time))
    result = time.copy()
    result[cells] = time[generator.permutation(cells)]
    return result


def _is_lineage(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and _NUMBER.fullmatch(name[len(prefix) :]) is not None


def _time(obs: pd.DataFrame, name: str) -> np.ndarray:
    numeric = [str(one) for one in obs.columns if _is_numeric(obs[one])]
    there = f"Columns with numbers: {', '.join(numeric) or 'none'}."
    if name not in obs.columns:
        raise InputError(f"adata.obs has no column {name!r}.{did_you_mean(name, map(str, obs.columns))} {there}")
    values = obs[name]
    if isinstance(values, pd.DataFrame):
        raise InputError(f"adata.obs has {values.shape[1]} columns named {name!r}: rename all but one.")
    if not _is_numeric(values):
        raise InputError(
            f"adata.obs[{name!r}] holds {values.dtype} values; the time of a cell is a number. {there} Sampling days "
            "can be written as numbers, but the order of cells within a day is what is needed here."
        )
    time = values.to_numpy(dtype=np.float64, na_value=np.nan)
    time = np.where(np.isfinite(time), time, np.nan)
    if np.isnan(time).all():
        raise InputError(f"adata.obs[{name!r}] gives no cell a finite time: all {len(time):,} values are missing.")
    return time


def _is_numeric(values: pd.Series | pd.DataFrame) -> bool:
    if isinstance(values, pd.DataFrame):
        return False
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
