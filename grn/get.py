"""Getters: the network of an AnnData as tables.

Every function reads the slots that `grn.tl.infer` writes; `key` is its `key_added`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from grn._errors import InputError, did_you_mean
from grn.network.network import GeneNetwork
from grn.network.slots import from_anndata

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["edges", "network", "regulators"]


def network(adata: AnnData, key: str = "grn") -> GeneNetwork:
    """The network of an AnnData.

    Raises
    ------
    KeyError
        If there is no network under `key`.
    """
    return from_anndata(adata, key)


def edges(
    adata: AnnData,
    key: str = "grn",
    *,
    source: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    top: int | None = None,
) -> pd.DataFrame:
    """The edges of the network of an AnnData, strongest first.

    Parameters
    ----------
    adata
        AnnData in which a network was inferred.
    key
        Where it is.
    source, target
        Only edges from these regulators, to these genes.
    group
        Only the edges of this group of cells; the column `group` is then left out.
    top
        Only the strongest so many of the edges chosen (of each group, where there are groups).

    Returns
    -------
    DataFrame
        `source`, `target`, `weight` (float32; positive = activation), `sign` (+1, -1; 0 where the method
        tells no signs) and, in a network with groups, `group`.

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        If a regulator, gene or group is not in the network; near misses are named.

    Examples
    --------
    >>> import anndata, numpy as np, grn
    >>> from grn.network import GeneNetwork, add_to_anndata
    >>> adata = anndata.AnnData(np.ones((3, 2)))
    >>> adata.var_names = ["A", "B"]
    >>> add_to_anndata(adata, GeneNetwork.from_matrix([[0.0, -0.5]], ["A"], ["A", "B"]))
    >>> grn.get.edges(adata, source="A")
      source target  weight  sign
    0      A      B    -0.5    -1
    """
    found = from_anndata(adata, key)
    if group is not None:
        found = found.of_group(group)
    table = found.edges
    for column, wanted, known in (("source", source, found.regulators), ("target", target, found.genes)):
        if wanted is not None:
            names = [wanted] if isinstance(wanted, str) else list(wanted)
            _check_names(column, names, known)
            table = table[table[column].isin(names)]
    chosen = GeneNetwork(table.reset_index(drop=True), found.genes, found.regulators, found.params)
    return chosen.edges if top is None else chosen.top(top).edges


def regulators(adata: AnnData, key: str = "grn", *, top: int = 1000) -> pd.DataFrame:
    """The regulators of the network of an AnnData, strongest first.

    Parameters
    ----------
    adata, key
        As in :func:`edges`.
    top
        Activated and repressed targets are counted among this many strongest edges.

    Returns
    -------
    DataFrame
        See :meth:`grn.network.GeneNetwork.regulator_table`.
    """
    return from_anndata(adata, key).regulator_table(top)


def _check_names(column: str, names: list[str], known: pd.Index) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        kind = "regulator" if column == "source" else "gene"
        raise InputError(
            f"{column}={unknown[0]!r} is no {kind} of the network, which has {len(known)}."
            f"{did_you_mean(str(unknown[0]), known)}"
        )
