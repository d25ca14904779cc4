"""Edges that differ between groups of the cells of an AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._process import unchanged_process
from grn.tl._slots import checked_again

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@unchanged_process()
def differential(
    adata: AnnData,
    group_by: str,
    *,
    group: str | None = None,
    reference: str = "rest",
    tf: str | Sequence[str] | None = None,
    key: str = "grn",
    layer: str | None = None,
    batch_key: str | None = None,
    allow_negative: bool = False,
    permutations: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the edges between groups of cells: effect, p-value and q-value of every pair of regulator and gene.

    One fit over all cells serves all groups; p-values come from permuted labels. See docs/contexts.md.

    Parameters
    ----------
    adata
        Expression (cells, genes): counts, or log1p of normalised counts.
    group_by
        Column of `adata.obs` with the groups.
    group
        Compare this group; None: every group in turn, or with two groups the first with the second.
    reference
        The group to compare with, or "rest": all other cells.
    tf
        Which genes may regulate, as in :func:`infer`. Default: the regulators of the network under `key`.
    key
        Where a network is. Without `tf` its layer and batches are used as well as its regulators.
    layer, batch_key, allow_negative
        As in :func:`grn.pp.check`.
    permutations
        Of the labels; None: as many as two million null statistics need, between 2 and 50.
    seed
        Of the permutations.

    Returns
    -------
    DataFrame
        One row for each pair and comparison, the smallest p-value first: `source`, `target`, `group`, `reference`,
        `effect` (weight in the group minus weight in the reference), `weight_group`, `weight_reference` (slopes, in
        standard deviations within groups), `statistic`, `pvalue`, `qvalue`.

    Raises
    ------
    InputError
        If there is no such column or group, a group has fewer than 10 cells, or neither `tf` nor a network says which
        genes regulate.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.simulated(n_cells=200, n_genes=40, n_tfs=8, n_masters=3, n_cell_types=2, seed=0)
    >>> table = grn.tl.differential(adata, "cell_type", tf="all")
    >>> table.columns[:5].tolist()
    ['source', 'target', 'group', 'reference', 'effect']
    """
    from grn.analysis.differential import differential as compare
    from grn.data import check
    from grn.data.given import require_anndata
    from grn.network import from_anndata

    require_anndata(adata, "grn.tl.differential")
    if tf is None:
        if key not in adata.uns:
            raise InputError(
                f"tf must say which genes regulate, for instance tf='human': there is no network under {key!r} either."
            )
        network = from_anndata(adata, key)
        leave = allow_negative or None
        checked = checked_again(
            adata, network, group_by=group_by, layer=layer, batch_key=batch_key, allow_negative=leave
        )
    else:
        checked = check(
            adata, tf=tf, layer=layer, group_by=group_by, batch_key=batch_key, allow_negative=allow_negative
        )
    return compare(checked, group=group, reference=reference, permutations=permutations, seed=seed)
