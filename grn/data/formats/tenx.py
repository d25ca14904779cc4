"""What Cell Ranger writes: a folder of matrix, features and barcodes (GEO adds a prefix), or one .h5."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from scipy import sparse
from scipy.io import mminfo, mmread

from grn._errors import InputError, setting
from grn._log import logger
from grn._opening import READING_ERRORS, reading, require_file, unreadable
from grn._tables import open_text, opened
from grn.data.formats.declared import require_entries, require_room
from grn.data.formats.hdf5 import open_hdf5, top_level

if TYPE_CHECKING:
    from anndata import AnnData

GENES = "Gene Expression"


def read_h5(path: Path) -> AnnData:
    """A 10x .h5; other features than genes (antibodies, guides) are left out."""
    import scanpy as sc

    names = top_level(path)
    if {"obs", "var"} <= names:
        given = setting("data.format=h5ad", "format='h5ad'")
        raise InputError(f"{path} is no 10x file: it looks like an .h5ad. Give {given}.")
    with open_hdf5(path) as file, reading(path, "the 10x file"):
        require_room(file, str(path), "Use a machine with more memory, or a part of the cells.")
    try:
        return sc.read_10x_h5(path)
    except OSError as error:
        raise unreadable(path, error, "the 10x file") from error
    except Exception as error:  # scanpy raises a bare Exception for a file without its groups
        raise InputError(
            f"{path} is an HDF5 file but not one of 10x ({type(error).__name__}: {error}); it holds "
            f"{', '.join(sorted(names)[:6]) or 'nothing'}."
        ) from error


def read_mtx(path: Path) -> AnnData:
    """A 10x folder, or the `matrix.mtx(.gz)` in it; files may carry a prefix, as those of GEO do."""
    import anndata

    matrix_path = require_file(_matrix_in(path) if path.is_dir() else path, "the Matrix Market file")
    ending = ".mtx.gz" if matrix_path.name.endswith(".gz") else ".mtx"
    prefix = matrix_path.name.removesuffix(ending).removesuffix("matrix")
    features = _table(_beside(matrix_path, prefix, ("features", "genes")))
    barcodes = _table(_beside(matrix_path, prefix, ("barcodes",)))
    matrix = _matrix(matrix_path, len(features), len(barcodes))
    names = pd.Index(features.iloc[:, min(1, features.shape[1] - 1)].to_numpy())
    var = pd.DataFrame({"gene_ids": features.iloc[:, 0].to_numpy()}, index=names)
    obs = pd.DataFrame(index=pd.Index(barcodes.iloc[:, 0].to_numpy()))
    adata = anndata.AnnData(matrix, obs=obs, var=var)
    if features.shape[1] > 2:
        genes = (features.iloc[:, 2] == GENES).to_numpy()
        if genes.any() and not genes.all():
            logger.info("%d features that are no genes are left out.", int((~genes).sum()))
            adata = adata[:, genes].copy()
    return adata


def _matrix(path: Path, features: int, barcodes: int) -> sparse.csr_matrix:
    try:
        rows, columns, entries, *_ = mminfo(_header(path))
        if (rows, columns) != (features, barcodes):
            raise InputError(
                f"{path.name} has {rows:,} features and {columns:,} cells, but the files beside it name {features:,} "
                f"features and {barcodes:,} barcodes: they do not belong together."
            )
        require_entries(path, rows, columns, entries)
        return sparse.csr_matrix(mmread(path).T)
    except InputError:
        raise
    except READING_ERRORS as error:
        raise unreadable(path, error, "the Matrix Market file") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path} is no Matrix Market file, or is cut off: {error}.") from error


def _header(path: Path) -> BytesIO:
    """The banner and the line of sizes, without what stands between them."""
    with opened(path) as stream:
        banner, line = stream.readline(), stream.readline()
        while line.startswith(b"%") or (line and not line.strip()):
            line = stream.readline()
    return BytesIO(banner + line)


def _matrix_in(folder: Path) -> Path:
    endings = ("matrix.mtx", "matrix.mtx.gz")
    found = sorted(entry for entry in folder.iterdir() if entry.name.endswith(endings))
    if not found:
        inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
        raise InputError(
            f"{folder} is a folder without a 10x matrix.mtx(.gz); it holds {inside}. Give a file, or the "
            "folder that Cell Ranger calls filtered_feature_bc_matrix."
        )
    if len(found) > 1:
        names = ", ".join(entry.name for entry in found)
        raise InputError(f"{folder} holds {len(found)} matrices ({names}): give the path of one of them.")
    return found[0]


def _beside(matrix: Path, prefix: str, stems: tuple[str, ...]) -> Path:
    wanted = [f"{prefix}{stem}.tsv{gz}" for stem in stems for gz in (".gz", "")]
    for name in wanted:
        if (matrix.parent / name).is_file():
            return matrix.parent / name
    raise InputError(f"{matrix} has no file of {stems[0]} beside it; expected {' or '.join(wanted)}.")


def _table(path: Path) -> pd.DataFrame:
    with open_text(path, "the table of names") as stream:
        # Gene names such as "NA" are names, not gaps.
        return pd.read_csv(stream, sep="\t", header=None, dtype=str, keep_default_na=False)
