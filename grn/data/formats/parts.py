"""An AnnData from an HDF5 or zarr group, part by part, so that what is not needed may be unreadable.

A file of a newer anndata can hold encodings that the installed one does not know. They are most often in `uns`, which
inference never looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from grn._errors import InputError, setting
from grn._log import logger

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_MAPPINGS = ("obsm", "varm", "obsp", "varp", "layers")


def is_unknown(error: BaseException) -> bool:
    """Whether anndata refused an encoding that it does not know."""
    return type(error).__name__ == "IORegistryError"


def needed_matrix(names: Mapping[str, Any] | set[str], layers: Any, layer: str | None) -> str:
    """Place of the matrix that `grn.data.check` would take: `"X"`, `"raw"` or `"layers/NAME"`."""
    if layer is None:
        return "layers/counts" if "counts" in layers else "X"
    if layer == "raw" and "raw" in names and "raw" not in layers:
        return "raw"
    return "X" if layer == "X" else f"layers/{layer}"


def read_parts(group: Any, where: str, layer: str | None = None) -> AnnData:
    """Read every part of an AnnData that the installed anndata can read.

    Parameters
    ----------
    group
        Group of h5py or zarr.
    where
        Names the file in messages.
    layer
        The matrix that will be used, as in `grn.data.check`: it must be readable, and so must `obs` and `var`.

    Raises
    ------
    InputError
        If one of these is of an encoding that the installed anndata does not know.
    """
    from anndata import AnnData

    left_out: list[str] = []
    needed = needed_matrix(set(group), set(group["layers"]) if "layers" in group else set(), layer)
    parts: dict[str, Any] = {name: _table(group[name], name, where, left_out) for name in ("obs", "var")}
    if "X" in group:
        parts["X"] = _one(group["X"], "X", where, left_out, needed=needed == "X")
    for name in _MAPPINGS:
        if name in group:
            parts[name] = dict(_entries(group[name], name, where, left_out, needed))
    # anndata writes a raw that is not there as a null.
    if "raw" in group and hasattr(group["raw"], "keys") and "X" in group["raw"]:
        raw = {"X": _one(group["raw"]["X"], "raw/X", where, left_out, needed=needed == "raw")}
        if raw["X"] is not None:
            raw["var"] = _table(group["raw"]["var"], "raw/var", where, left_out)
            parts["raw"] = raw
    if "uns" in group:
        parts["uns"] = _tree(group["uns"], "uns", where, left_out) or {}
    if left_out:
        logger.warning(
            "%s holds %s of an encoding that anndata %s does not know. They are not needed, and are left out.",
            where,
            ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""),
            version("anndata"),
        )
    return AnnData(**parts)


def newer(where: str, place: str, error: BaseException) -> InputError:
    """The error for a needed part of an encoding that the installed anndata does not know."""
    said = str(error).partition(" You may need")[0]
    return InputError(
        f"{where}: {place} was written by a newer anndata than {version('anndata')}, which is installed ({said}) "
        "Upgrade it: pip install --upgrade anndata. Or give another matrix of the file with "
        f"{setting('data.layer=', 'layer=')}."
    )


def _one(elem: Any, place: str, where: str, left_out: list[str], *, needed: bool = False) -> Any:
    from anndata.io import read_elem

    try:
        return read_elem(elem)
    except Exception as error:
        if not is_unknown(error):
            raise
        if needed:
            raise newer(where, place, error) from error
        left_out.append(place)
        return None


def _entries(group: Any, name: str, where: str, left_out: list[str], needed: str) -> Iterator[tuple[str, Any]]:
    for key in group:
        value = _one(group[key], f"{name}/{key}", where, left_out, needed=needed == f"{name}/{key}")
        if value is not None:
            yield key, value


def _table(elem: Any, place: str, where: str, left_out: list[str]) -> pd.DataFrame:
    """A table without the columns that cannot be read; its index must be readable."""
    import pandas as pd
    from anndata.io import read_elem

    if dict(elem.attrs).get("encoding-type") != "dataframe":
        return _one(elem, place, where, left_out, needed=True)
    try:
        return read_elem(elem)
    except Exception as error:
        if not is_unknown(error):
            raise
    index = _text(elem.attrs["_index"])
    names = _one(elem[index], f"{place}/{index}", where, left_out, needed=True)
    columns = {_text(key): _one(elem[_text(key)], f"{place}/{_text(key)}", where, left_out) for key in _order(elem)}
    return pd.DataFrame({key: value for key, value in columns.items() if value is not None}, index=names)


def _order(elem: Any) -> list[Any]:
    return list(elem.attrs["column-order"])


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _tree(elem: Any, place: str, where: str, left_out: list[str]) -> Any:
    """A dictionary of `uns` without the entries that cannot be read."""
    if dict(elem.attrs).get("encoding-type", "dict") != "dict" or not hasattr(elem, "keys"):
        return _one(elem, place, where, left_out)
    found = {key: _tree(elem[key], f"{place}/{key}", where, left_out) for key in elem}
    return {key: value for key, value in found.items() if value is not None}
