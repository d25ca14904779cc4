"""Getters: the network of an AnnData as tables.

Every function reads the slots that `grn.tl.infer` writes; `key` is its `key_added`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn import analysis
from grn._errors import InputError, did_you_mean
from grn.analysis import Comparison, regulon_sets
from grn.network.network import GeneNetwork
from grn.network.slots import from_anndata

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["centrality", "compare", "edges", "network", "parameters", "regulators", "regulon_sets", "regulons"]


def network(adata: AnnData, key: str = "grn") -> GeneNetwork:
    """The network of an AnnData.

    Raises
    ------
    KeyError
        If there is no network under `key`.
    """
    return from_anndata(adata, key)


def parameters(adata: AnnData, key: str = "grn") -> dict[str, Any]:
    """How the network of an AnnData was made: method, seed, cells, how the data were read, and more.

    Parameters
    ----------
    adata
        AnnData in which a network was inferred.
    key
        Where it is.

    Returns
    -------
    dict
        A copy as plain Python values; in ``adata.uns[key]["params"]`` the same stands as one JSON text, because a file
        holds no missing values otherwise.

    Raises
    ------
    KeyError
        If there is no network under `key`.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all", method="ridge", seed=3)
    >>> made = grn.get.parameters(adata)
    >>> made["method"], made["seed"], made["cells"]
    ('ridge', 3, 640)
    """
    return copy.deepcopy(dict(from_anndata(adata, key).params))


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


def regulons(
    adata: AnnData | GeneNetwork,
    key: str = "grn",
    *,
    top: int | None = None,
    per_target: int | None = None,
    fdr: float | None = None,
    min_targets: int = 5,
    group: str | None = None,
) -> pd.DataFrame:
    """The signed regulons of a network: for each regulator the targets it activates and those it represses.

    The same as :func:`grn.analysis.regulons`, which says how the edges are chosen, on the network of an AnnData (under
    `key`) or on a network. :func:`regulon_sets` makes gene sets of the table.

    Returns
    -------
    DataFrame
        `regulator`, `sign`, `target`, `weight`, `rank`.

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        For an unknown group, numbers out of range, or `fdr` where the edges have no q-values.
    """
    settings = {"top": top, "per_target": per_target, "fdr": fdr, "min_targets": min_targets, "group": group}
    return analysis.regulons(_network_of(adata, key), **settings)  # type: ignore[arg-type]


def centrality(
    adata: AnnData | GeneNetwork, key: str = "grn", *, top: int | None = 1000, group: str | None = None
) -> pd.DataFrame:
    """Degrees, strengths, PageRank, betweenness and harmonic centrality of genes among the strongest edges.

    The same as :func:`grn.analysis.centrality`, which defines them, on the network of an AnnData (under `key`) or on a
    network.

    Returns
    -------
    DataFrame
        Indexed by gene, highest PageRank first.

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        For an unknown group, or `top` below 1.
    """
    return analysis.centrality(_network_of(adata, key), top=top, group=group)


def compare(
    a: AnnData | GeneNetwork,
    b: AnnData | GeneNetwork,
    key: str = "grn",
    other_key: str | None = None,
    *,
    top: int | Sequence[int] = (100, 1000, 10_000),
    differences: int = 1000,
    group: str | None = None,
    other_group: str | None = None,
) -> Comparison:
    """Compare two networks: shared edges, rank correlations, opposite signs, the edges that differ most.

    The same as :func:`grn.analysis.compare`, which says what the figures mean, on networks of AnnData or on networks.

    Parameters
    ----------
    a, b
        AnnData with networks, or networks.
    key, other_key
        Where the networks of `a` and `b` are; `other_key` is `key` where it is not given.
    top, differences, group, other_group
        As in :func:`grn.analysis.compare`.

    Raises
    ------
    KeyError
        If there is no network under a key.
    InputError
        If the networks share no pair of genes, a group is unknown or has to be chosen, or a number is below 1.
    """
    first, second = _network_of(a, key), _network_of(b, key if other_key is None else other_key)
    return analysis.compare(first, second, top=top, differences=differences, group=group, other_group=other_group)


def _network_of(adata: AnnData | GeneNetwork, key: str) -> GeneNetwork:
    return adata if isinstance(adata, GeneNetwork) else from_anndata(adata, key)


def _check_names(column: str, names: list[str], known: pd.Index) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        kind = "regulator" if column == "source" else "gene"
        raise InputError(
            f"{column}={unknown[0]!r} is no {kind} of the network, which has {len(known)}."
            f"{did_you_mean(str(unknown[0]), known)}"
        )
