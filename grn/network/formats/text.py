"""Tables of edges as text, separated by tabs or commas, also compressed (.gz)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._log import logger
from grn.network.formats.checks import broken

if TYPE_CHECKING:
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

    try:
        columns = [str(name) for name in pd.read_csv(path, sep=separator, nrows=0).columns]
        renamed = _our_names(columns)
        names = [name for name in columns if renamed.get(name, name) in ("source", "target", "group")]
        # A gene may be called "NA": only the weights are numbers, and from_edges checks those.
        table = pd.read_csv(
            path,
            sep=separator,
            dtype=dict.fromkeys(names, str),
            keep_default_na=False,
            float_precision="round_trip",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise broken(path, "a table of edges", error) from error
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
