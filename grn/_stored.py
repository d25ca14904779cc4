"""What stands in a run's folder, read as a stranger's: plain data of bounded size, each entry of its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError, near_misses
from grn._opening import reading, require_file

if TYPE_CHECKING:
    from omegaconf import DictConfig

RECORD = "run.json"
# Bytes. A record holds a report on the data and the settings, the latter alone take a few thousand.
_LARGEST_RECORD = 64 << 20
_LARGEST_SETTINGS = 1 << 20
_DEEPEST = 50
_OPTIONAL = type(None)
_NUMBER = (int, float)
# Entries of the record that are read again, and what each may be; a dictionary's values likewise.
_ENTRIES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("finished", "command", "python", "platform"), (str,)),
    **dict.fromkeys(("commit", "device", "run"), (str, _OPTIONAL)),
    **dict.fromkeys(("seed", "best_epoch"), (int, _OPTIONAL)),
    **dict.fromkeys(("input", "gate"), (dict, _OPTIONAL)),
    **dict.fromkeys(("seconds", "peak_memory_bytes", "versions", "config"), (dict,)),
}
_VALUES: dict[str, tuple[type, ...]] = {
    "input": (str, _OPTIONAL),
    "seconds": _NUMBER,
    "peak_memory_bytes": _NUMBER,
    "versions": (str,),
}


def read_record(folder: Path) -> dict[str, Any]:
    """What run.json says of a finished run.

    Raises
    ------
    grn._errors.InputError
        If there is none, or it is not what a run writes.
    """
    path = folder / RECORD
    if not path.is_file():
        siblings = [other.parent.name for other in sorted(folder.parent.glob(f"*/{RECORD}"))]
        close = near_misses(folder.name, siblings) or siblings[:5]
        hint = f" Finished runs there: {', '.join(close)}." if close else ""
        raise InputError(f"{folder} is not the folder of a finished run: it has no {RECORD}.{hint}")
    text = _text(path, _LARGEST_RECORD, "the record")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable as JSON ({error}), so nothing is known of the run.") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no record of a run; expected what `grn train` writes there.")
    for key, value in record.items():
        _require(value, _ENTRIES.get(key), key, path)
        if key in _VALUES and value is not None:
            for name, inner in value.items():
                _require(inner, _VALUES[key], f"{key}.{name}", path)
    return record


def _require(value: Any, kinds: tuple[type, ...] | None, where: str, path: Path) -> None:
    # true and false are numbers to Python.
    if kinds is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
        raise InputError(f"{path} was changed or is damaged: its {where} is {str(value)[:60]!r}, which no run writes.")


def read_settings(path: Path) -> DictConfig:
    """The settings that a run has stored: plain values that refer to nothing.

    Raises
    ------
    grn._errors.InputError
        If the file is damaged or larger than any run writes it, or a value refers to another place or to the
        environment.
    """
    import yaml
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    text = _text(path, _LARGEST_SETTINGS, "the settings")
    try:
        _refuse_bombs(text)
        stored = OmegaConf.create(text)
        plain = OmegaConf.to_container(stored, resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} cannot be read as the settings of a run ({reason}). {_AGAIN}") from error
    if not isinstance(stored, DictConfig) or not isinstance(plain, dict):
        raise InputError(f"{path} does not hold the settings of a run. {_AGAIN}")
    for where, value in _leaves(plain):
        if isinstance(value, str) and "${" in value:
            raise InputError(
                f"{path}: {where} refers to another value ({value!r}), which no stored setting does. {_AGAIN}"
            )
    return stored


def _refuse_bombs(text: str) -> None:
    """Refuse YAML that is deeply nested, or names a value once and means it many times: a few lines make a billion."""
    import yaml

    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("it holds an alias, which no stored settings do")
        name = type(token).__name__
        depth += name.endswith(("SequenceStartToken", "MappingStartToken")) - name.endswith("EndToken")
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


_AGAIN = "overwrite=true starts the run again."


def _leaves(node: Any, where: str = "") -> list[tuple[str, Any]]:
    """Every key and every value with its place."""
    if isinstance(node, Mapping):
        found = []
        for key, value in node.items():
            inside = f"{where}.{key}" if where else str(key)
            found += [(inside, key), *_leaves(value, inside)]
        return found
    if isinstance(node, list):
        return [leaf for place, value in enumerate(node) for leaf in _leaves(value, f"{where}[{place}]")]
    return [(where, node)]


def _text(path: Path, largest: int, what: str) -> str:
    require_file(path, what, empty=True)
    if path.stat().st_size > largest:
        raise InputError(f"{path} has {path.stat().st_size:,} bytes, and at most {largest:,} are read.")
    try:
        with reading(path, what):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text (UTF-8): it is damaged, or not from a run.") from error
