"""Reference networks: read from a file, brought to the columns source, target, sign."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grn._edge_tables import SIGNS, edge_columns, known_names
from grn._errors import InputError
from grn._log import logger
from grn._opening import require_file
from grn._tables import read_text_table

# Ours first, then BEELINE's refNetwork.csv.
ALIASES = {
    "source": ("source", "gene1", "tf", "regulator"),
    "target": ("target", "gene2"),
    "sign": ("sign", "type"),
}
_EXPECTED = "expected source, target and optionally sign, or Gene1, Gene2, Type"


def read_reference(path: str | Path) -> pd.DataFrame:
    """Read a reference network.

    Parameters
    ----------
    path
        Text separated by tabs, commas, semicolons or blanks, also .gz, with a header: `source`, `target` and
        optionally `sign` in any letter case, or BEELINE's `Gene1`, `Gene2`, `Type`. Signs are 1, -1, 0 (unknown), + or
        -.

    Returns
    -------
    DataFrame
        `source`, `target` (text) and `sign` (+1, -1, 0 where unknown), one row per edge. Of an edge given
        with both signs, the sign is unknown; how many there are is logged.

    Raises
    ------
    FileNotFoundError
        If there is no such file; an InputError as well.
    InputError
        If it is no table of text, or the columns or a sign are not understood, or no edge is left.
    """
    path = require_file(path, "the reference network")
    table = read_text_table(path, "the table of edges", known_names(ALIASES), ("source", "target", "sign"))
    return clean_reference(table, where=str(path))


def clean_reference(table: pd.DataFrame, where: str = "The reference") -> pd.DataFrame:
    """The columns source, target, sign of a reference given as a table; `where` names it in errors.

    Raises
    ------
    InputError
        As :func:`read_reference`.
    """
    found = edge_columns(table, ALIASES, where, _EXPECTED)
    clean = pd.DataFrame(
        {
            "source": table[found["source"]].astype(str).to_numpy(dtype=object),
            "target": table[found["target"]].astype(str).to_numpy(dtype=object),
            "sign": _signs(table[found["sign"]], where) if "sign" in found else 0,
        }
    )
    if clean.empty:
        raise InputError(f"{where}: there is no edge.")
    return _one_row_per_edge(clean)


def _signs(column: pd.Series, where: str) -> list[int]:
    words = column.astype(str).str.strip().str.casefold()
    signs = words.map(SIGNS)
    if signs.isna().any():
        wrong = column[signs.isna()].iloc[0]
        raise InputError(f"{where}: the sign {wrong!r} is not understood; expected 1, -1, 0, + or -.")
    return signs.astype(int).tolist()


def _one_row_per_edge(table: pd.DataFrame) -> pd.DataFrame:
    """Merge repeated edges: a known sign wins over an unknown one, two opposite signs make it unknown."""
    bounds = table.groupby(["source", "target"], sort=False)["sign"].agg(["min", "max"])
    conflict = (bounds["min"] < 0) & (bounds["max"] > 0)
    if conflict.any():
        logger.info("%d edges of the reference have both signs; theirs is taken as unknown", int(conflict.sum()))
    sign = bounds["min"] + bounds["max"]
    # Equal known signs add to +-2, a known and an unknown one to +-1, opposite ones to 0.
    return sign.clip(-1, 1).astype("int8").rename("sign").reset_index()
