"""Expression files in: .h5ad, .h5mu, zarr, 10x (.h5, .mtx), tables (.csv, .tsv, .txt) and loom, gzipped where usual.

Every reader returns cells x genes as an AnnData and leaves the values alone; `grn.data.check` judges them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError, argument, did_you_mean, setting
from grn._log import logger
from grn._opening import reading, require_file
from grn.data.gene_names import name_genes, number_repeated_names

if TYPE_CHECKING:
    from anndata import AnnData

ENDINGS = {
    ".h5ad": "h5ad",
    ".h5mu": "h5ad",
    ".zarr": "zarr",
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
# What marks a folder as a zarr store, of version 2 and 3.
_ZARR = (".zgroup", "zarr.json")


def read_expression(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    backed: bool = False,
    modality: str | None = None,
    gene_names: str | None = None,
    transpose: bool = False,
    layer: str | None = None,
) -> AnnData:
    """Read expression from a file or a folder; values and names stay as they are in the file.

    Parameters
    ----------
    path
        `.h5ad`; `.h5mu`; a `.zarr` store of either; 10x `.h5`; a 10x folder or its `matrix.mtx(.gz)` with barcodes
        and features beside it; a table `.csv`, `.tsv` or `.txt` (`.gz` too) with cells in rows, names of cells in the
        first column and names of genes in the first line; `.loom`.
    format
        `"auto"` (by the ending, and for HDF5 by the content), `"h5ad"` (`.h5mu` and zarr stores as well), `"zarr"`,
        `"10x-h5"`, `"10x-mtx"`, `"table"` or `"loom"`.
    backed
        Leave the values of an `.h5ad` on disk; `grn.data.check` reads them in blocks.
    modality
        Which modality of a `.h5mu` to read, such as `"rna"`; not needed where there is one.
    gene_names
        Column of `var` to take the gene names from, for instance `"gene_symbols"` where the index holds
        Ensembl identifiers; see `grn.data.gene_names.name_genes`, which names the genes of `raw` as well.
    transpose
        Whether the file is genes x cells.
    layer
        The matrix that will be used, as in `grn.data.check`. What else the file holds is left out, with a line in the
        log, where the installed anndata cannot read it.

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
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be the name of a file or folder, got {type(path).__name__}.")
    place = require_file(path, folder=True)
    kind = _kind(place, format)
    if backed and kind != "h5ad":
        raise InputError(f"{_backed()} works for .h5ad files only, {place.name} is read as {kind}.")
    if backed and transpose:
        raise InputError(
            f"{_backed()} and {setting('data.transpose=true', 'transpose=True')} cannot be combined: read the file "
            "into memory."
        )
    with reading(place, whole=True):
        adata = _read(place, kind, backed=backed, modality=modality, layer=layer)
    if transpose:
        adata = adata.T.copy()
    if gene_names is not None:
        name_genes(adata, gene_names)
    elif kind.startswith("10x") or kind == "loom":
        number_repeated_names(adata)
    logger.info("Read %s as %s: %d cells, %d genes.", place, kind, adata.n_obs, adata.n_vars)
    return adata


def _backed() -> str:
    return setting("data.backed=true", "backed=True")


def _read(path: Path, kind: str, *, backed: bool, modality: str | None, layer: str | None) -> AnnData:
    from grn.data.formats import hdf5, loom, tables, tenx

    if kind == "h5ad":
        return hdf5.read_h5ad(path, backed=backed, modality=modality, layer=layer)
    if kind == "zarr":
        return hdf5.read_zarr(path, modality, layer)
    hdf5.refuse_modality(path, modality)
    if kind == "10x-h5":
        return tenx.read_h5(path)
    if kind == "10x-mtx":
        return tenx.read_mtx(path)
    return loom.read_loom(path) if kind == "loom" else tables.read_table(path)


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and (path.suffix == ".zarr" or any((path / mark).is_file() for mark in _ZARR))


def _kind(path: Path, format: str) -> str:
    """The reader to use."""
    from grn.data.formats.others import not_read

    kinds = list(dict.fromkeys(ENDINGS.values()))
    if format != "auto" and format not in kinds:
        raise InputError(
            f"{argument('format', format, 'data')} is unknown.{did_you_mean(format, kinds)} It can be auto or "
            f"{', '.join(kinds)}."
        )
    if format in ("auto", "h5ad") and _is_zarr(path):
        return "zarr"
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if format in ("auto", "h5ad") and ending is None and path.is_file() and (remedy := not_read(path)):
        raise InputError(remedy)
    if format != "auto":
        return format
    if path.is_dir():
        return "10x-mtx"
    if ending is None:
        raise InputError(
            f"Cannot tell what {path.name} is by its ending. Expected {', '.join(ENDINGS)} or a 10x folder. Give "
            f"{setting('data.format=', 'format=')} if it is one of these under another name."
        )
    if ending == ".h5":
        from grn.data.formats.hdf5 import looks_like_h5ad

        return "h5ad" if looks_like_h5ad(path) else "10x-h5"
    if ending == ".zarr":
        raise InputError(f"{path} is a file, and a zarr store is a folder. If it is packed, unpack it first.")
    return ENDINGS[ending]
