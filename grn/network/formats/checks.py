"""Refusals and small things that several formats share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from grn._errors import InputError, setting
from grn._log import logger
from grn._opening import READING_ERRORS, unreadable
from grn.network.table import EVIDENCE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from grn.network.network import GeneNetwork


# What ends a field or a line of a format that cannot quote, and the mark that text files begin with.
LETTERS = r"[\t\n\r\x00\ufeff]"


def refuse_groups(network: GeneNetwork, name: str) -> None:
    """Refuse a network with groups for a format that has no place for them."""
    if network.groups:
        raise InputError(
            f"A {name} file has no place for groups, and this network has {len(network.groups)}: "
            f"{', '.join(map(repr, network.groups[:3]))}... Write one of them with "
            + setting(f"group={network.groups[0]}.", f"network.of_group({network.groups[0]!r}).write(...).")
        )


def refuse_many(network: GeneNetwork, name: str, limit: int) -> None:
    """Refuse more edges than programs that draw graphs can hold."""
    if len(network) > limit:
        raise InputError(
            f"{name} is for at most {limit:,} edges, and this network has {len(network):,}. Write "
            f"fewer, e.g. {setting(f'top={limit}', f'network.top({limit})')} or "
            f"{setting('per_target=10', 'network.per_target(10)')}, or choose parquet or tsv."
        )


def refuse_names(names: Iterable[str], name: str, wrong: str, remedy: str) -> None:
    """Refuse names with a letter that a format has no place for; `wrong` is a regular expression of such letters."""
    found = [one for one in names if re.search(wrong, one)]
    if found:
        raise InputError(
            f"{len(found)} names hold a letter that a {name} file cannot, such as {found[0]!r}. Rename them, or choose "
            f"{remedy}."
        )


def warn_of_signs(network: GeneNetwork, name: str) -> None:
    """Say it where a format will take the weights of an unsigned network for activation."""
    if not network.signed:
        logger.warning(
            "The network does not tell activation from repression, but %s takes every positive weight for activation.",
            name,
        )


def broken(path: Path, name: str, error: Exception) -> InputError:
    """The error for a file that cannot be opened, is damaged, or is of another kind than its name says."""
    if isinstance(error, READING_ERRORS):
        return unreadable(
            path,
            error,
            "the network",
            expected=f"Expected {name}; if it is of another kind, {another_kind(path)}",
        )
    return InputError(
        f"{path} cannot be read as {name}: {error} The file may be cut short or of another kind: "
        f"{another_kind(path)}, or write it again."
    )


def another_kind(path: Path) -> str:
    """How to say of which format a network is: by an argument, which commands that read one lack, or by its ending."""
    return setting(
        f"say so by its ending: mv {path} {path.with_suffix('')}.ENDING with an ending of docs/formats.md, such as "
        ".scenic.tsv",
        "name that with format=...",
    )


def written_numbers(edges: pd.DataFrame) -> dict[str, list[Any]]:
    """Weight, sign and evidence as plain numbers with no more digits than they need.

    Through text: float(np.float32(0.1)) would be written as 0.10000000149011612.
    """
    real = {name: edges[name].astype(str).astype(float).tolist() for name in ("weight", *EVIDENCE) if name in edges}
    return {"weight": real.pop("weight"), "sign": edges["sign"].tolist(), **real}
