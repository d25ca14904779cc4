"""Overrides as a user types them, made into overrides that Hydra's grammar reads as they were meant."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_ADDED_OR_REMOVED = re.compile(r"(^|,)[+-]")
_PLAIN_NAME = re.compile(r"[\w.+-]+")


@cache
def _parser() -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()


def _parses(override: str) -> bool:
    from hydra.errors import HydraException

    try:
        _parser().parse_override(override)
    except HydraException:
        return False
    return True


def quote(value: str) -> str:
    """`value` as a quoted string of Hydra's grammar."""
    # A backslash before a quote or at the end would escape it; elsewhere it stands for itself.
    escaped = re.sub(r"(\\*)(\"|$)", lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], value)
    return f'"{escaped}"'


def prepare_override(override: str) -> str:
    r"""Quote the value of a `key=value` override where Hydra would refuse or misread it.

    Paths with brackets, accents, quotes or equal signs cannot be parsed unquoted; `tf=human,+GENE,-GENE`
    would be read as a sweep over three values, and so would `ko=GATA1,TAL1` over two; a `name` of digits alone would be
    read as a number. Lists, dictionaries and values that are quoted already are left alone.

    Parameters
    ----------
    override
        One argument of the command line, such as ``data.path=my (1).h5ad``.

    Returns
    -------
    str
        The same override, its value quoted if need be.

    Examples
    --------
    >>> prepare_override("data.path=cells (1).h5ad")
    'data.path="cells (1).h5ad"'
    >>> prepare_override("tf=human,+GATA1,-SPI1")
    'tf="human,+GATA1,-SPI1"'
    >>> prepare_override("tf=human,mouse")
    'tf=human,mouse'
    """
    key, equals, value = override.partition("=")
    if not equals or not value or value[0] in "[{'\"":
        return override
    names_tfs = key.lstrip("+").rpartition(".")[2] == "tf" and _ADDED_OR_REMOVED.search(value)
    names_genes = key in ("ko", "oe") and "," in value
    is_name = key == "name" and value != "null" and _PLAIN_NAME.fullmatch(value)
    if names_tfs or names_genes or is_name or not _parses(override):
        return f"{key}={quote(value)}"
    return override
