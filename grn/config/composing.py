"""Configurations from conf/*.yaml and overrides; Hydra's complaints in words that name the near miss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from grn._errors import InputError, did_you_mean, near_misses
from grn.config.overrides import prepare_override, quote
from grn.config.paths import conf_dir
from grn.run_folder import run_name


def tf_names(count: Any) -> list[str]:
    """The simulator's names of its regulators, TF1, TF2, ...; none for a count that `validate` refuses."""
    return [f"TF{number + 1}" for number in range(count)] if isinstance(count, int) else []


OmegaConf.register_new_resolver("grn.run_name", run_name, replace=True)
OmegaConf.register_new_resolver("grn.tf_names", tf_names, replace=True)

_AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*?)'\n")
_COULD_NOT_OVERRIDE = re.compile(r"Could not override '([^']+)'")


def compose(config_name: str = "train", overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a command's configuration as the command line does.

    Works before, after and inside a running Hydra application, whose state is left as it was.

    Parameters
    ----------
    config_name
        A file of the configuration folder without its ending: ``train``, ``evaluate``, ...
    overrides
        As on the command line, for instance ``["data=krumsiek11", "seed=1"]``.

    Returns
    -------
    DictConfig
        The configuration without Hydra's own node; unknown keys cannot be set on it.

    Raises
    ------
    grn._errors.InputError
        If a key or a choice does not exist; near misses are named.

    Examples
    --------
    >>> compose("train", ["data=krumsiek11"]).data.name
    'krumsiek11'
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    prepared = [prepare_override(override, config_name) for override in overrides]
    try:
        return _compose(config_name, prepared)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        # Hydra raises a bare ValueError for a choice that is null.
        raise InputError(explain(error, config_name, prepared)) from error


def _compose(config_name: str, overrides: Sequence[str]) -> DictConfig:
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import JobRuntime

    # Hydra is one global object: a running command's is put aside for the time being.
    running, job_name = GlobalHydra.instance().hydra, JobRuntime.instance().get("name")
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), job_name=config_name, version_base=None):
            return hydra.compose(config_name, list(overrides))
    finally:
        GlobalHydra.instance().hydra = running
        JobRuntime.instance().set("name", job_name)


def explain(error: BaseException, config_name: str, overrides: Sequence[str]) -> str:
    """What a Hydra or OmegaConf error means for the user, with near misses of a name that does not exist."""
    from hydra.errors import MissingConfigException, OverrideParseException

    for cause in chain(error):
        if isinstance(cause, InputError):
            return str(cause)
    text = str(error).strip()
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.removesuffix(".yaml").rpartition("/")
        return (
            f"{group}={option}: there is no such choice.{did_you_mean(option, error.options)} "
            f"Choose from: {', '.join(sorted(error.options))}."
        )
    found = _COULD_NOT_OVERRIDE.search(text)
    if found and any(_key(one) == found[1].partition("@")[0] for one in overrides):
        return _unknown_key(found[1].partition("@")[0], config_name, overrides)
    if isinstance(error, OverrideParseException):
        return f"{text}\n{_how_to_quote(error.override)}"
    if ambiguous := _AMBIGUOUS.search(text):
        return _several_values(ambiguous[1])
    return text


def _how_to_quote(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return "Overrides are written key=value."
    # For the shell the outer quotes, for Hydra the inner ones.
    return f"If {value} is one text, quote it twice: '{key}={quote(value)}'"


def _several_values(override: str) -> str:
    key, _, value = override.partition("=")
    return (
        f"{override} names several values, because a comma separates them. "
        f"For one text with a comma quote it twice: '{key}={quote(value)}'. "
        f"For a list use brackets: '{key}=[{value}]'. For one run after the other, one for each value, add --multirun."
    )


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _unknown_key(key: str, config_name: str, overrides: Sequence[str]) -> str:
    from hydra.errors import HydraException

    others = [one for one in overrides if _key(one) != key]
    try:
        config = _compose(config_name, others)
    except HydraException:
        config = _compose(config_name, [])
    group = key.partition(".")[0]
    if "." in key and config.get(group, "") is None and (conf_dir() / group).is_dir():
        names = sorted({path.stem for path in (conf_dir() / group).glob("*.yaml")} - {"none"})
        return f"{key} cannot be set, because no {group} is chosen: add {group}=... ({', '.join(names)})."
    choices = list(_keys(OmegaConf.to_container(config)))
    message = f"{key} is not a key of the configuration.{did_you_mean(key, choices)}"
    if not near_misses(key, choices):
        last = key.rpartition(".")[2]
        elsewhere = [one for one in choices if one.rpartition(".")[2] == last]
        if elsewhere:
            message += f" Did you mean {' or '.join(repr(one) for one in elsewhere[:3])}?"
    return f"{message} `grn {config_name} --help` shows all keys; +{key}=... adds one."


def _keys(node: Any, prefix: str = "") -> Iterable[str]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield f"{prefix}{key}"
            yield from _keys(child, f"{prefix}{key}.")
