"""Tables as text, in and out: which letters, which separator, what stands before the header.

Every reader of text tables asks here. A table is read by what is in it, not by the ending of its name: tabs in a file
called .csv are seen, and so are a line `sep=;`, UTF-16 and a header that lacks the corner, as R writes it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from grn._errors import InputError, printable
from grn._libraries import is_out_of_memory, raised_in, said
from grn._log import logger
from grn._memory import free_memory, require_memory, size
from grn._opening import READING_ERRORS, require_file, unreadable

if TYPE_CHECKING:
    import pandas as pd

BLANKS = r"\s+"
_SEPARATORS = ("\t", ",", ";")
_WORDS = {"\t": "tabs", ",": "commas", ";": "semicolons", BLANKS: "blanks"}
_LOOKED_AT = 12  # lines
_PEEKED = 4096  # bytes
_DECLARED = re.compile(r'"?sep=(?P<separator>.)"?')
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
# That of UTF-32 begins like that of UTF-16.
_BYTE_ORDER = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
# A spreadsheet takes a cell for a formula that begins so.
_FORMULA = re.compile(r"[=+\-@\t\r].")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+|inf|nan)(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a text table is written.

    Attributes
    ----------
    separator
        One character, or `BLANKS`.
    skipped
        Lines before the first row of values, the header among them.
    header
        The fields of the header.
    width
        Fields of a row of values.
    """

    separator: str
    skipped: int
    header: tuple[str, ...]
    width: int

    @property
    def words(self) -> str:
        """What separates the fields, in words."""
        return _WORDS.get(self.separator, repr(self.separator))


@contextmanager
def open_text(path: Path, what: str, *, pipe: bool = False) -> Iterator[TextIO]:
    """The file as text: UTF-8, or UTF-16 with a mark; unpacked where it is packed with gzip.

    Parameters
    ----------
    path
        The file.
    what
        Names it in messages, such as `"the table of edges"`.
    pipe
        Whether a pipe is accepted.

    Raises
    ------
    InputError
        If it cannot be opened, is no text, or unpacks to more than the free memory; also for what libraries throw
        while they read it within the block.
    """
    path = require_file(path, what, pipe=pipe, empty=True)
    noun = what.removeprefix("the ")
    try:
        with opened(path) as content:
            start = content.peek(4)[:4]
            if magic := _magic(start):
                raise InputError(f"{path} is no {noun}, because it is no text: it is {magic}.")
            encoding = next((name for mark, name in _BYTE_ORDER.items() if start.startswith(mark)), "utf-8")
            if encoding in ("utf-8", "utf-8-sig") and b"\0" in content.peek(_PEEKED)[:_PEEKED]:
                raise InputError(
                    f"{path} is no {noun}: it holds null characters. If it is text in UTF-16, convert it: "
                    f"iconv -f utf-16le -t utf-8 {path} > {path.parent / ('utf8_' + path.name)}"
                )
            # Line ends as they are: a carriage return may be part of a name in quotes.
            with io.TextIOWrapper(content, encoding=encoding, newline="") as stream:
                yield stream
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(_other_letters(path, noun, error)) from error
    except READING_ERRORS as error:
        raise unreadable(path, error, what) from error
    except ValueError as error:  # what pandas raises of a table derives from it
        raise InputError(f"{path} is no {noun}, or is cut off: {str(error).strip().rstrip('.')}.") from error
    except Exception as error:
        if is_out_of_memory(error) or not (library := raised_in(error)):
            raise
        raise InputError(f"{path} is no {noun} that {library} can read ({said(error)}).") from error


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, unpacked where it is packed with gzip, whatever its name says.

    While they are read, more than the free memory raises `InputError`.
    """
    with path.open("rb") as raw:
        if path.name.lower().endswith(".gz") or raw.peek(2)[:2] == b"\x1f\x8b":
            yield io.BufferedReader(_Bounded(gzip.GzipFile(fileobj=raw), path))
        else:
            yield raw


class _Bounded(io.RawIOBase):
    """What a packed file holds, up to the free memory: a few kilobytes may stand for terabytes of blanks."""

    def __init__(self, stream: gzip.GzipFile, path: Path) -> None:
        self._stream, self._path, self._read = stream, path, 0
        self._most = free_memory()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._read += len(content)
        if self._most is not None and self._read > self._most:
            raise InputError(
                f"{self._path} ({size(self._path.stat().st_size)}) unpacks to more than the {size(self._most)} of "
                "memory that are free. If it is what it should be, use a machine with more memory, or a part of it."
            )
        buffer[: len(content)] = content
        return len(content)


def _magic(start: bytes) -> str | None:
    kinds = {
        b"\x89HDF": "an HDF5 file (.h5ad, .h5, .loom)",
        b"PAR1": "a Parquet file: call it .parquet",
        b"PK\x03\x04": "a zip archive, as .xlsx and .zip files are. Save a spreadsheet as .csv",
        b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls). Save it as .csv",
        b"BZh": "packed with bzip2. Unpack it: bunzip2",
        b"\xfd7zX": "packed with xz. Unpack it: xz -d",
        b"\x28\xb5\x2f\xfd": "packed with zstd. Unpack it: zstd -d",
        b"RDX": "an R object. Write it as .csv with write.csv in R",
    }
    return next((kind for mark, kind in kinds.items() if start.startswith(mark)), None)


def _other_letters(path: Path, noun: str, error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return (
        f"{path} is no {noun} in UTF-8: it holds the byte 0x{byte:02x}. If it is text of an older program (Latin-1), "
        f"convert it: iconv -f latin1 -t utf-8 {path} > {path.parent / ('utf8_' + path.name)}"
    )


def layout_of(path: Path, what: str, *, likely: str | None = None) -> Layout:
    """How a text table is written, by its first lines.

    Parameters
    ----------
    path, what
        As of :func:`open_text`.
    likely
        The separator that the name of the file speaks for; it is taken where it fits all lines.

    Raises
    ------
    InputError
        As :func:`open_text`; also if there is one column only, or the first line is not a header.
    """
    noun = what.removeprefix("the ")
    with open_text(path, what) as stream:
        lines = _first_lines(stream, path)
    if not lines:
        raise InputError(f"{path} is no {noun}: it is empty.")
    before = 0
    separator = None
    if declared := _DECLARED.fullmatch(lines[0][0]):
        separator, before = declared["separator"], lines[0][1]
        lines = lines[1:]
        if not lines:
            raise InputError(f"{path} is no {noun}: it has one line, {declared[0]!r}.")
    # A comment has another number of fields than what follows, a header that begins with # has the same.
    comments = next((place for place, (line, _) in enumerate(lines) if not line.startswith("#")), len(lines))
    if comments and comments < len(lines):
        separator = separator or _separator([line for line, _ in lines[comments:]], likely)
        last = len(split(lines[comments - 1][0], separator))
        kept = comments - 1 if last == len(split(lines[comments][0], separator)) > 1 else comments
        before += sum(count for _, count in lines[:kept])
        lines = lines[kept:]
    separator = separator or _separator([line for line, _ in lines], likely)
    rows = [split(line, separator) for line, _ in lines]
    header, width = rows[0], statistics.mode([len(row) for row in rows[1:]] or [len(rows[0])])
    if width < 2 and len(header) < 2:
        raise InputError(
            f"{path} is no {noun}: it has one column only ({lines[0][0][:60]!r}). Expected fields separated by commas, "
            "tabs, semicolons or blanks."
        )
    # R leaves out the name of the first column; of two columns that would leave one name, as of a title.
    if len(header) not in (width, max(2, width - 1)):
        raise InputError(_no_header(path, noun, [line for line, _ in lines], rows, before, width))
    return Layout(separator, before + lines[0][1], tuple(header), width)


def _first_lines(stream: TextIO, path: Path) -> list[tuple[str, int]]:
    """Lines that are not empty, without their ends, each with the number of lines of the file up to its end."""
    lines: list[tuple[str, int]] = []
    read, held = 0, ""
    for line in stream:
        read += 1
        held += line
        if held.count('"') % 2 and read < _LOOKED_AT:
            continue  # a name in quotes goes on
        if text := held.rstrip("\r\n"):
            lines.append((text, read))
            read = 0
        held = ""
        if len(lines) == _LOOKED_AT:
            break
    if held.strip():
        lines.append((held.rstrip("\r\n"), read))
    return lines


def split(line: str, separator: str) -> list[str]:
    """The fields of a line, quotes taken off."""
    if '"' not in line:
        return line.split() if separator == BLANKS else line.split(separator)
    blanks = separator == BLANKS
    try:
        fields = next(csv.reader([line], delimiter=" " if blanks else separator, skipinitialspace=blanks))
    except csv.Error:  # a field of more than 131072 letters: this is not the separator
        return [line]
    return [field for field in fields if field] if blanks else fields


def _separator(lines: list[str], likely: str | None = None) -> str:
    """What gives most lines the same number of fields; of two that do, the one that gives the header that number."""
    if likely is not None and len(widths := {len(split(line, likely)) for line in lines}) == 1 and widths != {1}:
        return likely

    def score(separator: str) -> tuple[int, bool, int]:
        counts = [len(split(line, separator)) for line in lines]
        width = statistics.mode(counts[1:] or counts)
        if width < 2:
            return (0, False, 0)
        same = sum(count == width for count in counts[1:]) + (counts[0] in (width, width - 1))
        return (same, counts[0] == width, width)

    best = max(_SEPARATORS, key=score)
    return best if score(best)[2] else BLANKS


def _no_header(path: Path, noun: str, lines: list[str], rows: list[list[str]], before: int, width: int) -> str:
    number = before + 1
    for place in range(1, len(rows)):
        # A header further down: as wide as the rows, without a number.
        if len(rows[place]) in (width, width - 1) and not any(map(_NUMBER.fullmatch, rows[place])):
            return (
                f"{path}: line {number} is no header but a title ({printable(lines[0])[:60]!r}); the header of the "
                f"{noun} is line {number + place}. Leave out what stands before it: "
                f"tail -n +{number + place} {path} > {path.parent / ('table_' + path.name)}"
            )
    between = _WORDS.get(_separator(lines), "separators")
    return (
        f"{path} is no {noun}, or is cut off: line {number} has {len(rows[0])} fields and the lines below have "
        f"{width}, with {between} between them. Is line {number} a title? "
        f"Then leave it out: tail -n +{number + 1} {path} > {path.parent / ('table_' + path.name)}"
    )


def read_fields(path: Path, found: Layout, what: str, **options: Any) -> Iterator[pd.DataFrame]:
    """The rows under the header, as tables whose columns are numbered from 0.

    Parameters
    ----------
    path, what
        As of :func:`open_text`.
    found
        What :func:`layout_of` gave.
    options
        For `pandas.read_csv`; without `chunksize` there is one table.

    Raises
    ------
    InputError
        As :func:`open_text`.
    """
    import pandas as pd

    with open_text(path, what) as stream:
        for _ in range(found.skipped):
            stream.readline()
        try:
            # Names are given, because pandas renames what a header repeats.
            read = pd.read_csv(
                stream,
                sep=found.separator,
                header=None,
                names=range(found.width),
                index_col=False,
                low_memory=False,
                **options,
            )
            yield from [read] if isinstance(read, pd.DataFrame) else read
        except pd.errors.EmptyDataError:
            return


def read_text_table(path: Path, what: str, known: Iterable[str], wanted: Sequence[str]) -> pd.DataFrame:
    """A table whose fields are all text, with the names of its header.

    Parameters
    ----------
    path, what
        As of :func:`open_text`.
    known, wanted
        As of :func:`require_names`.

    Raises
    ------
    InputError
        As :func:`layout_of` and :func:`require_names`.
    """
    found = layout_of(path, what)
    require_names(path, found, known, wanted)
    # A gene may be called "NA", and a sign may be "+".
    return read_named(path, found, what, dtype=str)


def read_named(path: Path, found: Layout, what: str, **options: Any) -> pd.DataFrame:
    """The whole table under the names of its header; an empty field is empty text, and no word stands for a gap.

    Parameters
    ----------
    path, what, found, options
        As of :func:`read_fields`.

    Raises
    ------
    InputError
        As :func:`open_text`.
    """
    import pandas as pd

    parts = list(read_fields(path, found, what, keep_default_na=False, **options))
    table = parts[0] if parts else pd.DataFrame(columns=range(found.width), dtype=str)
    return table.set_axis(names_of(found), axis=1)


def names_of(found: Layout) -> list[str]:
    """A name for each column; R leaves out that of the numbers of the rows."""
    names = [name.strip() for name in found.header]
    return ["", *names] if len(names) < found.width else names


def require_names(path: Path, found: Layout, known: Iterable[str], wanted: Sequence[str]) -> None:
    """Refuse a table whose first line names no column that is known, as it is where there is no header.

    Parameters
    ----------
    path, found
        The table.
    known
        Names that are looked for, in lower case.
    wanted
        What a header would be, of as many names as there are columns.

    Raises
    ------
    InputError
        With the lines that add a header or change it.
    """
    known = list(dict.fromkeys(known))
    if set(known) & {name.strip().casefold() for name in found.header}:
        return
    between = {"\t": "\\t", BLANKS: " "}.get(found.separator, found.separator)
    names = [*wanted, *(f"column{number}" for number in range(len(wanted) + 1, found.width + 1))]
    header = between.join(names[: max(2, found.width)])
    raise InputError(
        f"{path}: the first line ({printable(', '.join(found.header))[:60]!r}) names no column that is known "
        f"({', '.join(known)}). If it is an edge already, put a header before it: sed -i '1i {header}' {path}\n"
        f"If it names the columns, rename them: sed -i '1s/.*/{header}/' {path}"
    )


def named_decimal_comma(values: Iterable[Any]) -> bool:
    """Whether a text is a number with a decimal comma."""
    return any(isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()) for value in values)


def thousands_apart(values: Iterable[Any]) -> bool:
    """Whether every text among the values is a number whose thousands are set apart by commas, as in `12,345`."""
    texts = [value.strip() for value in values if isinstance(value, str) and not _NUMBER.fullmatch(value.strip())]
    return bool(texts) and all(map(_THOUSANDS.fullmatch, texts))


def require_parquet(path: Path) -> None:
    """Refuse a Parquet file whose rows do not fit into the free memory: of equal values millions take a few bytes.

    Raises
    ------
    InputError
        If they do not fit.
    OSError, pyarrow.lib.ArrowException
        If it is no Parquet file.
    """
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    require_memory(
        8 * about.num_rows * about.num_columns,
        f"{path}, by its header {about.num_rows:,} rows x {about.num_columns:,} columns,",
        "If the header is right, use a machine with more memory, or a part of the table.",
    )


def write_frame(table: pd.DataFrame, path: Path, separator: str = ",", *, index: str | None = None) -> None:
    """Write a table as text; `index` names the column of the row names, which are left out without it."""
    named = table if index is None else table.reset_index(names=index)
    columns = named.select_dtypes(exclude=["number", "bool"])
    warn_of_formulas(
        {str(text) for column in columns for text in columns[column].unique()} | set(map(str, named)), path
    )
    named.to_csv(path, sep=separator, index=False)


def warn_of_formulas(texts: Iterable[str], path: Path) -> None:
    """Say it where a spreadsheet would run a text that is written to `path`; names are written as they are."""
    formulas = sorted(text for text in texts if _FORMULA.match(text) and not _NUMBER.fullmatch(text))
    if formulas:
        logger.warning(
            "%d names in %s begin with =, +, -, @ or a tab, such as %r: a spreadsheet takes them for formulas and runs "
            "them. They are written as they are. Import the file as text, or rename the genes.",
            len(formulas),
            path.name,
            printable(formulas[0])[:60],
        )
