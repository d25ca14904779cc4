"""The network table of decoupler 2: source, target, weight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn.network.formats.checks import refuse_groups, warn_of_signs
from grn.network.formats.text import read_table, write_table

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

COLUMNS = ["source", "target", "weight"]


def write(network: GeneNetwork, path: Path) -> None:
    """Write the three columns that decoupler's methods take as `net`, with commas; the sign is that of the weight."""
    refuse_groups(network, "decoupler")
    warn_of_signs(network, "decoupler")
    write_table(network.edges[COLUMNS], path, ",")


def read(path: Path) -> GeneNetwork:
    """Read a network of decoupler, with commas or tabs; further columns are not looked at."""
    from grn.network.network import GeneNetwork

    return GeneNetwork.from_edges(read_table(path, "decoupler", COLUMNS))
