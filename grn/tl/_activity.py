"""The activity of regulators in the cells of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grn._process import unchanged_process
from grn.tl._slots import check_key

if TYPE_CHECKING:
    from anndata import AnnData

    from grn.network import GeneNetwork


@unchanged_process()
def activity(
    adata: AnnData,
    network: GeneNetwork | None = None,
    *,
    key: str = "grn",
    method: str = "ulm",
    layer: str | None = None,
    top: int | None = None,
    per_target: int | None = None,
    fdr: float | None = None,
    min_targets: int = 5,
    group: str | None = None,
    group_by: str | None = None,
    centre: bool = False,
    allow_negative: bool = False,
    key_added: str = "grn_activity",
    copy: bool = False,
) -> AnnData | None:
    """Activity of regulators in every cell, from the expression of their targets.

    Needs decoupler: pip install "grn[activity]". See docs/analysis.md for what the scores mean; scored on the cells the
    network was inferred from, they are no independent evidence for it.

    Parameters
    ----------
    adata
        Expression (cells, genes): counts, or log1p of normalised counts.
    network
        The network, for instance one of other cells. Default: the one under `key`.
    key
        Where the network of `adata` is.
    method
        "ulm" (t-value of expression regressed on the weights), "mlm", "viper", or "aucell", "gsva", "ora", which take
        activated and repressed targets as two sets, `A(+)` and `A(-)`.
    layer, allow_negative
        As in :func:`grn.pp.check`. Counts are log-normalised as there.
    top, per_target, fdr, min_targets
        Which edges make the regulons; see :func:`grn.get.regulons`.
    group
        Score the regulons of this group's network in all cells; without it, those of the mean over groups.
    group_by
        Column of `adata.obs` with names of the network's groups: score in each cell the regulons of its own group.
    centre
        Subtract from each gene its mean over cells first.
    key_added
        Name of the slots.
    copy
        Return a copy with the result instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Writes

    - ``.obsm[key_added]`` DataFrame (cells, regulators); NaN for cells without any expression
    - ``.obsm[key_added + "_padj"]`` of the same shape, adjusted p-values, where the method has them
    - ``.uns[key_added]`` how they were made

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        If decoupler is not installed, the data do not pass the gate, the network and the data share no gene, no regulon
        has enough targets, or a name is unknown.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all", method="ridge")
    >>> grn.tl.activity(adata, min_targets=3)
    >>> adata.obsm["grn_activity"].shape
    (640, 9)
    """
    from grn._log import logger
    from grn.analysis import activity as score
    from grn.data.given import require_anndata
    from grn.network import from_anndata

    require_anndata(adata, "grn.tl.activity", copy=copy)
    check_key(key_added)
    found = score(
        from_anndata(adata, key) if network is None else network,
        adata,
        method=method,
        layer=layer,
        top=top,
        per_target=per_target,
        fdr=fdr,
        min_targets=min_targets,
        group=group,
        group_by=group_by,
        centre=centre,
        allow_negative=allow_negative,
    )
    if slashed := [name for name in found.scores if "/" in str(name)]:
        logger.warning(
            "The regulator %r has a '/' in its name, which columns in .h5ad cannot have: rename it in adata.obsm[%r] "
            "before writing",
            slashed[0],
            key_added,
        )
    target = adata.copy() if copy else adata
    target.obsm[key_added] = found.scores
    # A p-value of an earlier method must not stand beside the new scores.
    target.obsm.pop(f"{key_added}_padj", None)
    if found.padj is not None:
        target.obsm[f"{key_added}_padj"] = found.padj
    target.uns[key_added] = found.params
    return target if copy else None
