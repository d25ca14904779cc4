"""Groups of cells from a column of `adata.obs`."""

from __future__ import annotations

import pandas as pd

from grn._errors import InputError, did_you_mean
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
        raise InputError(
            f"{missing:,} of {len(values):,} cells have no {kind} in adata.obs[{column!r}]. Leave them out: "
            f"adata = adata[adata.obs[{column!r}].notna()].copy(), or give them a {kind} of their own."
        )
    ordered = _categories(values, column)
    if len(values) >= 10 and len(ordered) > len(values) / 2:
        raise InputError(
            f"adata.obs[{column!r}] has {len(ordered):,} different values in {len(values):,} cells "
            f"({examples(ordered)}): not groups. Columns that hold groups: "
            f"{', '.join(_grouping(obs)) or 'none'}."
        )
    names = {value: _text(value) for value in ordered}
    return pd.Categorical(values.map(names).astype(object), categories=list(dict.fromkeys(names.values())))


def _categories(values: pd.Series, column: str) -> list:
    """Distinct values in their order."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories)
    distinct = list(values.unique())
    if pd.api.types.is_float_dtype(values) and any(value != round(value) for value in distinct):
        raise InputError(
            f"adata.obs[{column!r}] holds fractions ({examples(distinct)}): a measurement, not groups. "
            "Cut it into intervals first, for example with pandas.cut."
        )
    numbers = pd.to_numeric(pd.Series([str(value) for value in distinct]), errors="coerce")
    if not numbers.isna().any():
        return [distinct[index] for index in numbers.argsort(kind="stable")]
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
