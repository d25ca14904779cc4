"""Run the cells of a plan: side by side in processes of one thread each, none of them twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from grn._errors import InputError
from grn._log import logger
from grn.evaluation.benchmark.plan import Cell
from grn.evaluation.benchmark.worker import work, write_record

CELLS = "cells"
# Read by the libraries when they are loaded, so they must stand before the process starts.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


@dataclass(frozen=True)
class Failure:
    """A cell that has no result."""

    cell: Cell
    error: str
    log: Path


@dataclass
class _Running:
    cell: Cell
    process: BaseProcess
    start: float


def run(cells: Sequence[Cell], folder: Path, *, workers: int = 1, time_limit: float | None = None) -> list[Failure]:
    """Run what is not finished yet; each cell's result is `cells/<name>.json` in the folder.

    Parameters
    ----------
    cells
        From `plan`.
    folder
        The run's folder. Cells finished there with the same settings are kept, failed ones are run again.
    workers
        How many cells run at a time. Times are only to be trusted where the machine has a free core for each.
    time_limit
        Seconds after which a cell is stopped and counts as failed.

    Returns
    -------
    list of Failure
        The cells that failed; the reason also stands in their file, and their output beside it.

    Raises
    ------
    InputError
        If a finished cell had other settings, or its file cannot be read; nothing is run then.
    """
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"Two cells of the table would both be written to {twice}.json: rename a set or a method.")
    waiting = [cell for cell in cells if not _finished(cell, folder)]
    done, total = len(cells) - len(waiting), len(cells)
    if done:
        logger.info("%d of %d cells are finished already", done, total)
    failures, running = [], list[_Running]()
    waiting.reverse()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(), folder))
            for ended in _ended(running, time_limit):
                running.remove(ended)
                done += 1
                record = _result(ended, folder, time_limit)
                if record["status"] == "failed":
                    log = _path(ended.cell, folder).with_suffix(".log")
                    failures.append(Failure(ended.cell, record["error"], log))
                    logger.warning("[%d/%d] %s failed: %s", done, total, ended.cell.label, record["error"])
                else:
                    seconds = record["seconds"]
                    spent = "" if seconds is None else f": {seconds:.1f} s"
                    logger.info("[%d/%d] %s%s", done, total, ended.cell.label, spent)
    finally:
        for one in running:
            one.process.terminate()
    return failures


def read_record(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """A cell's file, None where there is none.

    Raises
    ------
    InputError
        If it is not what `write_record` writes.
    """
    path = _path(cell, folder)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}): remove it, and it is run again.") from error
    if not _is_record(found):
        raise InputError(f"{path} is damaged or was changed by hand: remove it, and it is run again.")
    return dict(found)


def _is_record(found: Any) -> bool:
    number = (int, float, type(None))
    if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
        return False
    if found.get("status") == "failed":
        return isinstance(found.get("error"), str)
    costs = [found.get("seconds"), found.get("peak_memory_bytes")]
    return (
        found.get("status") == "done"
        and all(isinstance(cost, number) for cost in costs)
        and isinstance(found.get("commit"), (str, type(None)))
        and isinstance(found.get("scores"), list)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("reference"), str)
            and isinstance(one.get("candidates"), str)
            and isinstance(one.get("metrics"), dict)
            and all(
                isinstance(value, {"shortcut": str, "ratios": dict}.get(name, number))
                for name, value in one["metrics"].items()
            )
            for one in found["scores"]
        )
    )


def _path(cell: Cell, folder: Path) -> Path:
    return folder / CELLS / f"{cell.name}.json"


def _finished(cell: Cell, folder: Path) -> bool:
    record = read_record(cell, folder)
    if record is None or record["status"] != "done":
        return False
    now = json.loads(json.dumps(cell.settings))
    if record["settings"] != now:
        changed = sorted(_differences(record["settings"], now))
        raise InputError(
            f"{folder} holds the result of {cell.label} with other settings ({', '.join(changed)} differs): give "
            "another name=..., or overwrite=true to start again."
        )
    return True


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif before != now:
        yield where


def _start(cell: Cell, folder: Path) -> _Running:
    path = _path(cell, folder)
    path.unlink(missing_ok=True)  # of an earlier failure
    # Spawned, not forked: a fork would begin with this process's memory and its threads' locks.
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=work, args=(cell, path, path.with_suffix(".log")), name=cell.name)
    with _one_thread():
        process.start()
    return _Running(cell, process, time.monotonic())


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _ended(running: list[_Running], time_limit: float | None) -> list[_Running]:
    """Wait until a process ends or must be stopped."""
    left = None
    if time_limit is not None:
        left = max(0.0, min(one.start + time_limit - time.monotonic() for one in running))
    wait([one.process.sentinel for one in running], timeout=left)
    ended = []
    for one in running:
        late = time_limit is not None and time.monotonic() - one.start >= time_limit
        if late and one.process.is_alive():
            one.process.terminate()
        if late or not one.process.is_alive():
            one.process.join()
            ended.append(one)
    return ended


def _result(ended: _Running, folder: Path, time_limit: float | None) -> dict[str, Any]:
    record = read_record(ended.cell, folder)
    if record is not None:
        return record
    code = ended.process.exitcode or 0
    if time_limit is not None and time.monotonic() - ended.start >= time_limit:
        error = f"stopped after {time_limit:g} seconds"
    elif code < 0:
        error = f"killed by signal {-code}; short of memory?"
    else:
        error = f"its process ended with exit code {code} and wrote nothing"
    record = {"settings": ended.cell.settings, "status": "failed", "error": error}
    write_record(_path(ended.cell, folder), record)
    return record
