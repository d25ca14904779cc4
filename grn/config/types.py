"""Does a value from a configuration fit an annotation? One rule for dataclass fields and signatures."""

from __future__ import annotations

import collections.abc
import types
import typing
from pathlib import Path
from typing import Any

_ANYTHING = (Any, object, typing.Callable, collections.abc.Callable)
_SEQUENCES = (list, tuple, set, frozenset)
_ABSTRACT_SEQUENCES = (
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.MutableSequence,
)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def members_of(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def describe(annotation: Any) -> str:
    """Annotation in words a user of YAML reads: `text`, `whole number`, `one of 'a', 'b'`, `list of text`."""
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
        None: "null",
        Path: "a path",
        list: "a list",
        tuple: "a list",
        dict: "a dictionary",
    }
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(annotation))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(member) for member in typing.get_args(annotation)))
    if origin in _SEQUENCES or origin in _ABSTRACT_SEQUENCES:
        members = [member for member in typing.get_args(annotation) if member is not ...]
        return f"a list of {' and '.join(describe(member) for member in members)}" if members else "a list"
    if origin in _MAPPINGS:
        return "a dictionary"
    if isinstance(annotation, str):
        return annotation
    return words.get(annotation) or str(getattr(annotation, "__name__", annotation))


def fits(annotation: Any, value: Any) -> bool:
    """Whether `value`, made of what YAML can hold, may be given where `annotation` is asked for.

    A whole number is a number, but true is not a number and "3" is not one either. A dictionary with
    `_target_` builds an object, so it fits every class. Annotations that cannot be resolved accept anything.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, (str, typing.TypeVar, typing.ForwardRef)) or annotation in _ANYTHING:
        return True
    if origin is collections.abc.Callable:
        return isinstance(value, dict) and "_target_" in value
    if origin is typing.Annotated:
        return fits(arguments[0], value)
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return any(fits(member, value) for member in arguments)
    if annotation in (None, type(None)):
        return value is None
    if annotation is bool or annotation is int:
        return type(value) is annotation
    if annotation is float:
        return type(value) in (int, float)
    if annotation in (str, Path):
        return isinstance(value, str)
    kind = origin or annotation
    if kind in _SEQUENCES or kind in _ABSTRACT_SEQUENCES:
        return _fits_sequence(kind, arguments, value)
    if kind in _MAPPINGS:
        return isinstance(value, dict)
    return isinstance(value, dict) and "_target_" in value


def _fits_sequence(kind: Any, arguments: tuple[Any, ...], value: Any) -> bool:
    if isinstance(value, str) or not isinstance(value, collections.abc.Sequence):
        return False
    if kind is tuple and arguments and arguments[-1] is not ...:
        return len(value) == len(arguments) and all(map(fits, arguments, value))
    return all(fits(arguments[0], item) for item in value) if arguments else True
