"""Tables of edges as text, separated by tabs or commas, also compressed (.gz)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError
from grn._log import logger
from grn.network.formats.checks import broken

if TYPE_CHECKING:
    import pandas as pd

    from grn.network.network import GeneNetwork

# What other tools call our columns, in any letter case: arboreto and pySCENIC (TF, target, importance), BEELINE's
# ranked edges (Gene1, Gene2, EdgeWeight).
ALIASES = {
    "source": ("source", "tf", "regulator", "gene1"),
    "target": ("target", "gene2"),
    "weight": ("weight", "importance", "edgeweight", "score"),
}


def write_tsv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with tabs between the columns."""
    write_table(network.edges, path, "\t")


def write_csv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with commas between the columns."""
    write_table(network.edges, path, ",")


def read_tsv(path: Path) -> GeneNetwork:
    """Read edges with tabs between the columns."""
    return _read(path, "\t")


def read_csv(path: Path) -> GeneNetwork:
    """Read edges with commas between the columns."""
    return _read(path, ",")


def write_table(table: pd.DataFrame, path: Path, separator: str) -> None:
    """Write a table with a header; a missing number becomes an empty field."""
    # pyarrow writes each float32 with the fewest digits that give the same float32 back.
    import pyarrow as pa
    from pyarrow import csv

    # It quotes all names or none; quotes would be in the way of cut and grep, so they come only if needed.
    special = set(f'"\r\n{separator}')
    names = {name for column in table.select_dtypes(exclude="number") for name in table[column].unique()}
    odd = any(special & set(name) for name in names)
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="needed" if odd else "none")
    with pa.output_stream(path) as stream:
        stream.write(f"{separator.join(table.columns)}\n".encode())
        csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), stream, options)


def read_table(path: Path, tool: str, columns: list[str], separators: str = "\t,") -> pd.DataFrame:
    """The named columns of another tool's table, the first two as text, by whichever separator gives them.

    Raises
    ------
    InputError
        If a column is missing, or the file is no table.
    """
    for separator in separators:
        found = _parse(path, separator, nrows=0)
        if set(columns) <= set(found):
            return _parse(path, separator, dtype=dict.fromkeys(columns[:2], str))[columns]
    raise InputError(
        f"{path} is no table of {tool}: expected the columns {', '.join(columns)} with tabs or commas between them. "
        "Read a table of another kind with another format=..."
    )


def _parse(path: Path, separator: str, **options: Any) -> pd.DataFrame:
    import pandas as pd

    try:
        # A gene may be called "NA": only the weights are numbers, and from_edges checks those.
        return pd.read_csv(path, sep=separator, keep_default_na=False, float_precision="round_trip", **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise broken(path, "a table of edges", error) from error


def _read(path: Path, separator: str) -> GeneNetwork:
    from grn.network.network import GeneNetwork

    columns = [str(name) for name in _parse(path, separator, nrows=0)]
    renamed = _our_names(columns)
    names = [name for name in columns if renamed.get(name, name) in ("source", "target", "group")]
    table = _parse(path, separator, dtype=dict.fromkeys(names, str))
    if renamed:
        logger.info("%s: %s", path.name, ", ".join(f"{old} is taken as {new}" for old, new in renamed.items()))
    return GeneNetwork.from_edges(table.rename(columns=renamed))


def _our_names(columns: list[str]) -> dict[str, str]:
    """Other tools' names for our columns, where a table lacks ours."""
    folded = {name.strip().casefold(): name for name in reversed(columns)}
    chosen = {}
    for ours, others in ALIASES.items():
        found = next((folded[other] for other in others if other in folded), None)
        if ours not in columns and found is not None:
            chosen[found] = ours
    return chosen
