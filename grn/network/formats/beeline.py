"""The ranked edges of BEELINE: Gene1, Gene2, EdgeWeight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn.network.formats.checks import refuse_groups
from grn.network.formats.text import read_table, write_table

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

COLUMNS = {"Gene1": "source", "Gene2": "target", "EdgeWeight": "weight"}


def write(network: GeneNetwork, path: Path) -> None:
    """Write |weight| as EdgeWeight, strongest first, with tabs (BEELINE calls the file rankedEdges.csv all the same).

    BEELINE's guide asks for the absolute value, and some of its measures rank by EdgeWeight as it stands: with signs,
    the strongest repression would come last. So activation and repression are lost.
    """
    refuse_groups(network, "BEELINE")
    edges = network.edges[list(COLUMNS.values())].set_axis(list(COLUMNS), axis=1)
    write_table(edges.assign(EdgeWeight=edges["EdgeWeight"].abs()), path, "\t")


def read(path: Path) -> GeneNetwork:
    """Read ranked edges, with tabs or commas; the network is unsigned unless a weight is negative."""
    import pandas as pd

    from grn.network.network import GeneNetwork

    table = read_table(path, "BEELINE", list(COLUMNS)).rename(columns=COLUMNS)
    signed = bool((pd.to_numeric(table["weight"], errors="coerce") < 0).any())
    return GeneNetwork.from_edges(table if signed else table.assign(sign=0))
