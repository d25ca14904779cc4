"""Files of AnnData (.h5ad) and of MuData (.h5mu), and AnnData in zarr stores."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn._errors import InputError, argument, did_you_mean, setting
from grn._libraries import is_out_of_memory, said
from grn._log import logger
from grn._opening import packed_with, reading, require_file, unreadable
from grn.data.formats.declared import require_room, require_stored
from grn.data.formats.parts import is_unknown, read_parts

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

# What anndata, h5py and zarr raise for a file that is damaged, or that they do not understand.
_NOT_UNDERSTOOD = (KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError, NotImplementedError)


def open_hdf5(path: Path) -> h5py.File:
    """An HDF5 file, open for reading.

    Raises
    ------
    InputError
        If it is no HDF5 file, or cannot be opened; the message says why.
    """
    import h5py

    require_file(path, "the file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "signature not found" not in str(error):
            raise unreadable(path, error) from error
        if packing := packed_with(path):
            raise InputError(
                f"{path} is packed with {packing}, although its name does not say so. {_unpacking(path, packing)}"
            ) from error
        with path.open("rb") as stream:
            start = stream.read(12)
        raise InputError(
            f"{path} is not an HDF5 file ({path.stat().st_size:,} bytes; it starts with {start!r}), so it is no .h5ad, "
            ".h5 or .loom. Was a web page or a table saved under this name? Give "
            f"{setting('data.format=', 'format=')} to read it as what it is."
        ) from error


def _unpacking(path: Path, packing: str) -> str:
    ending, line = {
        "gzip": (".gz", "gunzip"),
        "bzip2": (".bz2", "bunzip2"),
        "xz": (".xz", "xz -d"),
        "zip": (".zip", "unzip"),
        "zstd": (".zst", "zstd -d"),
    }[packing]
    return f"Unpack it: mv {path} {path}{ending} && {line} {path}{ending}"


def top_level(path: Path) -> set[str]:
    """Names at the top of an HDF5 file; errors as of `open_hdf5`."""
    with open_hdf5(path) as file:
        try:
            return set(file)
        except RuntimeError as error:  # so h5py says that the file's own table of contents is damaged
            raise unreadable(path, error) from error


def looks_like_h5ad(path: Path) -> bool:
    """Whether an HDF5 file holds an AnnData, or a MuData of several."""
    return {"obs", "var"} <= top_level(path)


def read_h5ad(path: Path, *, backed: bool = False, modality: str | None = None, layer: str | None = None) -> AnnData:
    """An AnnData file, whose values stay on disk if `backed`, or one modality of a MuData file."""
    import anndata

    names = top_level(path)
    if "mod" in names:
        if backed:
            raise InputError(
                f"{setting('data.backed=true', 'backed=True')} works for .h5ad files only, and {path.name} holds a "
                "MuData."
            )
        return read_h5mu(path, modality, layer)
    if not {"obs", "var"} <= names:
        found = f"it holds {', '.join(sorted(names)[:6]) or 'nothing'}, no obs and var"
        given = setting("data.format=10x-h5", "format='10x-h5'")
        ten = f" It looks like a 10x file: give {given}." if "matrix" in names else ""
        raise InputError(f"{path} is an HDF5 file but no AnnData: {found}.{ten}")
    refuse_modality(path, modality)
    with open_hdf5(path) as file:
        _require_room(path, file, on_disk=("X", "raw/X") if backed else ())
    try:
        with reading(path):
            return anndata.read_h5ad(path, backed="r" if backed else None)
    except InputError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if not is_unknown(error):
            raise _not_understood(path, error) from error
    if backed:
        logger.info("%s is read into memory, because parts of it are left out.", path)
    with open_hdf5(path) as file:
        return _understood(path, file, layer)


def read_h5mu(path: Path, modality: str | None, layer: str | None = None) -> AnnData:
    """One modality of a MuData file, with the columns of `obs` that all modalities share."""
    with open_hdf5(path) as file:
        if "mod" not in file:
            raise InputError(f"{path} holds no modalities (no group 'mod'), so it is no .h5mu.")
        name = pick_modality(list(file["mod"]), modality, str(path))
        adata = _understood(path, file["mod"][name], layer)
        if "obs" in file:
            add_shared_columns(adata, _understood_table(path, file["obs"]), list(file["mod"]))
    return adata


def read_zarr(path: Path, modality: str | None = None, layer: str | None = None) -> AnnData:
    """A zarr store of an AnnData, or one modality of a MuData store."""
    try:
        import zarr
    except ImportError as error:
        raise InputError(f"Reading the zarr store {path} needs the package zarr: pip install zarr.") from error

    try:
        with reading(path, "the zarr store"):
            store: Any = zarr.open_group(path, mode="r")
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is no zarr store that zarr {version('zarr')} can open: {said(error)}.") from error
    names = set(store)
    if "mod" in names:
        name = pick_modality(list(store["mod"]), modality, str(path))
        adata = _understood(path, store["mod"][name], layer)
        if "obs" in names:
            add_shared_columns(adata, _understood_table(path, store["obs"]), list(store["mod"]))
        return adata
    if not {"obs", "var"} <= names:
        spatial = ""
        if "tables" in names:
            tables = ", ".join(f"{path}/tables/{name}" for name in store["tables"])
            spatial = f" It looks like a SpatialData: give the path of a table in it ({tables})."
        raise InputError(
            f"{path} is a zarr store but no AnnData: it holds {', '.join(sorted(names)[:6]) or 'nothing'}, no obs and "
            f"var.{spatial}"
        )
    refuse_modality(path, modality)
    return _understood(path, store, layer)


def pick_modality(names: list[str], modality: str | None, where: str) -> str:
    """The modality to read: the one asked for, or the only one."""
    there = ", ".join(map(repr, names)) or "none"
    if modality is None:
        if len(names) == 1:
            logger.info("%s holds one modality, %r, which is read.", where, names[0])
            return names[0]
        raise InputError(
            f"{where} holds {len(names)} modalities: {there}. Say which to read: "
            f"{setting('data.modality=', 'modality=')}{_first(names)}."
        )
    if modality not in names:
        raise InputError(
            f"{argument('modality', modality, 'data')}: {where} has none of this name."
            f"{did_you_mean(modality, names)} It has {there}."
        )
    return modality


def refuse_modality(path: Path, modality: str | None) -> None:
    """Refuse `modality` for a file that has none."""
    if modality is not None:
        raise InputError(
            f"{argument('modality', modality, 'data')}: {path} holds one AnnData, not several modalities. "
            "Leave modality out."
        )


def add_shared_columns(adata: AnnData, shared: pd.DataFrame, modalities: list[str]) -> None:
    """Add to `adata.obs` the columns that a MuData keeps for all modalities, such as a cell type."""
    copies = tuple(f"{name}:" for name in modalities)
    new = [name for name in shared.columns if name not in adata.obs and not str(name).startswith(copies)]
    if new and shared.index.is_unique:
        adata.obs[new] = shared[new].reindex(adata.obs_names)


def _first(names: list[str]) -> str:
    return "rna" if "rna" in names else names[0] if names else "..."


def _require_room(path: Path, group: Any, on_disk: tuple[str, ...] = ()) -> None:
    backed = setting("data.backed=true", "backed=True")
    remedy = "Use a machine with more memory, or a part of the cells."
    if path.suffix == ".h5ad" and not on_disk:
        remedy = f"Leave the matrix on disk until it is checked with {backed}, or use a machine with more memory."
    with reading(path):
        require_room(group, str(path), remedy, on_disk=on_disk)
        for place in on_disk:
            matrix = group.get(place)
            for dataset in matrix.values() if hasattr(matrix, "values") else [matrix]:
                if hasattr(dataset, "shape"):
                    require_stored(dataset, f"{path}: {place}")


def _understood(path: Path, group: Any, layer: str | None) -> AnnData:
    _require_room(path, group)
    try:
        with reading(path), warnings.catch_warnings():
            # anndata speaks of its own future, which is no concern of who reads a file.
            warnings.simplefilter("ignore", FutureWarning)
            return read_parts(group, str(path), layer)
    except InputError:
        raise
    except _NOT_UNDERSTOOD as error:
        if is_out_of_memory(error):
            raise
        raise _not_understood(path, error) from error


def _understood_table(path: Path, group: Any) -> pd.DataFrame:
    from anndata.io import read_elem

    try:
        with reading(path):
            table = read_elem(group)
    except InputError:
        raise
    except Exception as error:
        if not is_unknown(error):
            raise _not_understood(path, error) from error
        logger.warning("The columns of obs that all modalities of %s share cannot be read, and are left out.", path)
        return pd.DataFrame()
    return pd.DataFrame() if isinstance(table, Mapping) else table


def _not_understood(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be read by anndata {version('anndata')}: {said(error)}. It may be damaged or written by a "
        "newer version: copy it again, or upgrade anndata: pip install --upgrade anndata."
    )
