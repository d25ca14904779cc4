"""What the tools share: slot names, and the data of a network read again as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grn._errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from grn.data import CheckedData
    from grn.network import GeneNetwork

_READ = ("layer", "group_by", "batch_key", "allow_negative")


def check_key(key_added: str) -> None:
    """Refuse a slot name that .h5ad cannot hold."""
    if "/" in key_added or not key_added:
        raise InputError(f"key_added={key_added!r}: expected a name without '/', which .h5ad cannot hold.")


def checked_again(adata: AnnData, network: GeneNetwork, **changes: Any) -> CheckedData:
    """The data after the gate, read as when the network was inferred but for `changes` that are not None."""
    from grn.data import check

    settings: dict[str, Any] = {name: network.params.get(name) for name in _READ}
    settings |= {name: value for name, value in changes.items() if value is not None}
    settings["allow_negative"] = bool(settings["allow_negative"])
    checked = check(adata, tf=list(network.regulators), **settings)
    outside = checked.genes[~checked.genes.isin(adata.var_names)]
    if len(outside):
        raise InputError(
            f"adata.raw has {len(outside)} genes that adata has not, e.g. {outside[0]!r}, so results do not fit into "
            "its slots: use adata.raw.to_adata() instead."
        )
    return checked
