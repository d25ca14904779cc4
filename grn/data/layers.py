"""Where in an AnnData the expression values are taken from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn._errors import InputError, argument, did_you_mean, setting
from grn.data.matrix import describe, to_memory

if TYPE_CHECKING:
    from anndata import AnnData

_SAMPLE_CELLS = 200


@dataclass(frozen=True)
class Source:
    """One matrix of an AnnData with the genes that go with it."""

    label: str  # "layers['counts']", "X" or "raw.X"
    matrix: Any  # (cells, genes)
    var: pd.DataFrame
    reason: str


def pick(adata: AnnData, layer: str | None) -> Source:
    """The matrix to use: `layers["counts"]` if there, else X; or the one that `layer` names.

    Parameters
    ----------
    adata
        `(cells, genes)`.
    layer
        None, `"X"`, `"raw"` (that is `adata.raw.X` with its own genes) or the name of a layer.

    Raises
    ------
    InputError
        If there is no such layer; the message names those there are.
    """
    if layer is None:
        if "counts" in adata.layers:
            return Source("layers['counts']", adata.layers["counts"], adata.var, "a layer named counts is there")
        if adata.X is None:
            raise InputError(f"X is empty and there is no layer named counts. {_there(adata)}")
        return Source("X", adata.X, adata.var, "there is no layer named counts")
    if not isinstance(layer, str):
        raise TypeError(f"layer must be a name or None, got {type(layer).__name__}.")
    if layer == "X":
        return Source("X", adata.X, adata.var, "asked for")
    if layer in adata.layers:
        if layer == "raw" and adata.raw is not None:
            raise InputError(
                f"{argument('layer', 'raw', 'data')} could be the slot raw or layers['raw']: rename or "
                "delete one of them."
            )
        return Source(f"layers[{layer!r}]", adata.layers[layer], adata.var, "asked for")
    if layer == "raw":
        if adata.raw is None:
            raise InputError(f"{argument('layer', 'raw', 'data')}, but this AnnData has no raw. {_there(adata)}")
        return Source("raw.X", adata.raw.X, adata.raw.var, "asked for")
    choices = [*adata.layers, "X", *(["raw"] if adata.raw is not None else [])]
    raise InputError(f"There is no layer {layer!r}.{did_you_mean(layer, choices)} {_there(adata)}")


def _there(adata: AnnData) -> str:
    names = [*adata.layers, *(["X"] if adata.X is not None else []), *(["raw"] if adata.raw is not None else [])]
    if not names:
        return "This AnnData holds no matrix at all."
    return f"{setting('data.layer=', 'layer=')} can be {', '.join(setting(name, repr(name)) for name in names)}."


def usable(adata: AnnData, besides: str) -> list[str]:
    """Other matrices that would pass, as `"layer='raw' (log-normalised)"`, judged by a sample of cells."""
    candidates: list[tuple[str, Any]] = [(name, adata.layers[name]) for name in adata.layers]
    candidates = [(name, matrix) for name, matrix in candidates if f"layers[{name!r}]" != besides]
    if besides != "raw.X" and adata.raw is not None:
        candidates.append(("raw", adata.raw.X))
    if besides != "X" and adata.X is not None:
        candidates.append(("X", adata.X))
    found = []
    for name, matrix in candidates:
        try:
            kind = describe(to_memory(matrix[:_SAMPLE_CELLS], name)).kind
        except (InputError, TypeError, ValueError):
            continue
        if kind != "scaled":
            found.append(f"{argument('layer', name, 'data')} ({kind})")
    return found
