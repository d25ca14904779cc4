"""Loom files, read with h5py alone.

The validator of loompy refuses files whose expression is sound: those of SCENIC, which keep regulons in compound
attributes, and those without a version or with an attribute that is empty. Only the matrix, the layers and the
attributes with one value for each cell or gene are read here.
Layout: https://linnarssonlab.org/loompy/format/ (matrix is genes x cells).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from grn._errors import InputError
from grn._log import logger
from grn._memory import require_memory
from grn._opening import reading
from grn.data.formats.declared import require_room, require_stored
from grn.data.formats.hdf5 import open_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

# By the convention of loom, or as anndata and other programs write them.
CELLS = ("CellID", "obs_names", "cell_names", "Barcode", "barcode", "cell_id")
GENES = ("Gene", "var_names", "gene_names", "gene_name", "GeneName", "Accession")
_VALUES_AT_ONCE = 16_000_000
_MORE = "Use a machine with more memory, or a part of the cells."


def read_loom(path: Path) -> AnnData:
    """A loom file; matrices are sparse, and read some cells at a time."""
    import anndata

    with open_hdf5(path) as file, reading(path, "the loom file"):
        if not {"matrix", "row_attrs", "col_attrs"} <= set(file):
            raise InputError(f"{path} is an HDF5 file but no loom: it has no matrix with row_attrs and col_attrs.")
        if getattr(file["matrix"], "ndim", 0) != 2:
            raise InputError(f"{path}: its matrix has no two dimensions (genes x cells), so it is no loom.")
        genes, cells = file["matrix"].shape
        for name in ("row_attrs", "col_attrs"):
            require_room(file[name], f"{path}: {name}", _MORE)
        var = _annotation(file["row_attrs"], genes, GENES, f"{path}: row_attrs")
        obs = _annotation(file["col_attrs"], cells, CELLS, f"{path}: col_attrs")
        layers = file.get("layers", {})
        return anndata.AnnData(
            _cells_by_genes(file["matrix"]),
            obs=obs,
            var=var,
            layers={name: _cells_by_genes(layers[name]) for name in layers if layers[name].shape == (genes, cells)},
        )


def _cells_by_genes(dataset: Any) -> sparse.csr_matrix:
    genes, cells = dataset.shape
    if dataset.dtype.kind not in "biuf":
        raise InputError(f"{dataset.file.filename}: {dataset.name} holds values of type {dataset.dtype}, not numbers.")
    where = f"{dataset.file.filename}: {dataset.name}"
    require_stored(dataset, where)
    require_memory(8 * genes, f"{where}, with {genes:,} genes, for one cell", _MORE)
    step = max(1, _VALUES_AT_ONCE // max(genes, 1))
    blocks = [
        sparse.csr_matrix(dataset[:, start : start + step].T.astype(np.float32, copy=False))
        for start in range(0, cells, step)
    ]
    return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix((cells, genes), dtype=np.float32)


def _annotation(group: Any, size: int, choices: tuple[str, ...], where: str) -> pd.DataFrame:
    """The attributes with one value for each row or column of the matrix; the first of `choices` names them."""
    columns: dict[str, np.ndarray] = {}
    left_out = []
    for name in group:
        dataset = group[name]
        # A null attribute has no shape; regulons of SCENIC have a field for each of them.
        if getattr(dataset, "shape", None) == (size,) and dataset.dtype.names is None and size:
            columns[name] = _values(dataset)
        else:
            left_out.append(name)
    if left_out:
        logger.info("%s: %s do not hold one value for each, and are left out.", where, ", ".join(left_out))
    index = next((name for name in choices if name in columns), None)
    if index is None:
        raise InputError(
            f"{where} has none of {', '.join(choices)} to take names from, only {', '.join(columns) or 'nothing'}."
        )
    names = pd.Index(pd.Series(columns.pop(index)).astype(str), name=None)
    return pd.DataFrame(columns, index=pd.Index(names.to_numpy(dtype=object)))


def _values(dataset: Any) -> np.ndarray:
    import h5py

    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr(errors="replace")[()], dtype=object)
    values = dataset[()]
    return np.char.decode(values, "utf-8", "replace").astype(object) if values.dtype.kind == "S" else values
