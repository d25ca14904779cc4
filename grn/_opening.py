"""Why a file cannot be opened or read, told apart by cause, each cause with its remedy.

Every reader of the package asks here: `require_file` looks before anything is opened, `reading` translates what the
libraries throw while they read, and `unreadable` explains one error that a reader has caught itself.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grn._errors import InputError, near_misses
from grn._files import user_path
from grn._libraries import is_out_of_memory, raised_in, said


class MissingFileError(InputError, FileNotFoundError):
    """There is no such file; both kinds of error, so that either can be caught."""


# What the libraries raise where a file is missing, locked, cut off or wrongly packed. None of them is a bug of ours.
READING_ERRORS: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)

_ADDRESS = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_FETCH = {
    "http": "curl -L -o {name} '{address}'",
    "https": "curl -L -o {name} '{address}'",
    "ftp": "curl -o {name} '{address}'",
    "s3": "aws s3 cp '{address}' {name}",
    "gs": "gcloud storage cp '{address}' {name}",
}
# h5py keeps the system's number in its text where it does not put it into errno.
_NUMBER = re.compile(r"errno = (\d+)")
_CUT_OFF = ("truncated", "end-of-stream", "end of stream", "unexpected end", "incomplete", "eof")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_AWAY = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENXIO)


def require_file(
    path: str | os.PathLike[str],
    what: str = "the file",
    *,
    folder: bool = False,
    pipe: bool = False,
    empty: bool = False,
) -> Path:
    """The path, if a file that holds something is there; looks without opening it, so that nothing can hang.

    It is taken as users write it: `grn._files.user_path`.

    Parameters
    ----------
    path
        What the user gave.
    what
        Names the file in messages, such as `"the TF file"`.
    folder
        Whether a folder is accepted as well.
    pipe
        Whether a pipe, such as bash's `<(zcat file.gz)`, is accepted. Readers that go back and forth in a file cannot
        take one.
    empty
        Whether a file of 0 bytes is accepted: some formats write one for a network without edges.

    Raises
    ------
    MissingFileError
        If there is no such file; an InputError and a FileNotFoundError.
    InputError
        If the path is an address, or leads to a folder, an empty file, a pipe or a device.
    """
    text = os.fspath(path)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if address := _ADDRESS.match(text):
        raise InputError(_fetch(text, address["scheme"].lower(), what))
    place = user_path(text)
    try:
        found = place.stat()
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise unreadable(place, error, what) from error
    if stat.S_ISDIR(found.st_mode):
        if not folder:
            raise InputError(_is_folder(place, what))
    elif stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        if not pipe:
            raise InputError(
                f"{_capital(what)} {place} is a pipe, which can be read only once and from start to end. Write what "
                "comes out of it into a file first, and give that file."
            )
    elif not stat.S_ISREG(found.st_mode):
        raise InputError(f"{_capital(what)} {place} is a device, expected a file.")
    elif found.st_size == 0 and not empty:
        raise InputError(_is_empty(place, what))
    return place


@contextmanager
def reading(
    path: str | os.PathLike[str], what: str = "the file", *, expected: str = "", whole: bool = False
) -> Iterator[None]:
    """Within the block, an error of opening or reading `path` becomes an `InputError` that names its cause.

    Parameters
    ----------
    path, what, expected
        As of `unreadable`.
    whole
        Whether the block is a reader as a whole: then whatever else a library raises becomes one as well. An error of
        our own code stays what it is.
    """
    try:
        yield
    except InputError:
        raise
    except READING_ERRORS as error:
        raise unreadable(path, error, what, expected=expected) from error
    except Exception as error:
        library = raised_in(error)
        if not whole or library is None or is_out_of_memory(error):
            raise
        raise InputError(
            f"{_capital(what)} {os.fsdecode(path)} cannot be read by {library} ({said(error)}). It may be damaged, of "
            f"another kind than its name says, or written by a newer version: copy it again, or upgrade what reads it."
        ) from error


def unreadable(
    path: str | os.PathLike[str], error: BaseException, what: str = "the file", *, expected: str = ""
) -> InputError:
    """The error to raise for what a library threw while it opened or read a file.

    Parameters
    ----------
    path
        The file.
    error
        What was thrown.
    what
        Names the file in the message, such as `"the TF file"`.
    expected
        A sentence on what the file should hold. It is added where the cause lies in the content.

    Returns
    -------
    InputError
        What was given, the cause, and what to do. It is for the caller to raise it: `raise unreadable(...) from error`.

    Examples
    --------
    >>> print(unreadable("a.h5ad", PermissionError(13, "Permission denied")))
    No permission to read a.h5ad. Change it with chmod u+r a.h5ad, or copy the file to a folder of yours.
    """
    place = Path(os.fsdecode(path))
    text = str(error).strip()
    number = _errno(error)
    name = f"{_capital(what)} {place}"
    if number == errno.ENOENT:
        return MissingFileError(_missing(place, what))
    if (cause := _system_cause(place, number, text, what, name)) is not None:
        return InputError(cause)
    if _mode(place, stat.S_ISDIR):
        return InputError(_is_folder(place, what))
    size = _size(place)
    if size == 0:
        return InputError(_is_empty(place, what))
    wanted = f" {expected}" if expected else ""
    there = "" if size is None else f"{size:,} bytes are there; "
    if isinstance(error, gzip.BadGzipFile) and "not a gzipped file" in text.lower():
        return InputError(
            f"{name} ends in {place.suffix} but is not packed with gzip; it starts with {_start(place)!r}. "
            f"Take {place.suffix} off its name, or download it again.{wanted}"
        )
    if isinstance(error, EOFError) or any(word in text.lower() for word in _CUT_OFF):
        return InputError(f"{name} is cut off ({there}{_inner(text)}). Copy or download it again.{wanted}")
    if isinstance(error, zlib.error | lzma.LZMAError | gzip.BadGzipFile | zipfile.BadZipFile):
        return InputError(f"{name} is damaged ({there}{_inner(text)}). Copy or download it again.{wanted}")
    return InputError(f"{name} cannot be read ({_inner(text) or type(error).__name__}).{wanted}")


def _system_cause(place: Path, number: int | None, said: str, what: str, name: str) -> str | None:
    """The message for a cause that lies with the system, not with the content of the file."""
    if "unable to lock file" in said and number in _NO_LOCKS:
        return (
            f"{name} lies on a file system that has no locks, as some network drives have none. Set "
            "HDF5_USE_FILE_LOCKING=FALSE in the environment before starting, or copy the file to another disk."
        )
    if "unable to lock file" in said or number in (errno.EAGAIN, errno.ETXTBSY, errno.EBUSY):
        return (
            f"{name} is held open for writing by another program. Close it there (a notebook that opened it keeps it "
            "until its kernel ends), wait until that program is done, or copy the file and give the copy."
        )
    if "already open for write" in said:
        return (
            f"{name} is marked as open for writing: a program writes it now, or was stopped while it did. Wait until "
            f"it is done; where none is running, write the file again, or clear the mark with h5clear -s {place}."
        )
    if number in (errno.EACCES, errno.EPERM):
        closed = next((folder for folder in reversed(place.absolute().parents) if not os.access(folder, os.X_OK)), None)
        if closed is not None:
            return f"No permission to look into the folder {closed}, where {what} {place} would be."
        return (
            f"No permission to read {place}. Change it with chmod u+r {place}, or copy the file to a folder of yours."
        )
    if number == errno.ENOTDIR:
        block = next((part for part in place.absolute().parents if _mode(part, stat.S_ISREG)), place.parent)
        return f"There is no file {place}: {block} is a file, not a folder."
    if number == errno.EISDIR:
        return _is_folder(place, what)
    if number == errno.ENAMETOOLONG:
        return (
            f"The name of {what} is too long for this file system: it begins with {str(place)[:60]!r} and has "
            f"{len(str(place)):,} characters. Give the path of a file."
        )
    if number == errno.ELOOP:
        return f"{name} is a link that leads back to itself. Give the path of the file itself."
    if number in (errno.EMFILE, errno.ENFILE):
        return f"{name} cannot be opened because too many files are open. Raise the limit: ulimit -n 4096."
    if number in _AWAY:
        return (
            f"{name} cannot be read from its disk or network drive ({os.strerror(number or 0)}). Check that the drive "
            "is connected, or copy the file to a local disk."
        )
    if "null" in said and "\x00" in str(place):
        return f"The name of {what} holds a null character: {str(place)!r}."
    return None


def _missing(place: Path, what: str) -> str:
    if place.is_symlink():
        return (
            f"{_capital(what)} {place} is a link to {place.readlink()}, which is not there. Mend the link, or give "
            "the path of the file itself."
        )
    parent = place.absolute().parent
    if not parent.is_dir():
        while not parent.is_dir():
            parent = parent.parent
        return f"There is no file {place}: there is no folder {place.parent}, but {parent} exists."
    try:
        beside = [entry.name for entry in parent.iterdir()]
    except OSError:
        beside = []
    close = [str(place.parent / name) for name in near_misses(place.name, beside)]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"There is no file {place.name} in {parent}.{hint}"


def _fetch(address: str, scheme: str, what: str) -> str:
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    if scheme == "file":
        return f"{address} is an address, not a file. Give the path alone: {address[len('file://') :]}"
    line = _FETCH.get(scheme)
    how = f": {line.format(name=name, address=address)}" if line else ""
    return f"{address} is an address, not a file. Download {what}{how}, and give the path of the copy."


def _is_folder(place: Path, what: str) -> str:
    try:
        inside = sorted(entry.name for entry in place.iterdir())
    except OSError:
        inside = []
    holds = f"; it holds {', '.join(inside[:6])}{' and more' if len(inside) > 6 else ''}" if inside else ""
    return f"{place} is a folder, expected {_article(what)}{holds}. Give the path of a file in it."


def _is_empty(place: Path, what: str) -> str:
    return (
        f"{_capital(what)} {place} is empty (0 bytes). Was a copy, a download or a program that writes it stopped? "
        "Fetch or write it again."
    )


def _errno(error: BaseException) -> int | None:
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    written = _NUMBER.search(str(error))
    return int(written[1]) if written else None


def _inner(said: str) -> str:
    """The reason alone: h5py puts it in parentheses behind what it tried."""
    if said.startswith("Unable to") and "(" in said:
        said = said[said.find("(") + 1 : said.rfind(")")]
    return said.removesuffix(".")


def _mode(place: Path, kind: object) -> bool:
    try:
        return bool(kind(place.stat().st_mode))  # type: ignore[operator]
    except (OSError, ValueError):
        return False


def _size(place: Path) -> int | None:
    try:
        return place.stat().st_size
    except (OSError, ValueError):
        return None


def _start(place: Path) -> bytes:
    try:
        with place.open("rb") as stream:
            return stream.read(12)
    except OSError:
        return b""


def _capital(what: str) -> str:
    return what[:1].upper() + what[1:]


def _article(what: str) -> str:
    return "a " + what.removeprefix("the ") if what.startswith("the ") else what


def packed_with(place: Path) -> str | None:
    """How a file is packed, by its first bytes: `"gzip"`, `"bzip2"`, `"xz"`, `"zip"`, `"zstd"`; None if it is not."""
    start = _start(place)
    marks = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for mark, name in marks.items() if start.startswith(mark)), None)
