"""Tables of edges as text, separated by tabs or commas, also compressed (.gz)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._log import logger
from grn._tables import layout_of, names_of, read_named, require_names, warn_of_formulas
from grn.network.formats.checks import another_kind, refuse_names

if TYPE_CHECKING:
    import pandas as pd

    from grn.network.network import GeneNetwork

_WHAT = "the table of edges"
_EXACT = "round_trip"  # of the same number of digits the same number
# What other tools call our columns, in any letter case: arboreto and pySCENIC (TF, target, importance), BEELINE's
# ranked edges (Gene1, Gene2, EdgeWeight), GENIE3 in R (regulatoryGene, targetGene), DoRothEA (tf, target, mor), igraph.
ALIASES = {
    "source": ("source", "tf", "regulator", "regulatorygene", "gene1", "from"),
    "target": ("target", "targetgene", "gene2", "to"),
    "weight": ("weight", "importance", "edgeweight", "score", "mor"),
}


def write_tsv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with tabs between the columns."""
    write_table(network.edges, path, "\t")


def write_csv(network: GeneNetwork, path: Path) -> None:
    """Write the edges with commas between the columns."""
    write_table(network.edges, path, ",")


def read_tsv(path: Path) -> GeneNetwork:
    """Read edges with tabs between the columns, or what else is found there."""
    return _read(path, "\t")


def read_csv(path: Path) -> GeneNetwork:
    """Read edges with commas between the columns, or what else is found there."""
    return _read(path, ",")


def write_table(table: pd.DataFrame, path: Path, separator: str) -> None:
    """Write a table with a header; a missing number becomes an empty field."""
    # pyarrow writes each float32 with the fewest digits that give the same float32 back.
    import pyarrow as pa
    from pyarrow import csv

    # It quotes all names or none; quotes would be in the way of cut and grep, so they come only if needed.
    special = set(f'"\r\n{separator}')
    names = {name for column in table.select_dtypes(exclude="number") for name in table[column].unique()}
    refuse_names(names, "text", r"[\x00\ufeff]", "parquet")
    odd = any(special & set(name) for name in names)
    warn_of_formulas(names, path)
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="needed" if odd else "none")
    with pa.output_stream(path) as stream:
        stream.write(f"{separator.join(table.columns)}\n".encode())
        csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), stream, options)


def read_table(path: Path, tool: str, columns: list[str]) -> pd.DataFrame:
    """The named columns of another tool's table, the first two as text, whatever separates them.

    Raises
    ------
    InputError
        If a column is missing, or the file is no table.
    """
    found = layout_of(path, _WHAT)
    names = names_of(found)
    if missing := [name for name in columns if name not in names]:
        raise InputError(
            f"{path} is no table of {tool}: it has no {', '.join(missing)} among its columns {', '.join(names)}. If it "
            f"is of another kind, {another_kind(path)}."
        )
    text = {names.index(name): str for name in columns[:2]}
    return read_named(path, found, _WHAT, dtype=text, float_precision=_EXACT)[columns]


def columns_of(path: Path) -> set[str]:
    """The names of the columns; none where the file is no table, which its reader will say."""
    try:
        return set(names_of(layout_of(path, _WHAT)))
    except InputError:
        return set()


def _read(path: Path, likely: str) -> GeneNetwork:
    import pandas as pd

    from grn.network.network import GeneNetwork

    found = layout_of(path, _WHAT, likely=likely)
    known = [name for names in ALIASES.values() for name in names]
    require_names(path, found, known, ("source", "target", "weight"))
    columns = names_of(found)
    renamed = _our_names(columns)
    ours = {old: renamed.get(old, old) for old in columns}
    if missing := [name for name in ("source", "target", "weight") if name not in ours.values()]:
        raise InputError(
            f"{path} has no column {' and no '.join(missing)} among {', '.join(columns)}; a network has source, target "
            f"and weight. Rename the columns in the first line of the file."
        )
    names = {place: str for place, name in enumerate(columns) if ours[name] in ("source", "target", "group")}
    table = read_named(path, found, _WHAT, dtype=names, float_precision=_EXACT)
    if renamed:
        logger.info("%s: %s", path.name, ", ".join(f"{old} is taken as {new}" for old, new in renamed.items()))
    table = table.rename(columns=renamed)
    if "importance" in (old.casefold() for old, new in renamed.items() if new == "weight") and "sign" not in table:
        weights = pd.to_numeric(table["weight"], errors="coerce")
        if not (weights < 0).any():
            logger.info("%s: an importance has no sign, so the network is unsigned.", path.name)
            table["sign"] = 0
    return GeneNetwork.from_edges(table)


def _our_names(columns: list[str]) -> dict[str, str]:
    """Other tools' names for our columns, where a table lacks ours."""
    folded = {name.strip().casefold(): name for name in reversed(columns)}
    chosen = {}
    for ours, others in ALIASES.items():
        found = next((folded[other] for other in others if other in folded), None)
        if ours not in columns and found is not None:
            chosen[found] = ours
    return chosen
