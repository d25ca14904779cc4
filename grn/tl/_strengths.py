"""How much each regulator does in each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grn._process import unchanged_process
from grn.tl._slots import check_key, checked_again

if TYPE_CHECKING:
    from anndata import AnnData


@unchanged_process()
def strengths(
    adata: AnnData,
    *,
    key: str = "grn",
    layer: str | None = None,
    group_by: str | None = None,
    batch_key: str | None = None,
    allow_negative: bool = False,
    key_added: str = "grn_strength",
    copy: bool = False,
) -> AnnData | None:
    """Out-strength of every regulator in every cell: the size of all that it contributes there.

    For regulator j in cell c, with z the standardised expression and w the weights of the cell's group (or of the one
    network),

        strength_cj = |z_cj| sqrt(sum_i w_ji^2)

    Time and memory grow with cells x regulators: no cell's network is formed.

    Parameters
    ----------
    adata
        The AnnData in which the network was inferred, or other cells of the same genes.
    key
        Where the network is.
    layer, group_by, batch_key, allow_negative
        As in :func:`grn.pp.check`; by default those of the network.
    key_added
        Name of the slot.
    copy
        Return a copy with the result instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Writes

    - ``.obsm[key_added]`` DataFrame (cells, regulators), float32, not negative

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        If the data do not pass the gate, hold fewer than two of the regulators, or cells of groups that the network
        does not know.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all")
    >>> grn.tl.strengths(adata)
    >>> adata.obsm["grn_strength"].shape
    (640, 11)
    """
    from grn.analysis.strengths import strengths as size
    from grn.network import from_anndata

    check_key(key_added)
    network = from_anndata(adata, key)
    checked = checked_again(
        adata, network, layer=layer, group_by=group_by, batch_key=batch_key, allow_negative=allow_negative or None
    )
    found = size(network, checked)
    target = adata.copy() if copy else adata
    target.obsm[key_added] = found
    return target if copy else None
