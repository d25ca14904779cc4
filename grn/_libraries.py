"""Whose error it is: the package's own, or that of a library that it calls."""

from __future__ import annotations

import sys
from importlib import metadata
from traceback import walk_tb

# What the libraries say when memory ran out, beside MemoryError itself.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "failed to allocate")


def raised_in(error: BaseException) -> str | None:
    """The library whose code raised an error, with its version; None where it was ours.

    Parameters
    ----------
    error
        As it was caught: its traceback tells.

    Examples
    --------
    >>> import json
    >>> try:
    ...     json.loads("{")
    ... except ValueError as error:
    ...     raised_in(error)
    'Python'
    """
    name = ""
    for frame, _ in walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
    package = name.partition(".")[0]
    if package == "grn":
        return None
    if package in sys.stdlib_module_names and package != "__main__":
        return "Python"
    distributions = metadata.packages_distributions().get(package)
    return f"{distributions[0]} {metadata.version(distributions[0])}" if distributions else None


def said(error: BaseException) -> str:
    """An error in one piece: its kind and its text."""
    text = str(error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of its GPU ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, (RuntimeError, OSError)) and any(words in text for words in _OUT_OF_MEMORY)
    )
