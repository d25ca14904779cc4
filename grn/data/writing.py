"""AnnData out to .h5ad: what anndata would refuse is found before the work, and brought into a form that it writes.

anndata reads more than it writes: text as pandas 3 stores it, a column of several types, None in a list. A command that
has worked for hours must not end on one of them.
"""

from __future__ import annotations

import datetime
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger

if TYPE_CHECKING:
    from anndata import AnnData

_RESERVED = "_index"
_SHOWN = 8


def announce(adata: AnnData) -> list[str]:
    """Log what will be written in another form, before the work that leads to the file.

    Parameters
    ----------
    adata
        What was read, and will be written with results added.

    Returns
    -------
    list
        What was logged, for `write_h5ad`, which does not say it again.

    Raises
    ------
    InputError
        If two names would become one, or the name of a cell or gene holds a null character.
    """
    changes = _mended(adata)[1]
    _log(changes)
    return changes


def write_h5ad(
    adata: AnnData, path: str | os.PathLike[str], *, compression: Any = None, known: Iterable[str] = ()
) -> None:
    """Write an AnnData, which stays as it is; see `announce`.

    Parameters
    ----------
    adata
        In memory or backed.
    path
        The file, which is replaced. Commands write through `grn._files.atomic_path`.
    compression
        As of `anndata.AnnData.write_h5ad`.
    known
        What `announce` returned.
    """
    whole, changes = _mended(adata.to_memory() if adata.isbacked else adata)
    said = set(known)
    _log([change for change in changes if change not in said])
    whole.write_h5ad(Path(path), compression=compression)


def _log(changes: list[str]) -> None:
    if changes:
        more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        logger.warning(".h5ad cannot hold all of the input as it is: %s%s.", "; ".join(changes[:_SHOWN]), more)


def _mended(adata: AnnData) -> tuple[AnnData, list[str]]:
    """An AnnData that shares the matrices of `adata` and can be written, and what is different in it."""
    from anndata import AnnData

    changes: list[str] = []
    obs, var = (_table(getattr(adata, name), name, changes) for name in ("obs", "var"))
    parts: dict[str, Any] = {"obs": obs, "var": var}
    for name, axis in (("obsm", obs), ("varm", var)):
        parts[name] = {
            key: _table(value, f"{name}[{key!r}]", changes).set_axis(axis.index)
            if isinstance(value, pd.DataFrame)
            else value
            for key, value in getattr(adata, name).items()
        }
    parts |= {name: dict(getattr(adata, name)) for name in ("layers", "obsp", "varp")}
    parts["uns"] = _mapping(adata.uns, "uns", changes)
    if adata.raw is not None:
        raw_var = _table(adata.raw.var, "raw.var", changes)
        parts["raw"] = {"X": adata.raw.X, "var": raw_var, "varm": dict(adata.raw.varm)}
    # A backed matrix is on disk already; it is of no matter for what can be written.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AnnData(None if adata.isbacked else adata.X, **parts), changes


def _accepted(value: Any) -> bool:
    """Whether the installed anndata writes `value`, tried in memory."""
    import h5py
    from anndata.io import write_elem

    with warnings.catch_warnings(), h5py.File("trial", "w", driver="core", backing_store=False) as file:
        warnings.simplefilter("ignore")
        try:
            write_elem(file, "value", value)
        except Exception as error:  # whatever it is, the value cannot be written as it is
            logger.debug("anndata does not write a %s: %s", type(value).__name__, error)
            return False
    return True


def _table(table: pd.DataFrame, place: str, changes: list[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for position, name in enumerate(table.columns):
        new = _column_name(name, place, changes)
        if new in columns:
            raise InputError(
                f"{place} has two columns that would both be called {new!r} in .h5ad. Rename or drop one of them."
            )
        columns[new] = _column(table.iloc[:, position], new, f"{place}[{name!r}]", changes)
    index = pd.Index(table.index.astype(str).to_numpy(dtype=object), name=table.index.name)
    if nulls := [name for name in index if "\0" in name]:
        raise InputError(
            f"{len(nulls)} names of {place} hold a null character, such as {nulls[0]!r}, and .h5ad cannot. Rename them."
        )
    if index.name is not None and (str(index.name) in columns or not isinstance(index.name, str)):
        index.name = None
    return pd.DataFrame({name: column.array for name, column in columns.items()}, index)


def _column_name(name: Any, place: str, changes: list[str]) -> str:
    new = "index_" if name == _RESERVED else str(name)
    if "/" in new and not _accepted(pd.DataFrame({new: [0]}, index=["0"])):
        new = new.replace("/", "_")
    new = new.replace("\0", "_")
    if new != name:
        changes.append(f"the column {name!r} of {place} is called {new!r}")
    return new


def _column(column: pd.Series, name: str, place: str, changes: list[str]) -> pd.Series:
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    if plain or _accepted(pd.DataFrame({name: column.array}, index=column.index.astype(str).astype(object))):
        return column
    missing = column.isna()
    if any(isinstance(value, str) and "\0" in value for value in column):
        changes.append(f"{place} is written without its null characters")
        values = [value.replace("\0", "") if isinstance(value, str) else value for value in column]
        column = pd.Series(pd.array(values, dtype=object), index=column.index)
    if isinstance(column.dtype, pd.StringDtype):
        # The same text; missing values need categories.
        text = column.astype(object).where(~missing, None)
        return pd.Series(pd.Categorical(text)) if missing.any() else text
    if pd.api.types.is_numeric_dtype(column.dtype):
        changes.append(f"{place} ({column.dtype}) is written as float64")
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    kinds = sorted({type(value).__name__ for value in column[~missing]})
    if kinds == ["bool"]:
        return column.astype("boolean")
    if kinds != ["str"]:
        what = str(column.dtype) if column.dtype != object else ", ".join(kinds) or "nothing"
        changes.append(f"{place} ({what}) is written as text")
    if isinstance(column.dtype, pd.CategoricalDtype):
        names = [str(one) for one in column.cat.categories]
        if len(set(names)) == len(names):
            return column.cat.rename_categories(names)
    text = column.map(str, na_action="ignore") if column.dtype == object else column.astype(str)
    return pd.Series(pd.Categorical(text.astype(object).where(~missing, None)))


def _mapping(values: Mapping[Any, Any], place: str, changes: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        new = str(key).replace("/", "_").replace("\0", "_")
        if new in out:
            raise InputError(
                f"{place} has two keys that would both be called {new!r} in .h5ad. Rename or drop one of them."
            )
        if new != key:
            changes.append(f"the key {key!r} of {place} is called {new!r}")
        mended = _value(value, f"{place}[{key!r}]", changes)
        if mended is not None:
            out[new] = mended
    return out


def _value(value: Any, place: str, changes: list[str]) -> Any:
    if isinstance(value, Mapping):
        return _mapping(value, place, changes)
    if isinstance(value, pd.DataFrame):
        return _table(value, place, changes)
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        value = np.asarray(value, dtype=object if pd.api.types.is_string_dtype(value.dtype) else None)
    elif isinstance(value, tuple | set | frozenset | range):
        value = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    if _accepted(value):
        return value
    if value is None:
        changes.append(f"{place} is None and is left out")
        return None
    if isinstance(value, list | np.ndarray):
        changes.append(f"{place} is written as JSON text")
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, default=str)
    if isinstance(value, datetime.date | datetime.timedelta | PurePath | bytes):
        changes.append(f"{place} ({type(value).__name__}) is written as text")
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    changes.append(f"{place} ({type(value).__name__}) is left out")
    return None
