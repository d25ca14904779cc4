"""Expression files in: .h5ad, 10x (.h5, .mtx), tables (.csv, .tsv, .txt) and loom, gzipped where usual.

Every reader returns cells x genes as an AnnData and leaves the values alone; `grn.data.check` judges them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from grn._errors import InputError, did_you_mean, near_misses
from grn._log import logger
from grn.data.identifiers import duplicates, examples

if TYPE_CHECKING:
    from anndata import AnnData

ENDINGS = {
    ".h5ad": "h5ad",
    ".h5": "10x-h5",
    ".mtx": "10x-mtx",
    ".mtx.gz": "10x-mtx",
    ".csv": "table",
    ".csv.gz": "table",
    ".tsv": "table",
    ".tsv.gz": "table",
    ".txt": "table",
    ".txt.gz": "table",
    ".loom": "loom",
}


def read_expression(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    backed: bool = False,
    gene_names: str | None = None,
    transpose: bool = False,
) -> AnnData:
    """Read expression from a file or a 10x folder; values and names stay as they are in the file.

    Parameters
    ----------
    path
        `.h5ad`; 10x `.h5`; a 10x folder or its `matrix.mtx(.gz)` with barcodes and features beside it; a
        table `.csv`, `.tsv` or `.txt` (`.gz` too) with cells in rows, names of cells in the first column and
        names of genes in the first line; `.loom` if loompy is installed.
    format
        `"auto"` (by the ending, and for HDF5 by the content), `"h5ad"`, `"10x-h5"`, `"10x-mtx"`, `"table"` or
        `"loom"`.
    backed
        Leave the values of an `.h5ad` on disk; `grn.data.check` reads them in blocks.
    gene_names
        Column of `var` to take the gene names from, for instance `"gene_symbols"` where the index holds
        Ensembl identifiers. Names that occur twice get a number, as in Scanpy.
    transpose
        Whether the file is genes x cells.

    Returns
    -------
    AnnData
        `(cells, genes)`.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, is cut off, or is of another kind than its ending says.

    Examples
    --------
    >>> adata = read_expression("my.h5ad")  # doctest: +SKIP
    >>> adata = read_expression("GSE1_counts.csv.gz", transpose=True)  # doctest: +SKIP
    """
    place = _existing(path)
    kind = _kind(place, format)
    if backed and kind != "h5ad":
        raise InputError(f"backed=True works for .h5ad files only, {place.name} is read as {kind}.")
    if backed and transpose:
        raise InputError("backed=True and transpose=True cannot be combined: read the file into memory.")
    try:
        adata = _readers()[kind](place, backed)
    except PermissionError as error:
        raise InputError(
            f"No permission to read {place}. Change it with chmod u+r, or copy the file to a folder of yours."
        ) from error
    if transpose:
        adata = adata.T.copy()
    if gene_names is not None:
        adata.var_names = _names_from(adata.var, gene_names)
    if kind.startswith("10x") or kind == "loom" or gene_names is not None:
        _tell_apart(adata)
    logger.info("Read %s as %s: %d cells, %d genes.", place, kind, adata.n_obs, adata.n_vars)
    return adata


def _readers() -> dict[str, Callable[[Path, bool], AnnData]]:
    from grn.data.formats import hdf5, tables, tenx

    return {
        "h5ad": hdf5.read_h5ad,
        "10x-h5": lambda path, _: tenx.read_h5(path),
        "10x-mtx": lambda path, _: tenx.read_mtx(path),
        "table": lambda path, _: tables.read_table(path),
        "loom": lambda path, _: hdf5.read_loom(path),
    }


def _existing(path: str | os.PathLike[str]) -> Path:
    """The path if something is there; else an error with the near misses beside it."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be the name of a file or folder, got {type(path).__name__}.")
    if "://" in os.fspath(path):
        raise InputError(f"{path} is an address, not a file. Download it and give the path of the copy.")
    place = Path(path).expanduser()
    try:
        if place.exists():
            return place
        parent = place.absolute().parent
        while not parent.is_dir():
            parent = parent.parent
        siblings = [entry.name for entry in parent.iterdir()]
    except PermissionError as error:
        raise InputError(f"No permission to look into the folder of {place}.") from error
    if parent != place.absolute().parent:
        raise InputError(f"There is no file {place}: there is no folder {place.parent}, but {parent} exists.")
    close = [str(place.parent / name) for name in near_misses(place.name, siblings)]
    hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    raise InputError(f"There is no file {place.name} in {parent}.{hint}")


def _kind(path: Path, format: str) -> str:
    """The reader to use."""
    kinds = list(dict.fromkeys(ENDINGS.values()))
    if format != "auto":
        if format not in kinds:
            raise InputError(
                f"format={format!r} is unknown.{did_you_mean(format, kinds)} It can be 'auto' or {', '.join(kinds)}."
            )
        return format
    if path.is_dir():
        if path.suffix == ".zarr":
            raise InputError(f"{path} is a zarr store. Convert it: anndata.read_zarr(...).write_h5ad(...).")
        return "10x-mtx"
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        packed = path.suffix.lower() in {".gz", ".zip", ".bz2", ".xz", ".tar", ".tgz"}
        advice = "Unpack it first." if packed else "Give format= if it is one of these under another name."
        raise InputError(
            f"Cannot tell what {path.name} is by its ending. Expected {', '.join(ENDINGS)} or a 10x folder. {advice}"
        )
    if ending == ".h5":
        from grn.data.formats.hdf5 import looks_like_h5ad

        return "h5ad" if looks_like_h5ad(path) else "10x-h5"
    return ENDINGS[ending]


def _names_from(var: pd.DataFrame, column: str) -> list[str]:
    if column not in var.columns:
        raise InputError(
            f"gene_names={column!r}: var has no such column.{did_you_mean(column, map(str, var.columns))} "
            f"It has {', '.join(map(str, var.columns)) or 'no column at all'}."
        )
    missing = int(var[column].isna().sum())
    if missing:
        logger.warning("%d genes have no name in var[%r]: they keep the one of the index.", missing, column)
    return var[column].astype(object).where(var[column].notna(), var.index).astype(str).tolist()


def _tell_apart(adata: AnnData) -> None:
    """Number the gene names that occur more than once, as some symbols do in every 10x or loom file."""
    twice = duplicates(adata.var_names)
    if len(twice):
        logger.warning("%d gene names occur twice or more and get a number: %s.", len(twice), examples(twice))
        adata.var_names_make_unique()
