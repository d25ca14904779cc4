"""Objects from configuration: only from allowed packages, only with settings they have, of fitting types."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from grn._errors import InputError, did_you_mean
from grn.config.plain import plain_config
from grn.config.schema import Data
from grn.config.types import describe, fits

ALLOWED = ("grn.", "torch.optim.", "lightning.pytorch.")
_COLLECTING = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def locate(target: Any, where: str) -> Any:
    """The class or function that a `_target_` names.

    Parameters
    ----------
    target
        Dotted name, which must begin with one of `ALLOWED`; the object must also be defined there, so that a
        module which `grn` merely imports cannot be reached through it.
    where
        Place in the configuration, for the message.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import get_object

    allowed = ", ".join(f"{prefix}*" for prefix in ALLOWED)
    if not isinstance(target, str) or not target.startswith(ALLOWED):
        raise InputError(
            f"{where}._target_ = {target!r} is not allowed in a configuration: it must be one of {allowed}."
        )
    try:
        found = get_object(target)
    except (ImportError, AttributeError, ValueError, InstantiationException) as error:
        reason = str(error.__cause__ or error).strip()
        raise InputError(f"{where}._target_ = {target!r} cannot be imported: {reason}{_siblings(target)}") from error
    home = getattr(found, "__module__", None) or ""
    if not callable(found) or not f"{home}.".startswith(ALLOWED):
        raise InputError(
            f"{where}._target_ = {target!r} is not a class or function of an allowed package ({allowed}); "
            f"it is {type(found).__name__} from {home or 'elsewhere'}."
        )
    return found


def _siblings(target: str) -> str:
    from importlib import import_module

    module, _, name = target.rpartition(".")
    try:
        return did_you_mean(name, (public for public in dir(import_module(module)) if not public.startswith("_")))
    except ImportError:
        return ""


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


def check_target(node: Mapping[str, Any], where: str, own: tuple[str, ...] = ()) -> None:
    """Check one dictionary with `_target_`: its target, the names and the types of what would be passed.

    Parameters
    ----------
    node
        Plain dictionary, interpolations resolved.
    where
        Place in the configuration, such as ``data`` or ``callbacks.early_stopping``.
    own
        Keys which are read by `grn` and not passed on.
    """
    known = parameters(locate(node["_target_"], where))
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
    named = {name: one for name, one in known.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    if not isinstance(node.get("_partial_", False), bool):
        raise InputError(f"{where}._partial_ = {node['_partial_']!r} must be true or false.")
    for key, value in node.items():
        if key in _HYDRA_KEYS or key in own:
            continue
        if key in named:
            annotation = named[key].annotation
            if not fits(annotation, value):
                raise InputError(
                    f"{where}.{key} = {value!r} ({type(value).__name__}) does not fit: "
                    f"{node['_target_']} takes {describe(annotation)} there."
                )
        elif not takes_any:
            choices = [*named, *own]
            raise InputError(
                f"{where}.{key} is not a setting of {node['_target_']}.{did_you_mean(str(key), choices)} "
                f"It has: {', '.join(choices) or 'none'}."
            )


def check_tree(node: Any, where: str) -> None:
    """Check every dictionary with `_target_` in a plain tree of dictionaries and lists."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            check_target(node, where)
        for key, child in node.items():
            check_tree(child, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list):
        for position, child in enumerate(node):
            check_tree(child, f"{where}[{position}]")


def instantiate(node: Any, /, *arguments: Any, **settings: Any) -> Any:
    """Build what a configuration node describes.

    Parameters
    ----------
    node
        Configuration with `_target_`, or a dictionary or list of such nodes (then without further arguments).
    *arguments, **settings
        Passed on as they are, beside or instead of the node's own settings. Live objects (data, modules) are
        never copied.

    Returns
    -------
    object
        The built object; a `functools.partial` if the node says ``_partial_: true``; a dictionary or list of
        objects for a dictionary or list of nodes.

    Raises
    ------
    grn._errors.InputError
        For a target outside `ALLOWED`, an unknown or missing setting, or a setting of the wrong type.

    Examples
    --------
    >>> instantiate({"_target_": "grn.config.types.describe"}, annotation=int)
    'a whole number'
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return _build(plain, str(node._get_full_key(None)) if OmegaConf.is_config(node) else "", arguments, settings)


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
    return _build({key: value for key, value in plain.items() if key not in own}, "data", (), {})


def _build(plain: Any, where: str, arguments: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate as build

    single = isinstance(plain, Mapping) and "_target_" in plain
    if not single and (arguments or settings):
        raise TypeError("Only a node with _target_ can be built with further arguments.")
    plain = {key: value for key, value in plain.items() if key not in settings} if single else plain
    check_tree(plain, where)
    try:
        if not single:
            return build(plain, _convert_="all")
        # As a partial, because Hydra would turn live arguments (dataclasses, tuples) into configuration.
        factory = build(plain, _convert_="all", _partial_=True)
    except InstantiationException as error:
        raise (error.__cause__ or error) from None
    if plain.get("_partial_", False):
        return functools.partial(factory, *arguments, **settings)
    _check_complete(factory, plain["_target_"], where, arguments, settings)
    try:
        return factory(*arguments, **settings)
    except Exception as error:
        # Lightning has an error of its own for settings that do not fit the machine; it derives from Exception alone.
        if isinstance(error, InputError) or not (isinstance(error, ValueError) or "Misconfig" in type(error).__name__):
            raise
        raise InputError(f"{where or plain['_target_']} cannot be built: {error}") from error


def _check_complete(
    factory: Any, target: str, where: str, arguments: tuple[Any, ...], settings: dict[str, Any]
) -> None:
    known = parameters(factory.func)
    unknown = [name for name in settings if name not in known]
    if unknown and not any(one.kind is one.VAR_KEYWORD for one in known.values()):
        raise InputError(f"{target} has no parameter {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
    positional = [*factory.args, *arguments]
    given = {*factory.keywords, *settings, *list(known)[: len(positional)]}
    missing = [
        name
        for name, one in known.items()
        if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and name not in given
    ]
    if missing:
        prefix = f"{where}." if where else ""
        raise InputError(f"{target} also needs {', '.join(missing)}: set {prefix}{missing[0]}=...")
