"""The adjacencies of GRNBoost2, GENIE3 and pySCENIC: TF, target, importance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn.network.formats.checks import refuse_groups
from grn.network.formats.text import read_table, write_table

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

COLUMNS = {"TF": "source", "target": "target", "importance": "weight"}


def write(network: GeneNetwork, path: Path) -> None:
    """Write |weight| as the importance, strongest first; with commas if `path` ends in .csv, else with tabs.

    An importance has no sign, so activation and repression are lost. pySCENIC chooses the separator by the ending.
    """
    refuse_groups(network, "SCENIC")
    edges = network.edges[list(COLUMNS.values())].set_axis(list(COLUMNS), axis=1)
    separator = "," if path.name.lower().endswith((".csv", ".csv.gz")) else "\t"
    write_table(edges.assign(importance=edges["importance"].abs()), path, separator)


def read(path: Path) -> GeneNetwork:
    """Read adjacencies, with tabs or commas; the network is unsigned."""
    import pandas as pd

    from grn.network.network import GeneNetwork

    table = read_table(path, "SCENIC", list(COLUMNS)).rename(columns=COLUMNS)
    negative = int((pd.to_numeric(table["weight"], errors="coerce") < 0).sum())
    if negative:
        raise InputError(
            f"{negative} importances in {path} are negative, and those of SCENIC have no sign. Read signed weights "
            "with format=tsv or format=csv."
        )
    return GeneNetwork.from_edges(table.assign(sign=0))
