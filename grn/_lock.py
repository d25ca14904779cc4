"""A run's folder belongs to one process while it runs."""

from __future__ import annotations

import errno
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from grn._errors import InputError
from grn._files import open_inside
from grn._log import logger

LOCK = ".lock"
# The folders that this process holds, with the open files that the locks belong to.
_held: dict[Path, IO[str]] = {}
_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


def hold(folder: str | Path) -> None:
    """Take the folder for this process, until `let_go` or the end of the process, however it ends.

    The lock is the operating system's, on the file `.lock` in the folder. The system gives it up when the process
    that holds it is gone, so a killed run leaves none behind. The file says who holds it.

    Parameters
    ----------
    folder
        Made if it is not there.

    Raises
    ------
    grn._errors.InputError
        If a run holds the folder, in this process or in another.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        stream = open_inside(folder / LOCK, "a+")
        try:
            _lock(stream)
        except OSError as error:
            stream.seek(0)
            holder = _described(stream.read())
            stream.close()
            if error.errno in _BUSY:
                raise InputError(
                    f"{folder} belongs to a run that is going on{holder}. Wait for it, or give another name=..."
                ) from None
            logger.warning("%s cannot be locked (%s): do not start another run of this name", folder, error.strerror)
            return
        if _is_there(stream, folder / LOCK):
            break
        stream.close()  # its holder removed the file just now: the lock is on no file that others see
    stream.truncate(0)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    stream.write(json.dumps({"process": os.getpid(), "machine": platform.node(), "started": started}))
    stream.flush()
    _held[folder] = stream


def holds(folder: str | Path) -> bool:
    """Whether this process holds the folder."""
    return Path(folder).resolve() in _held


def let_go(folder: str | Path) -> None:
    """Give the folder up, where this process holds it."""
    stream = _held.pop(Path(folder).resolve(), None)
    if stream is None:
        return
    if os.name != "nt":  # Windows removes no open file
        Path(stream.name).unlink(missing_ok=True)
    stream.close()


def _lock(stream: IO[str]) -> None:
    """Lock an open file, or raise OSError at once."""
    if os.name == "nt":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_there(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _described(text: str) -> str:
    try:
        found = json.loads(text)
        return f" (process {found['process']} on {found['machine']}, since {found['started']})"
    except (ValueError, KeyError, TypeError):
        return ""
