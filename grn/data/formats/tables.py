"""Tables of expression: cells in rows, genes in columns, separated by commas, tabs, semicolons or blanks."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import pandas as pd
from scipy import sparse

from grn._errors import InputError
from grn.data.identifiers import examples

if TYPE_CHECKING:
    from anndata import AnnData

_CELLS_AT_ONCE = 1_000
_UNREADABLE = (
    pd.errors.ParserError,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
    OSError,
    EOFError,
    zlib.error,
)


def read_table(path: Path) -> AnnData:
    """A table read a thousand cells at a time, and kept sparse if it is mostly zeros.

    The first line names the genes, the first column the cells; the first line may leave out the corner, as R
    writes it.
    """
    import anndata

    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a table.")
    try:
        separator, corner = _layout(path)
        blocks: list[Any] = []
        cells: list[str] = []
        frames = pd.read_csv(
            path, sep=separator, index_col=0 if corner else None, chunksize=_CELLS_AT_ONCE, low_memory=False
        )
        genes: pd.Index | None = None
        for frame in frames:
            genes = frame.columns
            cells += frame.index.astype(str).tolist()
            blocks.append(_numbers(frame, path))
    except PermissionError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"{path} is no table of expression, or is cut off: {error}. Expected text: names of genes in "
            "the first line, then one cell a line, its name first."
        ) from error
    if genes is None or not blocks:
        raise InputError(f"{path} holds names of genes but no cell.")
    _require_cell_names(cells, path)
    # pandas numbers repeated columns ("A", "A.1"), which would hide duplicates from the gate.
    genes = pd.Index(_header(path, separator)[1 if corner else 0 :])
    obs, var = pd.DataFrame(index=pd.Index(cells)), pd.DataFrame(index=genes)
    if all(sparse.issparse(block) for block in blocks):
        return anndata.AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=var)
    dense = [block.toarray() if sparse.issparse(block) else block for block in blocks]
    return anndata.AnnData(np.concatenate(dense), obs=obs, var=var)


def _open(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _layout(path: Path) -> tuple[str, bool]:
    """The separator, and whether the first line has a field above the names of the cells."""
    with _open(path) as stream:
        first, second = stream.readline().rstrip("\r\n"), stream.readline().rstrip("\r\n")
    counts = {separator: first.count(separator) for separator in ("\t", ",", ";")}
    separator = max(counts, key=lambda key: counts[key])
    if counts[separator] == 0:
        separator = r"\s+"
    fields = [len(_split(line, separator)) for line in (first, second)]
    if min(fields) < 2:
        raise InputError(
            f"{path} has one column only ({first[:60]!r}). Expected fields separated by commas, tabs, "
            "semicolons or blanks: names of genes in the first line, then one cell a line, its name first."
        )
    return separator, fields[0] >= fields[1]


def _header(path: Path, separator: str) -> list[str]:
    with _open(path) as stream:
        return [field.strip().strip("\"'") for field in _split(stream.readline().rstrip("\r\n"), separator)]


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == r"\s+" else line.split(separator)


def _numbers(frame: pd.DataFrame, path: Path) -> np.ndarray | sparse.csr_matrix:
    text = [column for column in frame.columns if not pd.api.types.is_numeric_dtype(frame[column])]
    if text:
        value = frame[text[0]].iloc[0]
        raise InputError(
            f"{path} has {len(text)} columns that are not numbers ({examples(text)}; {text[0]} holds "
            f"{value!r}). Expected expression only: keep annotation of cells in a file of its own, or make "
            "an .h5ad."
        )
    block = frame.to_numpy(dtype=np.float32)
    return sparse.csr_matrix(block) if np.count_nonzero(block) < 0.5 * block.size else block


def _require_cell_names(cells: list[str], path: Path) -> None:
    """Refuse a table whose first column is a gene, which would be taken for the names of the cells."""
    numbers = pd.to_numeric(pd.Series(cells), errors="coerce")
    if numbers.notna().all() and (len(set(cells)) < len(cells) or (numbers % 1 != 0).any()):
        raise InputError(
            f"The first column of {path} holds numbers ({examples(cells)}), expected the names of the cells. "
            "Add a column with a name for each cell."
        )
