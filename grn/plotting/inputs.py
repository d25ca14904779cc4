"""What the figures are given, looked at: a network with something to draw, numbers within bounds, names that exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grn._errors import InputError, did_you_mean
from grn.network.network import GeneNetwork
from grn.network.slots import from_anndata

if TYPE_CHECKING:
    from anndata import AnnData


def read_network(adata_or_network: AnnData | GeneNetwork, key: str) -> GeneNetwork:
    """The network itself, or the one of an AnnData.

    Raises
    ------
    KeyError
        If the AnnData has none under `key`.
    TypeError
        If it is neither an AnnData nor a network.
    """
    if isinstance(adata_or_network, GeneNetwork):
        return adata_or_network
    if not hasattr(adata_or_network, "uns"):
        kind = type(adata_or_network).__name__
        raise TypeError(f"Expected an AnnData with a network, or a GeneNetwork, got a {kind}.")
    return from_anndata(adata_or_network, key)


def drawable(adata_or_network: AnnData | GeneNetwork, key: str, group: str | None) -> GeneNetwork:
    """A network without groups: that of `group`, or the mean over groups.

    Raises
    ------
    KeyError, TypeError
        As :func:`read_network`.
    InputError
        If there is no such group, or no edge to draw.
    """
    whole = read_network(adata_or_network, key)
    whole = whole.ungrouped() if group is None else whole.of_group(group)
    if not len(whole):
        raise InputError("The network has no edges, so there is nothing to draw.")
    return whole


def check_number(name: str, value: Any, low: int, high: int, what: str) -> None:
    """Refuse what is no whole number from `low` to `high`; `what` says of what, and why no more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r}: expected a whole number.")
    if not low <= value <= high:
        raise InputError(f"{name}={value}: expected {low:,} to {high:,} {what}.")


def check_names(names: Sequence[str], known: Iterable[str], kind: str, where: str) -> None:
    """Refuse names that are not among the known ones, with near misses; also no name, or one given twice."""
    known = list(known)
    if not names:
        raise InputError(f"No {kind} was given; {where} has {len(known):,}.")
    there = set(known)
    for place, name in enumerate(names):
        if name not in there:
            raise InputError(
                f"{name!r} is no {kind} of {where}, which has {len(known):,}.{did_you_mean(str(name), map(str, known))}"
            )
        if name in names[:place]:
            raise InputError(f"The {kind} {name!r} was given twice.")
