"""Tables of prior knowledge: read from a file, brought to the columns source, target, sign, weight."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from grn._edge_tables import SIGNS, edge_columns, known_names
from grn._errors import InputError, near_misses
from grn._files import user_path
from grn._opening import reading, require_file
from grn._tables import read_text_table, require_parquet

# Ours first, then those of decoupler, DoRothEA, pySCENIC and BEELINE.
ALIASES = {
    "source": ("source", "tf", "regulator", "gene1"),
    "target": ("target", "gene", "gene2"),
    "sign": ("sign", "mor", "type"),
    "weight": ("weight", "likelihood"),
}
_EXPECTED = (
    "expected source (or tf, regulator), target (or gene) and optionally sign (or mor) and weight, in any letter case"
)


def read_prior(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table of regulons.

    Parameters
    ----------
    path
        Text separated by commas, tabs, semicolons or blanks with a header, also .gz, or .parquet. Columns as in
        :func:`clean_prior`.

    Raises
    ------
    InputError
        If there is no such file, it is no table, or its columns or values are not understood.
    """
    path = user_path(path)
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        close = near_misses(path.name, beside)
        raise InputError(
            f"There is no file of prior knowledge {path}."
            + (f" Beside it: {', '.join(close)}." if close else "")
            + " Give a csv, tsv or parquet file with source and target."
        )
    if path.suffix != ".parquet":
        return clean_prior(
            read_text_table(path, "the table of prior knowledge", known_names(ALIASES), ("source", "target", "weight")),
            where=str(path),
        )
    require_file(path, "the table of prior knowledge")
    with reading(path, "the table of prior knowledge", whole=True):
        require_parquet(path)
        table = pd.read_parquet(path)
    return clean_prior(table, where=str(path))


def clean_prior(table: pd.DataFrame, where: str = "The prior") -> pd.DataFrame:
    """The columns source, target, sign, weight of prior knowledge given as a table.

    Parameters
    ----------
    table
        One row for each edge and resource that names it: rows of the same edge add up. `source` (or `tf`,
        `regulator`), `target` (or `gene`), and where known `sign` (or `mor`: +, -, words, or numbers of which
        the sign counts) and `weight` (how well the edge is known; 1 where there is no such column). Without a column
        of signs, a `weight` with negative values gives the signs, as in decoupler's tables; one without them is taken
        as unsigned.
    where
        Names the table in errors.

    Returns
    -------
    DataFrame
        `source`, `target` (text), `sign` (+1, -1, 0 where unknown) and `weight` (positive), row for row; rows of
        weight 0 are left out.

    Raises
    ------
    InputError
        If a column is missing, a name is empty, a sign or weight is not understood, a negative weight contradicts its
        sign, or no edge is left.
    TypeError
        If it is no table.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{where} must be a table (pandas DataFrame) or the path of one, not {type(table).__name__}.")
    found = edge_columns(table, ALIASES, where, _EXPECTED)
    weight = _weights(table[found["weight"]], where) if "weight" in found else np.ones(len(table))
    if "sign" in found:
        sign = _signs(table[found["sign"]], where)
        if ((weight < 0) & (sign >= 0)).any():
            raise InputError(f"{where}: a negative weight stands beside a sign that is not negative; give one of them.")
    else:
        sign = np.sign(weight) if (weight < 0).any() else np.zeros(len(table))
    clean = pd.DataFrame(
        {
            "source": table[found["source"]].astype(str).to_numpy(dtype=object),
            "target": table[found["target"]].astype(str).to_numpy(dtype=object),
            "sign": sign.astype(np.int8),
            "weight": np.abs(weight),
        }
    )
    clean = clean[clean["weight"] > 0].reset_index(drop=True)
    if clean.empty:
        raise InputError(f"{where}: there is no edge.")
    return clean


def _signs(column: pd.Series, where: str) -> np.ndarray:
    words = column.astype(str).str.strip().str.casefold()
    numbers = np.sign(pd.to_numeric(words, errors="coerce").to_numpy(dtype=float))
    known = words.map(SIGNS).to_numpy(dtype=float)
    signs = np.where(np.isnan(known), numbers, known)
    if np.isnan(signs).any():
        wrong = column[np.isnan(signs)].iloc[0]
        raise InputError(f"{where}: the sign {wrong!r} is not understood; expected +, -, a number or nothing.")
    return signs


def _weights(column: pd.Series, where: str) -> np.ndarray:
    weights = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(weights).all():
        wrong = column[~np.isfinite(weights)].iloc[0]
        raise InputError(f"{where}: the weight {wrong!r} is not a finite number.")
    return weights
