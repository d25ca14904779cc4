"""What is given as data: an AnnData whose annotation is in memory."""

from __future__ import annotations

import pandas as pd

from grn._errors import InputError


def require_anndata(adata: object, function: str, *, copy: bool = False) -> None:
    """Refuse what is no AnnData, or one that cannot be worked with, before any work.

    Parameters
    ----------
    adata
        What the user gave.
    function
        Name of the user's call, such as `"grn.tl.infer"`.
    copy
        Whether a copy with the result is asked for.

    Raises
    ------
    TypeError
        If it is no AnnData; of a MuData, the modalities are named.
    InputError
        If it was opened with `anndata.experimental.read_lazy`, or a copy is asked for of one that is on disk.
    """
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise TypeError(f"{function} takes an AnnData{_instead(adata, function)}")
    if not isinstance(adata.obs, pd.DataFrame) or not isinstance(adata.var, pd.DataFrame):
        raise InputError(
            f"{function} needs obs and var in memory, and this AnnData was opened lazily. Load it first: "
            "adata = adata.to_memory()."
        )
    if copy and adata.isbacked:
        raise InputError(
            f"{function} with copy=True: an AnnData on disk (backed) has no copy in memory. Load it first: "
            "adata = adata.to_memory(), or leave copy out."
        )


def _instead(adata: object, function: str) -> str:
    given = type(adata).__name__
    if isinstance(adata, (str, bytes)) or hasattr(adata, "__fspath__"):
        return f", got a {given}. Read the file: grn.data.read_expression({adata!r})."
    if hasattr(adata, "mod") and hasattr(adata, "obs"):
        names = [str(name) for name in adata.mod]
        first = "rna" if "rna" in names else names[0] if names else "rna"
        return (
            f", got a {given}. Give one of its modalities ({', '.join(map(repr, names)) or 'it has none'}): "
            f"{function}(mdata[{first!r}])."
        )
    return f" of shape (cells, genes), got {given}. Wrap a matrix in anndata.AnnData."
