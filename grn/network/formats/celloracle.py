"""The links of CellOracle, as its tables of one cluster hold them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._log import logger
from grn.network.formats.checks import refuse_groups, warn_of_signs
from grn.network.formats.text import read_table, write_table

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

COLUMNS = {"source": "source", "target": "target", "coef_mean": "weight", "p": "pvalue"}


def write(network: GeneNetwork, path: Path) -> None:
    """Write source, target, coef_mean (the weight), coef_abs, p and -logp (base 10), with commas.

    Where the network has no p-values, the last two columns are empty.
    """
    import numpy as np
    import pandas as pd

    refuse_groups(network, "CellOracle")
    warn_of_signs(network, "CellOracle")
    edges = network.edges
    table = edges[["source", "target"]].assign(coef_mean=edges["weight"], coef_abs=edges["weight"].abs())
    table["p"] = edges["pvalue"] if "pvalue" in edges else pd.Series(np.nan, edges.index)
    with np.errstate(divide="ignore"):
        # 0 minus it, because -log10 is -0.0 where p is 1.
        table["-logp"] = (0 - np.log10(table["p"].astype(np.float64))).astype(np.float32)
    write_table(table, path, ",")


def read(path: Path) -> GeneNetwork:
    """Read the links of one cluster, with commas or tabs.

    `p` becomes the p-value. Where it is missing of single links it counts as 1, as in CellOracle; where it is missing
    of all, the network has no p-values.
    """
    from grn.network.network import GeneNetwork

    table = read_table(path, "CellOracle", list(COLUMNS)).rename(columns=COLUMNS)
    missing = (table["pvalue"].isna() | (table["pvalue"] == "")).to_numpy()
    if missing.all():
        return GeneNetwork.from_edges(table.drop(columns="pvalue"))
    if missing.any():
        logger.info("%s: p is missing of %d of %d links and counts as 1", path.name, missing.sum(), len(missing))
        table["pvalue"] = table["pvalue"].mask(missing, 1)
    return GeneNetwork.from_edges(table)
