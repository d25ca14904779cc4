"""Objects from configuration: only what is registered for its place, only with settings it has, of fitting types."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from grn._errors import InputError, did_you_mean
from grn._libraries import is_out_of_memory, raised_in
from grn.config.plain import plain_config
from grn.config.registry import PLACES, Buildable
from grn.config.schema import Data
from grn.config.types import describe, fits

_COLLECTING = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def place_of(where: str) -> str | None:
    """The key of `PLACES` that a place of the configuration belongs to, or None where nothing is built.

    Examples
    --------
    >>> place_of("callbacks.early_stopping"), place_of("suite.sets[3].data"), place_of("network")
    ('callbacks.*', 'suite.sets.*.data', None)
    """
    if where in PLACES:
        return where
    parts = re.sub(r"\[\d+\]", ".*", where).split(".")
    if len(parts) == 2 and parts[0] == "callbacks":
        parts[1] = "*"
    found = ".".join(parts)
    return found if found in PLACES else None


def registered(place: str, target: Any, where: str) -> Buildable:
    """The entry of the registry for a `_target_`.

    Parameters
    ----------
    place
        Key of `grn.config.registry.PLACES`.
    target
        Dotted path.
    where
        Place in the configuration, for the message.

    Raises
    ------
    grn._errors.InputError
        If it is not registered for this place; nothing is imported then.
    """
    entries = PLACES[place].entries
    if isinstance(target, str) and target in entries:
        return entries[target]
    short = {name.rpartition(".")[2]: name for name in entries}
    close = did_you_mean(str(target).rpartition(".")[2], short) if isinstance(target, str) else ""
    raise InputError(
        f"{where}._target_ = {_shown(target)} is not allowed: {PLACES[place].what} is built there, which can be "
        f"{' or '.join(entries)}.{close}"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@functools.cache
def imported(target: str) -> Any:
    """The object of a registered path; never called with any other."""
    from importlib import import_module

    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


@functools.cache
def parameters(target: Any) -> dict[str, inspect.Parameter]:
    """Parameters of a class or function by name, their annotations resolved where that is possible."""
    signature = inspect.signature(target)
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, AttributeError, TypeError):
        # Types imported for the type checker alone cannot be resolved; the others of the signature still can.
        hints = {name: _resolve(one.annotation, function) for name, one in signature.parameters.items()}
    return {
        name: one.replace(annotation=hints.get(name, Any))
        for name, one in signature.parameters.items()
        if name != "self"
    }


def _resolve(annotation: Any, function: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    try:
        return typing.get_type_hints(holder, vars(inspect.getmodule(function)))["value"]
    except (NameError, AttributeError, TypeError):
        return Any


def check_place(place: str, node: Any, *, where: str = "", own: tuple[str, ...] = ()) -> None:
    """Check a plain node for a place of `PLACES` as `instantiate` would, without building anything."""
    if not isinstance(node, Mapping):
        raise InputError(f"{where or place} = {_shown(node)} does not fit: expected a dictionary with _target_.")
    check_target(node, where or place, own=own, place=place)


def check_target(node: Mapping[str, Any], where: str, own: tuple[str, ...] = (), place: str | None = None) -> None:
    """Check one dictionary with `_target_`: its target, the names and the types of what would be passed.

    Parameters
    ----------
    node
        Plain dictionary, interpolations resolved.
    where
        Place in the configuration, such as ``data`` or ``callbacks.early_stopping``.
    own
        Keys which are read by `grn` and not passed on.
    place
        Key of `grn.config.registry.PLACES`; None: the one that `where` belongs to.
    """
    place = place_of(where) if place is None else place
    if place is None:
        raise InputError(f"{where or 'The configuration'} has a _target_, but nothing is built there: leave it out.")
    if "_target_" not in node:
        raise InputError(f"{where}._target_ is missing: {PLACES[place].what} is built there.")
    entry = registered(place, node["_target_"], where)
    nested = dict(entry.nested)
    known = _may_be_set(entry)
    for key, value in node.items():
        if key == "_target_" or key in own:
            continue
        if key not in known:
            choices = list(dict.fromkeys([*known, *own]))
            raise InputError(
                f"{where}.{key} is not a setting of {entry.target}.{did_you_mean(str(key), choices)} "
                f"It has: {', '.join(choices) or 'none'}."
            )
        if key in nested and isinstance(value, Mapping):
            check_target(value, f"{where}.{key}", place=nested[key])
            continue
        refuse_targets(value, f"{where}.{key}")
        if not fits(known[key].annotation, value):
            raise InputError(
                f"{where}.{key} = {_shown(value)} ({type(value).__name__}) does not fit: "
                f"{entry.target} takes {describe(known[key].annotation)} there."
            )


def _may_be_set(entry: Buildable) -> dict[str, inspect.Parameter]:
    """Parameters that a configuration may give a registered target."""
    return {
        name: one
        for name, one in parameters(imported(entry.target)).items()
        if one.kind not in _COLLECTING
        and name not in entry.ours
        and not name.startswith("_")
        and (entry.settings is None or name in entry.settings)
    }


def _refuse_hydras(key: Any, where: str) -> None:
    """Refuse names such as `_target_` and `_args_`, to which Hydra gives a meaning."""
    if str(key).startswith("_") and str(key).endswith("_"):
        raise InputError(f"{where} is not allowed: nothing is built there.")


def refuse_targets(value: Any, where: str) -> None:
    """Refuse what would build something, anywhere in a plain value."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            _refuse_hydras(key, f"{where}.{key}")
            refuse_targets(child, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for position, child in enumerate(value):
            refuse_targets(child, f"{where}[{position}]")


def check_tree(node: Any, where: str) -> None:
    """Check every dictionary with `_target_` in a plain tree of dictionaries and lists, and that it may stand there."""
    if isinstance(node, Mapping):
        if place_of(where) is not None:
            check_target(node, where)
            return
        for key, child in node.items():
            inside = f"{where}.{key}" if where else str(key)
            _refuse_hydras(key, inside)
            check_tree(child, inside)
    elif isinstance(node, list):
        for position, child in enumerate(node):
            check_tree(child, f"{where}[{position}]")


def instantiate(place: str, node: Any, /, *arguments: Any, where: str = "", **settings: Any) -> Any:
    """Build what a configuration node describes.

    Parameters
    ----------
    place
        Where the node stands: a key of `grn.config.registry.PLACES`, which says what may be built there.
    node
        Configuration with `_target_`.
    *arguments, **settings
        Passed on as they are, beside the node's own settings. Live objects (data, modules) are never copied.
    where
        The place as the user knows it, for messages; by default `place`.

    Returns
    -------
    object
        The built object.

    Raises
    ------
    grn._errors.InputError
        For a target that is not registered for the place, an unknown or missing setting, or one of the wrong type.

    Examples
    --------
    >>> instantiate("data", {"_target_": "grn.datasets.simulated", "n_cells": 5, "n_genes": 20, "n_tfs": 3}).shape
    (5, 20)
    """
    where = where or place
    target, given = _prepared(place, node, where)
    _check_complete(target, given["_target_"], where, arguments, {**given, **settings})
    chosen = {key: value for key, value in given.items() if key != "_target_"}
    try:
        return target(*arguments, **{**chosen, **settings})
    except Exception as error:
        # A library refuses settings that do not fit the machine, or asks for a package that is not there.
        theirs = isinstance(error, ValueError) or raised_in(error)
        if isinstance(error, InputError) or is_out_of_memory(error) or not theirs:
            raise
        raise InputError(f"{where} cannot be built: {error}") from error


def factory(place: str, node: Any) -> functools.partial[Any]:
    """As `instantiate`, but what is built later, when the rest of its arguments are there."""
    target, given = _prepared(place, node, place)
    return functools.partial(target, **{key: value for key, value in given.items() if key != "_target_"})


def load_data(node: Any) -> Any:
    """Load what a `data` node describes; its own keys (name, tf, layer) are not passed on.

    Parameters
    ----------
    node
        The group `data` of a composed configuration.

    Returns
    -------
    anndata.AnnData
        As its `_target_` returns it, unchecked.
    """
    plain = plain_config(node)
    own = {field.name for field in dataclasses.fields(Data)}
    # The reader must know the matrix that will be used: only what else a file holds may be unreadable.
    own -= {"layer"} if plain.get("_target_") == "grn.data.read_expression" else set()
    return instantiate("data", {key: value for key, value in plain.items() if key not in own})


def _prepared(place: str, node: Any, where: str) -> tuple[Any, dict[str, Any]]:
    """The registered target of a checked node, and the node as a plain dictionary."""
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(plain, Mapping):
        raise InputError(f"{where} = {_shown(plain)} does not fit: expected a dictionary with _target_.")
    given = {str(key): value for key, value in plain.items()}
    check_target(given, where, place=place)
    return imported(given["_target_"]), given


def _check_complete(
    target: Any, name_of_target: str, where: str, arguments: tuple[Any, ...], settings: dict[str, Any]
) -> None:
    known = parameters(target)
    unknown = [name for name in settings if name not in known and name != "_target_"]
    if unknown:
        raise InputError(f"{name_of_target} has no parameter {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
    given = {*settings, *list(known)[: len(arguments)]}
    missing = [
        name
        for name, one in known.items()
        if one.default is one.empty and one.kind not in _COLLECTING and name not in given
    ]
    if missing:
        raise InputError(f"{name_of_target} also needs {', '.join(missing)}: set {where}.{missing[0]}=...")
