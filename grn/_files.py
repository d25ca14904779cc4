"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from grn._errors import InputError
from grn._libraries import is_out_of_memory, raised_in, said

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # .<name>.<eight characters of tempfile>
_FULL = {
    errno.ENOSPC: "The disk is full",
    errno.EDQUOT: "The disk quota is used up",
    errno.EFBIG: "The file grew beyond the size that the system allows",
}
_open: set[Path] = set()  # folders of what is being written
written: list[Path] | None = None  # what was, where a command wants to know


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as users write it, with what `~`, `~name` and `$HOME` stand for in a shell.

    A file whose own name holds `$` is left alone, and so is what names no user and no variable.

    Examples
    --------
    >>> user_path("~/cells.h5ad") == Path.home() / "cells.h5ad"
    True
    """
    text = os.path.expanduser(os.fsdecode(path))  # noqa: PTH111  Path.expanduser raises where there is no such user
    return Path(os.path.expandvars(text) if "$" in text and not os.path.lexists(text) else text)


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Temporary path beside `target`, with its ending, that replaces `target` when the block ends well.

    `target` is a path as users write it (`user_path`).

    A file or a folder may be written there. If the block raises, the temporary is removed and
    whatever stood at `target` before is untouched.

    Raises
    ------
    OSError
        If the system refuses: the error names `target`, and says so where the disk is full.
    """
    target = user_path(target)
    with _naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # The name keeps the ending, because many writers choose their format by it.
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary = folder / target.name
    _open.add(folder)
    try:
        with _naming(target, temporary):
            yield temporary
            if temporary.is_dir() and target.is_dir():
                shutil.rmtree(target)
            temporary.replace(target)
        if written is not None:
            written.append(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open.discard(folder)


@contextmanager
def _naming(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Say of what the system refuses to write which file it was to be; libraries name the temporary, or none."""
    try:
        yield
    except Exception as error:
        if full := next((one for one in _chain(error) if getattr(one, "errno", None) in _FULL), None):
            reason = f"{_FULL[full.errno]}, so this file was not written"  # type: ignore[attr-defined]
            raise OSError(full.errno, reason, str(target)) from error  # type: ignore[attr-defined]
        ours = temporary is None or getattr(error, "filename", None) in (None, str(temporary))
        if isinstance(error, OSError) and error.errno is not None and ours:
            raise OSError(error.errno, f"{error.strerror}, so this file was not written", str(target)) from error
        if isinstance(error, InputError) or is_out_of_memory(error) or not (library := raised_in(error)):
            raise
        raise InputError(f"{target} was not written, because {library} refused it ({said(error)}).") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # A library's own error often hides that of the system.
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def open_inside(path: Path, mode: str) -> TextIOWrapper:
    """Open a text file as UTF-8 for reading and writing where it stands, and not where a link under its name leads.

    Raises
    ------
    grn._errors.InputError
        If there is a link.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    refuse_link(path)
    return open(path, mode, encoding="utf-8", opener=opener)  # type: ignore[return-value]


def refuse_link(path: Path) -> None:
    """Refuse to write where a link leads elsewhere: a run's folder may be a stranger's."""
    if path.is_symlink():
        raise InputError(
            f"{path} is a link to {path.readlink()}, and nothing is written through a link. Remove it, or put what "
            "it leads to in its place."
        )


def write_text(target: str | Path, text: str) -> None:
    """Write `text` to `target` as UTF-8, whole or not at all."""
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")


def remove_open() -> None:
    """Remove what `atomic_path` is writing at this moment, for a process that is about to end without its `finally`."""
    for folder in tuple(_open):
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what `atomic_path` could not, because its process was killed, from a folder and those within."""
    for path in list(Path(folder).rglob(".*")):
        if _TEMPORARY.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def sha256(path: str | Path, chunk: int = 1 << 20) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces of `chunk` bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(chunk):
            digest.update(block)
    return digest.hexdigest()
