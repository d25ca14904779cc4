"""The folder of one run: its name, who may write into it, and run.json, which says what was run with what."""

from __future__ import annotations

import functools
import json
import os
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import InputError, did_you_mean
from grn._files import refuse_link, sha256, write_text
from grn._lock import LOCK
from grn._provenance import command_line, commit, matrix_checksum, peak_memory, versions
from grn._stored import RECORD, read_settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from grn.data import CheckedData

# What a run writes. Starting over removes these and nothing else a user may have put there.
PRODUCTS = (
    *(RECORD, "checkpoints", "metrics.csv", "network.*", "reference.csv", "figures", "*.log", ".hydra"),
    *("cells", "results.*", "report.html", "attention.parquet"),
)
# By these a run that was stopped can be continued.
_UNFINISHED = ("checkpoints/*", "cells/*.json")
# Where what overwrite=true replaces stands until the new run is finished.
REPLACED = ".replaced"
# Where they stand on the way there and back: a run that is stopped meanwhile has written nothing of its own.
_MOVING = ".moving"
_NAME_HELP = "use letters, digits, dot, dash and underscore, beginning with a letter or digit"


@functools.cache
def _token(process: int) -> str:
    return secrets.token_hex(3)


def new_token() -> None:
    """Let the next run without a name get another one than the last, also within one second."""
    _token.cache_clear()


def run_name(name: str | None, data_name: str, stamp: str) -> str:
    """Name of the run's folder: `name`, or `<data_name>-<stamp>-<token>` where there is none.

    The token differs from process to process, so that the jobs of an array that start in one second do not meet.

    Raises
    ------
    grn._errors.InputError
        If the name could not be a plain folder name on every system.
    """
    chosen = f"{data_name}-{stamp}-{_token(os.getpid())}" if name is None else str(name)
    plain = chosen.replace("-", "").replace("_", "").replace(".", "")
    if not (plain.isalnum() and plain.isascii() and chosen[0].isalnum() and not chosen.endswith(".")):
        raise InputError(f"The run cannot be called {chosen!r}: {_NAME_HELP}, for instance name=my_run-1.")
    if len(chosen) > 100:
        raise InputError(f"The run's name has {len(chosen)} characters; at most 100 are possible.")
    return chosen


def claim(folder: str | Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Make the folder ready for a run, or refuse it.

    Parameters
    ----------
    folder
        The run's folder; made if it is not there.
    overwrite
        Put aside what an earlier run wrote there (`PRODUCTS`; other files stay), until `settle`.
    resume
        Continue an earlier run: nothing is removed, and nothing is refused.

    Raises
    ------
    grn._errors.InputError
        If a run stands there, finished or not, and neither option was given; or both were. If something that a run
        writes is a link there, which may lead out of the folder.
    """
    folder = Path(folder)
    for pattern in (LOCK, REPLACED, _MOVING, *PRODUCTS):
        for product in (folder / pattern, *folder.glob(pattern)):  # glob passes over links that lead to nothing
            refuse_link(product)
    _move_back(folder)
    if overwrite and resume:
        raise InputError("resume=true continues a run and overwrite=true starts it again: give one of them.")
    if overwrite:
        _put_aside(folder)
    elif not resume:
        if (folder / RECORD).exists():
            raise InputError(f"{folder} holds a finished run: give another name=..., or overwrite=true to replace it.")
        if _can_continue(folder):
            raise InputError(
                f"{folder} holds an unfinished run: resume=true continues it, overwrite=true starts it again."
            )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def settle(folder: Path, *, failed: bool) -> None:
    """Drop what a finished run has replaced; give it back where the new run failed before its first checkpoint."""
    aside = folder / REPLACED
    if _move_back(folder) or not aside.exists():
        return
    if failed and _can_continue(folder):
        return  # the new run can be resumed; the old one is dropped when that is finished
    if failed:
        _remove_products(folder)
        aside.rename(folder / _MOVING)
        _move_back(folder)
        return
    shutil.rmtree(aside)


def _can_continue(folder: Path) -> bool:
    return any(True for pattern in _UNFINISHED for _ in folder.glob(pattern))


def _put_aside(folder: Path) -> None:
    products = [product for pattern in PRODUCTS for product in folder.glob(pattern)]
    if not products:
        return
    moving = folder / _MOVING
    moving.mkdir()
    for product in products:
        product.rename(moving / product.name)
    shutil.rmtree(folder / REPLACED, ignore_errors=True)
    moving.rename(folder / REPLACED)


def _move_back(folder: Path) -> bool:
    """Whether products were on the way: then they are in their place again."""
    moving = folder / _MOVING
    if not moving.exists():
        return False
    for product in moving.iterdir():
        product.rename(folder / product.name)
    moving.rmdir()
    return True


def _remove_products(folder: Path) -> None:
    for pattern in PRODUCTS:
        for product in folder.glob(pattern):
            if product.is_dir() and not product.is_symlink():
                shutil.rmtree(product)
            else:
                product.unlink()


def resumed(folder: Path, cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Settings a stopped run continues with: its own, with the overrides given now on top.

    Parameters
    ----------
    folder
        The run's folder.
    cfg
        The configuration composed now.
    overrides
        What was given now, such as ``["name=my_run", "resume=true"]``. Settings that change the result are refused
        later, when they are compared with the checkpoint's.

    Raises
    ------
    grn._errors.InputError
        If no run was started there.
    """
    from omegaconf import OmegaConf

    saved = folder / ".hydra" / "config.yaml"
    if not saved.exists():
        started = [path.parent.parent.name for path in folder.parent.glob("*/.hydra/config.yaml")]
        hint = did_you_mean(folder.name, started) or (f" Runs there: {', '.join(started[:5])}." if started else "")
        raise InputError(
            f"There is nothing to resume in {folder}: no run was started there.{hint} name=... says which run."
        )
    before = read_settings(saved)
    before.overwrite = False  # it was meant for what stood there before the run that is resumed
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~").partition("@")[0]
        value = OmegaConf.select(cfg, key, default=None)
        if value is None and "." not in key and key not in cfg:
            return cfg  # an experiment: it may set anything, so it speaks for itself
        OmegaConf.update(before, key, value, merge=False, force_add=True)
    return before


def save_config(folder: Path, files: Mapping[str, Any]) -> None:
    """Write Hydra's record of a run, `.hydra/<name>.yaml`, each file whole or not at all.

    Of the configuration every value stands for itself: what a variable of the environment said is kept.
    """
    from omegaconf import OmegaConf

    for name, config in files.items():
        write_text(folder / ".hydra" / f"{name}.yaml", OmegaConf.to_yaml(config, resolve=name == "config"))


class Stopwatch:
    """Seconds per phase of a run.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch.phase("load"):
    ...     pass
    >>> list(watch.seconds)
    ['load']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block; phases of the same name add up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def record(
    folder: str | Path,
    config: Mapping[str, Any],
    checked: CheckedData | None = None,
    timings: Mapping[str, float] | Stopwatch | None = None,
    *,
    device: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write run.json, the mark of a finished run.

    Parameters
    ----------
    folder
        The run's folder.
    config
        The composed configuration as plain values.
    checked
        The data after the gate; its report goes in, and its checksum where the input is not one file.
    timings
        Seconds per phase.
    device
        Where the model was trained: ``cpu``, ``cuda:0`` with its name, ...
    extra
        Further entries; they may not replace any of ours.

    Returns
    -------
    Path
        The written file.
    """
    seconds = timings.seconds if isinstance(timings, Stopwatch) else dict(timings or {})
    entries: dict[str, Any] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(sys.argv),
        "seed": config.get("seed"),
        "device": device,
        "input": _input(config, checked),
        "gate": checked.report.to_dict() if checked is not None else None,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "peak_memory_bytes": peak_memory(),
        "versions": versions(),
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "config": dict(config),
    }
    taken = set(entries) & set(extra or {})
    if taken:
        raise KeyError(f"run.json already has {', '.join(sorted(taken))}")
    target = Path(folder) / RECORD
    write_text(target, json.dumps({**entries, **(extra or {})}, indent=2, default=str) + "\n")
    return target


def _input(config: Mapping[str, Any], checked: CheckedData | None) -> dict[str, Any]:
    data = config.get("data") or {}
    entry: dict[str, Any] = {"name": data.get("name")}
    path = data.get("path")
    if path is not None:
        entry["path"] = str(Path(path).absolute())
    if path is not None and Path(path).is_file():
        entry["sha256"] = sha256(path)
        entry["of"] = "file"
    elif checked is not None:
        entry["sha256"] = matrix_checksum(checked.x, checked.genes, checked.cells)
        entry["of"] = "matrix with its names"
    return entry
