"""A network in the slots of an AnnData: written, survived through h5ad, read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

from grn._errors import InputError, did_you_mean, setting
from grn._log import logger
from grn.network.metadata import CONVENTION, dump_params, version
from grn.network.network import GeneNetwork

if TYPE_CHECKING:
    from anndata import AnnData


def add_to_anndata(adata: AnnData, network: GeneNetwork, key_added: str = "grn") -> None:
    """Store a network in an AnnData, in place.

    Writes
    ------
    uns[key_added]
        `edges` (the table, names as categoricals), `genes`, `regulators`, `params` (JSON text), `version`,
        `convention`.
    varp[key_added]
        Sparse float32 matrix `(genes, genes)` of weights, rows regulate columns; the mean over groups for a
        network with groups.
    var["is_tf"]
        Whether the gene was among the regulators.

    What stood there under the same key is replaced.

    Raises
    ------
    InputError
        If a gene of the network is not in `adata.var_names`, or those are not unique.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from grn.network import GeneNetwork, add_to_anndata
    >>> adata = anndata.AnnData(np.ones((3, 2)))
    >>> adata.var_names = ["A", "B"]
    >>> add_to_anndata(adata, GeneNetwork.from_matrix([[0.0, 0.5]], ["A"], ["A", "B"]))
    >>> float(adata.varp["grn"][0, 1])
    0.5
    """
    from scipy import sparse

    if "/" in key_added or not key_added:
        raise InputError(f"key_added={key_added!r}: expected a name without '/', which .h5ad cannot hold.")
    names = pd.Index(adata.var_names)
    if names.has_duplicates:
        raise InputError(
            f"The genes of the AnnData are not unique, e.g. {names[names.duplicated()][0]!r}; "
            + setting(
                "give other names with data.gene_names=COLUMN of var.",
                "call adata.var_names_make_unique() before inferring the network.",
            )
        )
    place = names.get_indexer(network.genes)
    if (place < 0).any():
        missing = network.genes[place < 0]
        raise InputError(
            f"{len(missing)} of {len(network.genes)} genes of the network are not in the AnnData, e.g. "
            f"{missing[0]!r}.{did_you_mean(missing[0], names)} Use the AnnData the network was made from."
        )
    edges = network.ungrouped().edges
    shape = (len(names), len(names))
    position = (names.get_indexer(pd.Index(edges["source"])), names.get_indexer(pd.Index(edges["target"])))
    adata.varp[key_added] = sparse.csr_matrix((edges["weight"].to_numpy(), position), shape=shape)
    adata.var["is_tf"] = names.isin(network.regulators)
    stored = network.edges.copy()
    for column in ("source", "target", "group"):
        if column in stored:
            stored[column] = stored[column].astype("category")
    adata.uns[key_added] = {
        "edges": stored,
        "genes": network.genes.to_numpy(dtype=object),
        "regulators": network.regulators.to_numpy(dtype=object),
        "params": dump_params(network.params),
        "version": version(),
        "convention": CONVENTION,
    }


def from_anndata(adata: AnnData, key: str = "grn") -> GeneNetwork:
    """Read a network back from the slots that :func:`add_to_anndata` wrote.

    Edges of genes that have since been removed from the AnnData are left out, with their number logged.

    Raises
    ------
    KeyError
        If there is no network under `key`; the keys that hold one are named.
    InputError
        If how it was made (`params`) cannot be read.
    """
    slot = adata.uns.get(key)
    if not (isinstance(slot, dict) and "edges" in slot):
        held = [name for name, value in adata.uns.items() if isinstance(value, dict) and "convention" in value]
        raise KeyError(
            f"adata.uns[{key!r}] holds no network"
            + (f"; there is one under {', '.join(map(repr, held))}." if held else ".")
            + f" {setting('Make one with grn train', 'Run grn.tl.infer(adata) first')}, or name its key."
        )
    edges = slot["edges"].reset_index(drop=True)
    for column in ("source", "target", "group"):
        if column in edges:
            edges[column] = edges[column].astype(object)
    genes = pd.Index(slot["genes"], dtype=object)
    regulators = pd.Index(slot["regulators"], dtype=object)
    gone = genes.difference(adata.var_names)
    if len(gone):
        keep = ~(edges["source"].isin(gone) | edges["target"].isin(gone))
        logger.info(
            "%d genes of the network %r are no longer in the AnnData: %d of its %d edges are left out",
            len(gone), key, int((~keep).sum()), len(keep),
        )  # fmt: skip
        edges = edges[keep].reset_index(drop=True)
        genes, regulators = genes[~genes.isin(gone)], regulators[~regulators.isin(gone)]
    try:
        params = json.loads(slot["params"])
    except (TypeError, ValueError) as error:
        raise InputError(f"adata.uns[{key!r}]['params'] is damaged: it is not the JSON that grn wrote.") from error
    return GeneNetwork(edges, genes, regulators, params)
