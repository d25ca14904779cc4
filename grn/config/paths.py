"""Where the configuration lives, and the paths that a user writes into it."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from grn._files import user_path
from grn.config.schema import COMMANDS, PATH, Data
from grn.config.types import members_of


def conf_dir() -> Path:
    """Absolute path of the folder of the package's configuration files.

    It is `grn/conf` in a wheel, and the repository's `conf` in an editable install.
    """
    package = Path(__file__).resolve().parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def expand_paths(cfg: DictConfig, command: str) -> None:
    """Replace `~`, `~name` and `$HOME` in every path of a command's configuration, where it stands.

    Parameters
    ----------
    cfg
        The composed configuration, which `grn.config.validate` has passed.
    command
        A name in `grn.config.schema.COMMANDS`.
    """
    with read_write(cfg), open_dict(cfg):
        for key in paths_of(COMMANDS[command], cfg):
            value = OmegaConf.select(cfg, key)
            if isinstance(value, str) and "://" not in value and (new := str(user_path(value))) != str(Path(value)):
                OmegaConf.update(cfg, key, new)


def paths_of(schema: type, node: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Keys of the settings that hold a path, by the schema and by the signature of what reads the data."""
    for name, annotation in typing.get_type_hints(schema, include_extras=True).items():
        members = members_of(annotation)
        nested = next((one for one in members if dataclasses.is_dataclass(one)), None)
        inside = node.get(name)
        if any(PATH in getattr(one, "__metadata__", ()) for one in members):
            yield f"{prefix}{name}"
        elif nested is Data and isinstance(inside, Mapping | DictConfig):
            yield from (f"{prefix}{name}.{key}" for key in _paths_of_reader(inside))
        elif nested is not None and isinstance(inside, Mapping | DictConfig):
            yield from paths_of(typing.cast(type, nested), inside, f"{prefix}{name}.")


def _paths_of_reader(node: Mapping[Any, Any]) -> Iterator[str]:
    from grn.config.targets import imported, parameters

    for key, parameter in parameters(imported(node["_target_"])).items():
        if key in node and any(
            one is Path or typing.get_origin(one) is os.PathLike for one in members_of(parameter.annotation)
        ):
            yield key
