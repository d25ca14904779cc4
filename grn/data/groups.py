"""Groups of cells from a column of `adata.obs`."""

from __future__ import annotations

import numbers
from typing import overload

import pandas as pd

from grn._errors import InputError, did_you_mean, setting
from grn.data.identifiers import examples


def read_groups(obs: pd.DataFrame, column: str, argument: str = "group_by") -> pd.Categorical:
    """Group of every cell as a categorical of strings without empty categories.

    Parameters
    ----------
    obs
        Annotation of the cells.
    column
        Its column: categorical, text, boolean, or whole numbers (clusters). The order of categories is kept;
        numbers are put in their order.
    argument
        What the user named the column by, for messages.

    Raises
    ------
    InputError
        If there is no such column, a cell has no group, or the column is a measurement rather than groups.

    Examples
    --------
    >>> list(read_groups(pd.DataFrame({"cluster": [10, 2, 2]}), "cluster").categories)
    ['2', '10']
    """
    if not isinstance(column, str):
        raise TypeError(f"{argument} must be the name of a column of adata.obs, got {type(column).__name__}.")
    if column not in obs.columns:
        there = ", ".join(_grouping(obs)) or "none that could be used"
        raise InputError(
            f"adata.obs has no column {column!r}.{did_you_mean(column, map(str, obs.columns))} "
            f"Columns that hold groups: {there}."
        )
    values = obs[column]
    if isinstance(values, pd.DataFrame):
        raise InputError(f"adata.obs has {values.shape[1]} columns named {column!r}: rename all but one.")
    missing = int(values.isna().sum())
    if missing:
        kind = argument.partition("_")[0]
        own = f"or give them a {kind} of their own"
        raise InputError(
            f"{missing:,} of {len(values):,} cells have no {kind} in adata.obs[{column!r}]. "
            + setting(
                f"Leave them out of the file, {own} there.",
                f"Leave them out: adata = adata[adata.obs[{column!r}].notna()].copy(), {own}.",
            )
        )
    ordered = _categories(values, column)
    if len(values) >= 10 and len(ordered) > len(values) / 2:
        raise InputError(
            f"adata.obs[{column!r}] has {len(ordered):,} different values in {len(values):,} cells "
            f"({examples(ordered)}): not groups. Columns that hold groups: "
            f"{', '.join(_grouping(obs)) or 'none'}."
        )
    names = {value: _text(value) for value in ordered}
    twice = next((name for name in names.values() if list(names.values()).count(name) > 1), None)
    if twice is not None:
        alike = " and ".join(repr(value) for value, name in names.items() if name == twice)
        raise InputError(
            f"adata.obs[{column!r}] holds {alike}, which are different values of one name, {twice!r}. Make the column "
            "text, in which different groups have different names."
        )
    return pd.Categorical(values.map(names).astype(object), categories=list(dict.fromkeys(names.values())))


@overload
def group_name(given: None) -> None: ...
@overload
def group_name(given: str | int) -> str: ...
def group_name(given: str | int | None) -> str | None:
    """Name of a group as a user gives it: names are text, and the clusters 0, 1, 2, ... may be given as numbers.

    Raises
    ------
    TypeError
        For anything else, such as True or 1.0, of which it is not plain which text is meant.

    Examples
    --------
    >>> group_name(1), group_name("01")
    ('1', '01')
    """
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, numbers.Integral) and not isinstance(given, bool):
        return str(int(given))
    raise TypeError(f"group={given!r} is {type(given).__name__}; a group's name is text: give {str(given)!r}.")


def _categories(values: pd.Series, column: str) -> list:
    """Distinct values in their order."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories)
    distinct = list(values.unique())
    if pd.api.types.is_float_dtype(values) and any(value != round(value) for value in distinct):
        raise InputError(
            f"adata.obs[{column!r}] holds fractions ({examples(distinct)}): a measurement, not groups. "
            + setting("Cut it into intervals first.", "Cut it into intervals first, for example with pandas.cut.")
        )
    as_numbers = pd.to_numeric(pd.Series([str(value) for value in distinct]), errors="coerce")
    if not as_numbers.isna().any():
        return [distinct[index] for index in as_numbers.argsort(kind="stable")]
    return sorted(distinct, key=str)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _grouping(obs: pd.DataFrame) -> list[str]:
    """Columns that look like groups: few values, not fractions."""
    found = []
    for name in obs.columns:
        values = obs[name]
        if isinstance(values, pd.DataFrame) or pd.api.types.is_float_dtype(values):
            continue
        if 1 < values.nunique() <= max(2, min(200, len(values) // 5)):
            found.append(str(name))
    return found
