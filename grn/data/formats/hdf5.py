"""Files of AnnData (.h5ad) and loom."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


def top_level(path: Path) -> set[str]:
    """Names at the top of an HDF5 file.

    Raises
    ------
    InputError
        If it is not an HDF5 file, or is cut off.
    """
    import h5py

    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file.")
    try:
        with h5py.File(path, "r") as file:
            return set(file)
    except PermissionError:
        raise
    except OSError as error:
        size = f"{path.stat().st_size:,} bytes"
        if "truncated" in str(error):
            raise InputError(
                f"{path} is cut off ({size} are there; {_reason(error)}). Copy or download it again."
            ) from error
        raise InputError(
            f"{path} is not an HDF5 file ({size}; it starts with {_start(path)!r}), so it is no .h5ad, .h5 "
            "or .loom. Was a web page or a table saved under this name? Give format= to read it as what it "
            "is."
        ) from error


def _reason(error: Exception) -> str:
    text = str(error)
    return text[text.find("(") + 1 : text.rfind(")")] if "(" in text else text


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(12)


def looks_like_h5ad(path: Path) -> bool:
    """Whether an HDF5 file holds an AnnData."""
    return {"obs", "var"} <= top_level(path)


def read_h5ad(path: Path, backed: bool) -> AnnData:
    """An AnnData file; its values stay on disk if `backed`."""
    import anndata

    names = top_level(path)
    if not {"obs", "var"} <= names:
        found = f"it holds {', '.join(sorted(names)[:6]) or 'nothing'}, no obs and var"
        ten = " It looks like a 10x file: give format='10x-h5'." if "matrix" in names else ""
        raise InputError(f"{path} is an HDF5 file but no AnnData: {found}.{ten}")
    try:
        return anndata.read_h5ad(path, backed="r" if backed else None)
    except PermissionError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read by anndata {version('anndata')}: {type(error).__name__}: {error}. It "
            "may be damaged or written by a newer version: copy it again, or upgrade anndata."
        ) from error


def _loom_names(path: Path) -> dict[str, str]:
    """The attributes that hold names of cells and genes: by the convention of loom, or as anndata writes."""
    import h5py

    found = {}
    with h5py.File(path, "r") as file:
        for key, group, choices in (
            ("obs_names", "col_attrs", ("CellID", "obs_names", "cell_names", "Barcode")),
            ("var_names", "row_attrs", ("Gene", "var_names", "gene_names", "Accession")),
        ):
            there = list(file[group])
            name = next((choice for choice in choices if choice in there), None)
            if name is None:
                raise InputError(
                    f"{path}: {group} has none of {', '.join(choices)} to take names from, only "
                    f"{', '.join(there) or 'nothing'}."
                )
            found[key] = name
    return found


def read_loom(path: Path) -> AnnData:
    """A loom file, if loompy is installed."""
    if importlib.util.find_spec("loompy") is None:
        raise InputError("Reading .loom needs loompy, which is not installed: pip install 'grn[loom]'.")
    import anndata

    if not {"matrix", "row_attrs", "col_attrs"} <= top_level(path):
        raise InputError(f"{path} is an HDF5 file but no loom: it has no matrix with row_attrs and col_attrs.")
    try:
        names = _loom_names(path)
        return anndata.io.read_loom(path, **names)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as loom: {type(error).__name__}: {error}.") from error
