"""Every cause for which a file cannot be opened has a message of its own, with its remedy."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import zipfile
import zlib
from pathlib import Path

import h5py
import pytest

from grn._errors import InputError
from grn._opening import packed_with, reading, require_file, unreadable


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            BlockingIOError(11, "Unable to open file (unable to lock file, errno = 11)"),
            "held open for writing by another",
        ),
        (OSError("Unable to open file (unable to lock file, errno = 37, error message = 'No locks')"), "has no locks"),
        (OSError("Unable to open file (file is already open for write (may use <h5clear ...>))"), "h5clear -s"),
        (PermissionError(errno.EACCES, "Permission denied"), r"No permission to read .* chmod u\+r"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "There is no file"),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), "is a folder, expected a table"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "too long for this file system"),
        (OSError(errno.ELOOP, "Too many levels"), "a link that leads back to itself"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.EIO, "Input/output error"), "its disk or network drive"),
        (OSError(errno.ESTALE, "Stale file handle"), "its disk or network drive"),
        (
            OSError("Unable to open file (truncated file: eof = 9, stored_eof = 90)"),
            r"cut off \(5 bytes are there; trunc",
        ),
        (EOFError("Compressed file ended before the end-of-stream marker was reached"), "is cut off"),
        (gzip.BadGzipFile("Not a gzipped file (b'ab')"), "is not packed with gzip; it starts with b'hello'"),
        (gzip.BadGzipFile("CRC check failed"), "is damaged"),
        (zlib.error("Error -3 while decompressing data: invalid distance"), "is damaged"),
        (lzma.LZMAError("Corrupt input data"), "is damaged"),
        (zipfile.BadZipFile("File is not a zip file"), "is damaged"),
        (OSError("something new"), r"cannot be read \(something new\)\. Expected words\."),
    ],
)
def test_each_error_of_reading_is_told_by_its_cause(error: Exception, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_text("hello")
    found = unreadable(path, error, "the table", expected="Expected words.")
    assert isinstance(found, InputError)
    assert str(path)[:40] in str(found)
    with pytest.raises(InputError, match=message) as raised, reading(path, "the table", expected="Expected words."):
        raise error
    assert raised.value.__cause__ is error


def test_what_is_no_error_of_reading_passes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), reading(tmp_path, "the table"):
        raise KeyError("ours")


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("https://example.org/data/a.h5ad?download=1", r"curl -L -o a\.h5ad 'https://example\.org/data/a\.h5ad\?down"),
        ("s3://bucket/a.h5ad", r"aws s3 cp 's3://bucket/a\.h5ad' a\.h5ad"),
        ("gs://bucket/a.h5ad", r"gcloud storage cp"),
        ("file:///data/a.h5ad", r"Give the path alone: /data/a\.h5ad"),
        ("abc://x", r"abc://x is an address, not a file\. Download the data, and give the path of the copy"),
    ],
)
def test_an_address_is_refused_with_the_line_that_fetches_it(address: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        require_file(address, "the data")


def test_paths_that_lead_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("x")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.csv").symlink_to("gone.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in {
        "count.csv": r"There is no file count\.csv in .*Did you mean '.*counts\.csv'",
        "nowhere/else/a.csv": "there is no folder .*else, but .* exists",
        "counts.csv/a.csv": r"counts\.csv is a file, not a folder",
        "empty.csv": r"The table .*empty\.csv is empty \(0 bytes\)",
        "broken.csv": r"is a link to gone\.csv, which is not there",
        "loop.csv": "leads back to itself",
        "pipe.csv": "is a pipe, which can be read only once",
        "a" * 300: "too long for this file system",
        "a\x00b": "null character",
        "": "is a folder, expected a table; it holds broken",
    }.items():
        with pytest.raises(InputError, match=message):
            require_file(f"{tmp_path}/{name}", "the table")
    with pytest.raises(InputError, match="is a device"):
        require_file("/dev/null", "the table")
    assert require_file(tmp_path / "counts.csv") == tmp_path / "counts.csv"
    assert require_file(tmp_path, folder=True) == tmp_path
    assert require_file(tmp_path / "pipe.csv", pipe=True).name == "pipe.csv"


def test_a_missing_file_is_caught_as_either_error(tmp_path: Path) -> None:
    for kind in (InputError, FileNotFoundError, OSError, ValueError):
        with pytest.raises(kind) as raised:
            require_file(tmp_path / "a.csv")
        assert str(raised.value) == f"There is no file a.csv in {tmp_path}."


def test_a_closed_folder_on_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    # The superuser, under whom tests may run, may look into any folder.
    monkeypatch.setattr(os, "access", lambda folder, _: Path(folder) != closed)
    found = unreadable(closed / "a.csv", PermissionError(13, "Permission denied"))
    assert f"No permission to look into the folder {closed}" in str(found)


def test_what_h5py_says_is_understood(tmp_path: Path) -> None:
    """The messages of the installed HDF5, not those that we remember."""
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["x"] = [1, 2]
        file.swmr_mode = True
        (tmp_path / "marked.h5").write_bytes((tmp_path / "a.h5").read_bytes())
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    for name, message in {"marked.h5": "marked as open for writing", "cut.h5": "is cut off"}.items():
        with pytest.raises(InputError, match=message), reading(tmp_path / name):
            h5py.File(tmp_path / name)


def test_packing_is_seen_in_the_first_bytes(tmp_path: Path) -> None:
    for name, content in {"gzip": gzip.compress(b"a"), "xz": lzma.compress(b"a"), None: b"plain"}.items():
        (tmp_path / "a").write_bytes(content)
        assert packed_with(tmp_path / "a") == name
