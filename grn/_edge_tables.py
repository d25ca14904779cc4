"""Tables of edges as the field writes them: their columns and their words for signs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from grn._errors import InputError

SIGNS = {
    **dict.fromkeys(("+", "+1", "1", "1.0", "activation", "activates", "positive"), 1),
    **dict.fromkeys(("-", "-1", "-1.0", "repression", "represses", "inhibition", "negative"), -1),
    **dict.fromkeys(("", "0", "0.0", "?", "nan", "none", "unknown", "+-"), 0),
}


def known_names(aliases: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The names of `aliases` that mark a header: those of a source or a target."""
    return [*aliases["source"], *aliases["target"]]


def edge_columns(
    table: pd.DataFrame, aliases: Mapping[str, tuple[str, ...]], where: str, expected: str
) -> dict[str, str]:
    """Which column of a table stands for each of our names; the first alias that is there counts, in any letter case.

    Parameters
    ----------
    table
        One row an edge.
    aliases
        Names in lower case that other tools give to each of ours.
    where, expected
        The table and what it should have, in words, for errors.

    Raises
    ------
    InputError
        If there is no source or target, or one of them is empty somewhere.
    """
    lower = {str(column).strip().casefold(): column for column in table.columns}
    found = {ours: lower[name] for ours, names in aliases.items() for name in reversed(names) if name in lower}
    missing = [name for name in ("source", "target") if name not in found]
    if missing:
        raise InputError(
            f"{where}: no column for {' and '.join(missing)} among {', '.join(map(repr, table.columns))}; {expected}."
        )
    names = table[[found["source"], found["target"]]]
    if names.isna().to_numpy().any() or (names.astype(str) == "").to_numpy().any():
        raise InputError(f"{where}: an edge has an empty source or target.")
    return found
