"""Errors a user can act on: what was given, what was expected, what to do next."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """The input cannot be used as it is; the message says why and what to do."""


_commanded = False


@contextmanager
def on_the_command_line() -> Iterator[None]:
    """Within the block, messages give advice as a command takes it; elsewhere as Python does."""
    global _commanded
    before, _commanded = _commanded, True
    try:
        yield
    finally:
        _commanded = before


def setting(command: str, python: str) -> str:
    """How the user writes a setting: the first in a command, the second in Python.

    Examples
    --------
    >>> setting("data.backed=true", "backed=True")
    'backed=True'
    """
    return command if _commanded else python


def argument(name: str, value: object, node: str = "") -> str:
    """An argument with its value as the user writes it; `node` is the configuration's node that holds it.

    Examples
    --------
    >>> argument("layer", "raw", "data")
    "layer='raw'"
    """
    if not _commanded:
        return f"{name}={value!r}"
    return f"{node}.{name}={value}" if node else f"{name}={value}"


def printable(text: str) -> str:
    r"""The text as a terminal may show it: what would steer the terminal, or turn the reading order, is written out.

    A name of a gene may hold such characters, by damage or by intent.

    Examples
    --------
    >>> printable("GATA1\x1b[2J")
    'GATA1\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else ascii(letter)[1:-1]
        for letter in text
    )


def near_misses(name: str, choices: Iterable[str], limit: int = 3) -> list[str]:
    """Choices that look like `name`, the closest first; letter case and separators are ignored.

    Parameters
    ----------
    name
        What was given.
    choices
        What would have been accepted.
    limit
        At most this many names are returned.
    """

    def fold(text: str) -> str:
        return "".join(letter for letter in text.casefold() if letter.isalnum())

    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(fold(choice), choice)
    close = difflib.get_close_matches(fold(name), folded, n=limit, cutoff=0.7)
    return [folded[key] for key in close]


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Sentence naming the near misses of `name`, or the empty string where there is none."""
    close = near_misses(name, choices)
    return f" Did you mean {' or '.join(repr(choice) for choice in close)}?" if close else ""
