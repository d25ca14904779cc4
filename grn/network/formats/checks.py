"""Refusals that several formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grn._errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from grn.network.network import GeneNetwork


def refuse_groups(network: GeneNetwork, name: str) -> None:
    """Refuse a network with groups for a format that has no place for them."""
    if network.groups:
        raise InputError(
            f"A {name} file has no place for groups, and this network has {len(network.groups)}: "
            f"{', '.join(map(repr, network.groups[:3]))}... Write one of them with "
            f"network.of_group({network.groups[0]!r}).write(...)."
        )


def broken(path: Path, name: str, error: Exception) -> InputError:
    """The error for a file that is damaged or of another kind than its name says."""
    return InputError(
        f"{path} cannot be read as {name}: {error} The file may be cut short or of another kind; "
        "name its kind with format=..., or write it again."
    )
