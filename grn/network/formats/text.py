"""Tables of edges as text, separated by tabs or commas, also compressed (.gz)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn.network.formats.checks import broken

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork


def write_tsv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with tabs between the columns."""
    _write(network, path, "\t")


def write_csv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with commas between the columns."""
    _write(network, path, ",")


def read_tsv(path: Path) -> GeneNetwork:
    """Read edges with tabs between the columns."""
    return _read(path, "\t")


def read_csv(path: Path) -> GeneNetwork:
    """Read edges with commas between the columns."""
    return _read(path, ",")


def _write(network: GeneNetwork, path: Path, separator: str) -> None:
    # pyarrow writes each float32 with the fewest digits that give the same float32 back.
    import pyarrow as pa
    from pyarrow import csv

    table = pa.Table.from_pandas(network.edges, preserve_index=False)
    # It quotes all names or none; quotes would be in the way of cut and grep, so they come only if needed.
    special = set(f'"\r\n{separator}')
    odd = any(special & set(name) for name in [*network.genes, *network.groups])
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="needed" if odd else "none")
    with pa.output_stream(path) as stream:
        stream.write(f"{separator.join(table.column_names)}\n".encode())
        csv.write_csv(table, stream, options)


def _read(path: Path, separator: str) -> GeneNetwork:
    import pandas as pd

    from grn.network.network import GeneNetwork

    names = {"source": str, "target": str, "group": str}
    try:
        # A gene may be called "NA": only the weights are numbers, and from_edges checks those.
        table = pd.read_csv(path, sep=separator, dtype=names, keep_default_na=False, float_precision="round_trip")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise broken(path, "a table of edges", error) from error
    return GeneNetwork.from_edges(table)
