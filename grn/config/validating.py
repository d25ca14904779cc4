"""A composed configuration is checked whole before anything is loaded: names, types, ranges, targets."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from grn._errors import InputError, did_you_mean
from grn.config.plain import plain_config
from grn.config.schema import COMMANDS, Data, Model
from grn.config.targets import check_target, check_tree
from grn.config.types import describe, fits

# Bounds of numbers by their key, wherever it stands: a run must not fail on them after it has trained.
_AT_LEAST = {
    "seed": 0,
    **dict.fromkeys(("noise", "strength"), 0),
    **dict.fromkeys(("epochs", "steps_per_epoch", "batch_size", "patience"), 1),
    **dict.fromkeys(("head_dim", "dim", "layers", "heads"), 1),
    **dict.fromkeys(("workers", "time_limit"), 1),
    **dict.fromkeys(("num_nodes",), 1),
    **dict.fromkeys(("graphml_top", "figure_top", "top", "per_target"), 1),
}
_AT_MOST = {
    "seed": 2**32 - 1,
    "graphml_top": 200_000,
    "figure_top": 200,
    # Beyond these a mistyped number, or one of a stranger's file, would take the machine's memory or processes.
    **dict.fromkeys(("devices", "num_nodes"), 1024),
    **dict.fromkeys(("epochs", "steps_per_epoch", "batch_size", "patience"), 10**9),
    **dict.fromkeys(("dim", "layers", "heads"), 2**16),
}


def validate(cfg: Any, command: str = "train", *, absent: Sequence[str] = ()) -> None:
    """Check a composed configuration.

    Parameters
    ----------
    cfg
        What `compose` or Hydra made, or a plain dictionary of the same shape.
    command
        The command it is for: a name in `grn.config.schema.COMMANDS`, such as ``train``.
    absent
        Keys that need not be there, because what is checked was written without them.

    Raises
    ------
    grn._errors.InputError
        For an unknown or missing key (near misses are named), a value of the wrong type or out of range, a
        `_target_` that is not allowed, or a setting its target does not have.

    Examples
    --------
    >>> from grn.config import compose, validate
    >>> validate(compose("evaluate", ["network=a.tsv", "reference=b.csv"]), "evaluate")
    """
    if command not in COMMANDS:
        raise InputError(f"There is no command {command!r}.{did_you_mean(command, COMMANDS)}")
    plain = plain_config(cfg)
    _check_node(COMMANDS[command], plain, "", absent)
    _check_bounds(plain)


def _schema_of(annotation: Any) -> Any:
    """The dataclass in `annotation`, which may be a union with None."""
    members = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((member for member in members if dataclasses.is_dataclass(member)), None)


def _check_node(schema: type, node: Mapping[str, Any], where: str, absent: Sequence[str] = ()) -> None:
    hints = typing.get_type_hints(schema)
    prefix = f"{where}." if where else ""
    optional = {field.name for field in dataclasses.fields(schema) if field.default is not dataclasses.MISSING}
    for key in hints:
        if key not in node and key not in optional and key not in absent:
            raise InputError(f"{prefix}{key} is missing from the configuration and must be set: add {prefix}{key}=...")
    built = schema in (Data, Model)
    if built:
        check_target(node, where, own=tuple(hints))
    for key, value in node.items():
        if key in hints:
            _check_value(hints[key], value, f"{prefix}{key}")
        elif not built:
            raise InputError(
                f"{prefix}{key} is not a key of the configuration.{did_you_mean(key, hints)} "
                f"There {'is' if len(hints) == 1 else 'are'}: {', '.join(hints)}."
            )


def _check_value(annotation: Any, value: Any, where: str) -> None:
    schema = _schema_of(annotation)
    if schema is not None and isinstance(value, Mapping):
        _check_node(schema, value, where)
        return
    if not (fits(annotation, value) or (value is None and fits(annotation, None))):
        raise InputError(f"{where} = {value!r} ({type(value).__name__}) does not fit: expected {describe(annotation)}.")
    check_tree(value, where)


def _check_bounds(node: Mapping[str, Any], where: str = "") -> None:
    for key, value in node.items():
        if isinstance(value, Mapping):
            _check_bounds(value, f"{where}{key}.")
        elif isinstance(value, (int, float)):
            if not math.isfinite(value):
                raise InputError(f"{where}{key} = {value} is not a finite number.")
            if value < _AT_LEAST.get(key, value):
                raise InputError(f"{where}{key} = {value!r} is too small: it must be at least {_AT_LEAST[key]}.")
            if value > _AT_MOST.get(key, value):
                raise InputError(f"{where}{key} = {value!r} is too large: it must be at most {_AT_MOST[key]:,}.")
