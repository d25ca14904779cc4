"""The registry of formats, and the choice of one by name or by a file's ending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError, did_you_mean
from grn._files import atomic_path, user_path
from grn._log import logger
from grn._opening import reading, require_file
from grn.network.formats import (
    beeline,
    celloracle,
    cytoscape,
    decoupler,
    genernib,
    gmt,
    graphml,
    h5ad,
    parquet,
    scenic,
    sif,
    text,
)
from grn.network.formats.checks import another_kind

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork


@dataclass(frozen=True)
class Format:
    """One file format: its endings, what it is for, and its two functions."""

    name: str
    endings: tuple[str, ...]
    purpose: str
    write: Callable[[GeneNetwork, Path], None]
    read: Callable[[Path], GeneNetwork]
    grouped: bool = True  # whether it has a place for groups of cells
    drawn: bool = False  # whether it is for programs that draw, and stall on many edges
    columns: frozenset[str] = frozenset()  # by which a table of another tool is known, whatever its name

    @property
    def file(self) -> str:
        """Name of the file in the folder of a run."""
        return f"network{self.endings[0]}"


def _dialect(name: str, *endings: str) -> tuple[str, ...]:
    """Endings of a tool's own table, such as .scenic.tsv; .tsv and .csv alone are ours."""
    return tuple(f".{name}.{ending}{packed}" for ending in endings for packed in ("", ".gz"))


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("parquet", (".parquet",), "canonical: keeps everything", parquet.write, parquet.read),
        Format("tsv", (".tsv", ".tsv.gz"), "table of edges", text.write_tsv, text.read_tsv),
        Format("csv", (".csv", ".csv.gz"), "table of edges", text.write_csv, text.read_csv),
        Format("graphml", (".graphml",), "Gephi, Cytoscape, igraph", graphml.write, graphml.read, drawn=True),
        Format("h5ad", (".h5ad",), "AnnData with the network in its slots", h5ad.write, h5ad.read),
        Format("sif", (".sif",), "Cytoscape: signs without weights", sif.write, sif.read, grouped=False),
        Format("gmt", (".gmt",), "gene sets: activated and repressed targets", gmt.write, gmt.read, grouped=False),
        Format("cytoscape", (".cyjs",), "Cytoscape.js and Cytoscape", cytoscape.write, cytoscape.read, drawn=True),
        Format(
            "scenic",
            _dialect("scenic", "tsv", "csv"),
            "pySCENIC",
            scenic.write,
            scenic.read,
            grouped=False,
        ),
        Format("decoupler", _dialect("decoupler", "csv"), "decoupler", decoupler.write, decoupler.read, grouped=False),
        Format(
            "celloracle",
            _dialect("celloracle", "csv"),
            "CellOracle",
            celloracle.write,
            celloracle.read,
            grouped=False,
            columns=frozenset(celloracle.COLUMNS),
        ),
        Format(
            "beeline",
            _dialect("beeline", "tsv"),
            "BEELINE",
            beeline.write,
            beeline.read,
            grouped=False,
            columns=frozenset(beeline.COLUMNS),
        ),
        Format("genernib", (".genernib.h5ad",), "geneRNIB", genernib.write, genernib.read, grouped=False),
    )
}


def find_format(path: Path, name: str | None) -> Format:
    """The format called `name`, or the one that the ending of `path` belongs to."""
    if name is not None:
        if name not in FORMATS:
            raise InputError(
                f"Unknown format {name!r}; the formats are {', '.join(FORMATS)}.{did_you_mean(name, FORMATS)}"
            )
        return FORMATS[name]
    owners = {ending: form for form in FORMATS.values() for ending in form.endings}
    endings = list(owners)
    # The longest: network.scenic.tsv is SCENIC's, although it ends in .tsv as well.
    if ending := max((each for each in endings if path.name.lower().endswith(each)), key=len, default=None):
        return owners[ending]
    raise InputError(
        f"The ending of {path.name!r} names no format of networks; expected one of "
        f"{', '.join(ending for ending in endings if not ending.endswith('.gz'))}."
        f"{did_you_mean(path.suffix, endings)} Or {another_kind(path)}."
    )


def write_network(network: GeneNetwork, path: str | Path, format: str | None = None) -> None:
    """Write `network` to `path`; see GeneNetwork.write."""
    path = user_path(path)
    chosen = find_format(path, format)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it, such as {chosen.file}.")
    with atomic_path(path) as temporary:
        chosen.write(network, temporary)


def read_network(path: str | Path, format: str | None = None) -> GeneNetwork:
    """Read a network from a file or a run folder; see GeneNetwork.read."""
    path = require_file(path, "the network", folder=True, empty=True)
    if path.is_dir():
        inside = path / "network.parquet"
        if not inside.is_file():
            raise InputError(
                f"The folder {path} holds no network.parquet: it is no run folder, or its run did not end."
            )
        path = inside
    chosen = find_format(path, format)
    with reading(path, "the network", whole=True):
        if format is None and chosen.name in ("tsv", "csv"):
            chosen = _by_columns(path) or chosen
        return chosen.read(path)


def _by_columns(path: Path) -> Format | None:
    """The tool whose table it is, though its name does not say so."""
    columns = text.columns_of(path)
    if {"source", "target", "weight"} <= columns:
        return None
    found = next((form for form in FORMATS.values() if form.columns and form.columns <= columns), None)
    if found:
        logger.info("%s is read as a table of %s, by its columns.", path.name, found.purpose)
    return found
