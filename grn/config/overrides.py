"""Overrides as a user types them, made into overrides that Hydra's grammar reads as they were meant."""

from __future__ import annotations

import dataclasses
import re
import typing
from functools import cache
from typing import Any

from grn._files import user_path
from grn.config.types import members_of

_CHANGES_TFS = re.compile(r"(^|,)[+-]")
# Hydra makes these itself, before anything of ours sees them.
_HYDRAS_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
# Functions of Hydra's grammar: a sweep, a cast, a modifier. A file may be called `cells (1).h5ad`, but not like these.
_FUNCTION = re.compile(
    r"(choice|range|interval|glob|shuffle|sort|tag|str|int|float|bool|json_str|extend_list)\(.*\)", re.DOTALL
)


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


@dataclasses.dataclass(frozen=True)
class _Text:
    """A setting that holds text: whether null leaves it out, and whether it may hold a list of texts."""

    optional: bool
    several: bool


@cache
def text_settings(command: str) -> dict[str, _Text]:
    """Settings of a command that hold text by its schema, such as `group`, `name` or `dynamics.columns`.

    Parameters
    ----------
    command
        A name in `grn.config.schema.COMMANDS`.
    """
    from grn.config.schema import COMMANDS

    found: dict[str, _Text] = {}
    if command in COMMANDS:
        _collect(COMMANDS[command], "", found)
    return found


def _collect(schema: type, prefix: str, found: dict[str, _Text]) -> None:
    for name, annotation in typing.get_type_hints(schema).items():
        members = members_of(annotation)
        nested = next((member for member in members if dataclasses.is_dataclass(member)), None)
        if nested is not None:
            _collect(typing.cast(type, nested), f"{prefix}{name}.", found)
        elif text := _as_text(annotation):
            found[f"{prefix}{name}"] = text


def _as_text(annotation: Any) -> _Text | None:
    """What an annotation says of a setting that holds text; None where it may hold a number too, or no text."""
    members = members_of(annotation)
    if str not in members or {int, float, bool} & set(members):
        return None
    return _Text(optional=type(None) in members, several=list[str] in members)


def prepare_override(override: str, command: str = "train") -> str:
    r"""Quote the value of a `key=value` override where Hydra would refuse or misread it.

    Hydra reads `group=1` as a number, `group=1_000` as the number 1000 and `group=true` as a truth value. Where the
    command's schema says that a setting holds text, the value stays the text that was typed; `null` leaves an optional
    setting out, and `'"null"'` is the text. Paths with brackets, accents, quotes or equal signs cannot be parsed
    unquoted; `tf=human,+GENE,-GENE` would be read as a sweep over three values, and so would `ko=GATA1,TAL1` over two.
    Dictionaries and values that are quoted already are left alone.

    Parameters
    ----------
    override
        One argument of the command line, such as ``data.path=my (1).h5ad``.
    command
        The command that it is for.

    Returns
    -------
    str
        The same override, its value quoted if need be.

    Examples
    --------
    >>> prepare_override("data.path=cells (1).h5ad")
    'data.path="cells (1).h5ad"'
    >>> prepare_override("group=1", "export")
    'group="1"'
    >>> prepare_override("tf=human,+GATA1,-SPI1")
    'tf="human,+GATA1,-SPI1"'
    >>> prepare_override("tf=human,mouse")
    'tf=human,mouse'
    """
    key, equals, value = override.partition("=")
    if not equals or not value or value[0] in "'\"":
        return override
    if key in _HYDRAS_FOLDERS and value[0] in "~$":
        value = str(user_path(value))
        override = f"{key}={value}"
    text = _text_of(key.lstrip("+"), value, command)
    if value[0] == "[" and value[-1] == "]":
        return f"{key}={_quoted_list(value)}" if text is not None and text.several else override
    if value[0] in "[{":
        # A list or a dictionary ends with its bracket; a file may be called `[new] cells.h5ad`.
        return override if value[-1] in "]}" or _parses(override) else f"{key}={quote(value)}"
    changes_tfs = key.lstrip("+").rpartition(".")[2] == "tf" and _CHANGES_TFS.search(value)
    names_genes = key in ("ko", "oe") and "," in value
    if text is not None and (value == "null" and text.optional):
        return override
    plain_text = text is not None and "," not in value and not _FUNCTION.fullmatch(value)
    if changes_tfs or names_genes or plain_text or not _parses(override):
        return f"{key}={quote(value)}"
    return override


def _text_of(key: str, value: str, command: str) -> _Text | None:
    """What is known of a setting that holds text; None for others."""
    known = text_settings(command)
    if key in known or not key.startswith("data.") or not _misread(f"{key}={value}"):
        return known.get(key)
    # Settings of a reader: only its signature tells, and that is worth an import only where a value would be misread.
    from grn.config.registry import PLACES
    from grn.config.targets import imported, parameters

    for target in PLACES["data"].entries:
        parameter = parameters(imported(target)).get(key.removeprefix("data."))
        if parameter is not None and (text := _as_text(parameter.annotation)):
            return text
    return None


def _misread(override: str) -> bool:
    return _parses(override) and not isinstance(_parser().parse_override(override).value(), str)


def _quoted_list(value: str) -> str:
    """A list of names with every name quoted, unless names in it are quoted or nested already."""
    inner = value[1:-1]
    if not inner.strip() or any(mark in inner for mark in "\"'[]{}"):
        return value
    return f"[{','.join(quote(name.strip()) for name in inner.split(','))}]"
