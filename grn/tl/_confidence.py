"""Confidence, p-values and q-values for the network of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._process import unchanged_process
from grn.tl._slots import checked_again

if TYPE_CHECKING:
    from anndata import AnnData


@unchanged_process()
def confidence(
    adata: AnnData,
    *,
    key: str = "grn",
    resamples: int = 20,
    permutations: int | None = None,
    cells: int | None = 10_000,
    copy: bool = False,
) -> AnnData | None:
    """Say how sure each edge of a network is: stability, p-value and q-value.

    The same as `grn.tl.infer(..., confidence=True)`, for a network that is there. See docs/confidence.md for what the
    numbers mean.

    Parameters
    ----------
    adata
        The AnnData in which the network was inferred, with its cells and genes.
    key
        Where the network is.
    resamples
        Halves of the cells in which every edge is sought again, an even number.
    permutations
        Of every gene, for the p-values; None: as many as two million null statistics need, between 2 and 50.
    cells
        P-values come from at most so many cells of each group; None for all.
    copy
        Return a copy with the result instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Adds to the edges in ``.uns[key]`` the columns

    - ``confidence``: share of the halves in which the edge has its sign and is among the strongest
    - ``pvalue``: of the edge, given all other regulators, against permuted genes
    - ``qvalue``: Benjamini and Hochberg's, over all pairs of regulator and gene

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        If the network was not made by :func:`infer`, or from other genes, or by a model that needs long training.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all")
    >>> grn.tl.confidence(adata)
    >>> grn.get.edges(adata).columns.tolist()
    ['source', 'target', 'weight', 'sign', 'confidence', 'pvalue', 'qvalue']
    """
    from grn.data.given import require_anndata
    from grn.evaluation.baselines import BASELINES
    from grn.network import add_to_anndata, from_anndata
    from grn.pipeline.confidence import with_confidence

    require_anndata(adata, "grn.tl.confidence", copy=copy)
    network = from_anndata(adata, key)
    params = network.params
    by_method = params.get("method") in BASELINES
    if "seed" not in params or "readout" not in params or not (by_method or "model" in params):
        raise InputError(
            f"The network under {key!r} does not say how it was made, so it cannot be made again from other cells: use "
            "one that grn.tl.infer wrote."
        )
    config = {
        "confidence": {"resamples": resamples, "permutations": permutations, "cells": cells},
        "seed": params["seed"],
        "network": {"readout": params["readout"]},
        "method": params["method"] if by_method else None,
        "model": params.get("model"),
        "training": params.get("training"),
    }
    checked = checked_again(adata, network)
    before = params.get("cells"), len(adata.uns[key]["genes"])
    if before != (len(checked.cells), len(checked.genes)):
        raise InputError(
            f"The network under {key!r} is of {before[0]} cells and {before[1]} genes, and these data have "
            f"{len(checked.cells)} and {len(checked.genes)}: use the AnnData that it was inferred in, or infer again."
        )
    found = with_confidence(network, checked, config)
    target = adata.copy() if copy else adata
    add_to_anndata(target, found, key_added=key)
    return target if copy else None
