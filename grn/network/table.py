"""Tables of edges from matrices and from other tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import InputError, setting
from grn._log import logger

# What may be known of an edge besides its weight; each column lies between 0 and 1 and may be absent.
EVIDENCE = ("confidence", "pvalue", "qvalue")


def name_index(names: Iterable[str], what: str) -> pd.Index:
    """Index of unique, non-empty strings; `what` names them in errors."""
    if isinstance(names, str):
        raise TypeError(f"The {what} are the single string {names!r}; expected a list of names.")
    if not isinstance(names, Iterable):
        raise TypeError(f"The {what} are a {type(names).__name__}; expected a list of names.")
    index = pd.Index(list(names), dtype=object)
    wrong = [name for name in index if not isinstance(name, str)]
    if wrong:
        raise TypeError(
            f"The {what} must be names (strings); got {wrong[0]!r} ({type(wrong[0]).__name__}). "
            "From positions, pass genes[positions]."
        )
    if index.has_duplicates:
        raise InputError(f"The {what} must be unique; {index[index.duplicated()][0]!r} is given twice.")
    if (index == "").any():
        raise InputError(f"One of the {what} has an empty name.")
    return index


def edge_table(
    weights: Any, regulators: pd.Index, genes: pd.Index, own: np.ndarray, group: str | None = None, signed: bool = True
) -> pd.DataFrame:
    """Edges of one matrix `(regulators, genes)`, strongest first.

    `own` holds the position of each regulator among the genes; that entry would be a self-edge. Where the weights
    are not `signed`, none may be negative, and the sign of every edge is 0.
    Equal weights keep the order of the matrix, so the same matrix always gives the same table.
    """
    from scipy import sparse

    matrix: Any = weights.tocoo() if sparse.issparse(weights) else np.asarray(weights)
    where = "" if group is None else f" of group {group!r}"
    if matrix.dtype.kind not in "biuf":
        raise InputError(f"The weights{where} are {matrix.dtype}, expected an array of numbers (regulators, genes).")
    if matrix.shape != (len(regulators), len(genes)):
        raise InputError(
            f"The weights{where} have the shape {matrix.shape}; expected (regulators, genes) = "
            f"({len(regulators)}, {len(genes)})."
            + (" They look transposed." if matrix.shape == (len(genes), len(regulators)) else "")
        )
    if sparse.issparse(matrix):
        matrix.sum_duplicates()
        rows, columns, values = matrix.row, matrix.col, matrix.data.astype(np.float32)
    else:
        values = matrix.astype(np.float32).ravel()
        rows, columns = np.divmod(np.arange(values.size), max(1, len(genes)))
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} weights{where} are NaN or infinite.")
    if not signed and (values < 0).any():
        raise InputError(f"{int((values < 0).sum())} weights{where} are negative, but signed=False was given.")
    keep = np.flatnonzero((values != 0) & (columns != own[rows]))
    keep = keep[np.argsort(-np.abs(values[keep]), kind="stable")]
    table = pd.DataFrame(
        {
            "source": regulators.to_numpy()[rows[keep]],
            "target": genes.to_numpy()[columns[keep]],
            "weight": values[keep],
            "sign": signs(values[keep], signed=signed),
        }
    )
    if group is not None:
        table["group"] = pd.Series(group, index=table.index, dtype=object)
    return table


def signs(weights: np.ndarray, *, signed: bool) -> np.ndarray:
    """Column `sign` of weights: +1 or -1, or 0 throughout where the method tells no signs; int8."""
    return np.sign(weights).astype(np.int8) if signed else np.zeros(len(weights), dtype=np.int8)


def is_signed(edges: pd.DataFrame) -> bool:
    """Whether the edges tell activation from repression; those of an unsigned method all have the sign 0."""
    return edges.empty or bool((edges["sign"] != 0).any())


def order_by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """The rows by |weight|, strongest first; equal ones keep their order."""
    order = np.argsort(-np.abs(table["weight"].to_numpy()), kind="stable")
    return table.iloc[order].reset_index(drop=True)


def clean_edges(edges: pd.DataFrame) -> pd.DataFrame:
    """The columns of a GeneNetwork from any table of edges, checked; see GeneNetwork.from_edges."""
    if not isinstance(edges, pd.DataFrame):
        raise TypeError(
            f"The edges are a {type(edges).__name__}, expected a table (pandas DataFrame); `read` takes a file."
        )
    missing = [name for name in ("source", "target", "weight") if name not in edges]
    if missing:
        raise InputError(
            f"The edges lack {', '.join(map(repr, missing))}; expected the columns source, target and "
            f"weight, got {', '.join(map(repr, edges.columns))}. "
            + setting("Rename those of the file.", "Rename yours with edges.rename(columns=...).")
        )
    kept = ("source", "target", "weight", "sign", *EVIDENCE, "group")
    extra = [str(name) for name in edges if name not in kept]
    if extra:
        logger.info("Columns of the edges that a network does not keep: %s", ", ".join(extra))
    names = [name for name in ("source", "target", "group") if name in edges]
    for name in names:
        if edges[name].isna().any():
            raise InputError(f"{int(edges[name].isna().sum())} edges have no {name}.")
    numbers = pd.to_numeric(edges["weight"], errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(over="ignore"):
        weight = numbers.astype(np.float32)
    if not np.isfinite(weight).all():
        wrong = edges["weight"].iloc[int(np.flatnonzero(~np.isfinite(weight))[0])]
        raise InputError(f"{int((~np.isfinite(weight)).sum())} weights are no finite numbers, e.g. {wrong!r}.")
    table = pd.DataFrame({name: edges[name].astype(str).to_numpy(dtype=object) for name in ("source", "target")})
    table["weight"] = weight
    table["sign"] = np.sign(weight).astype(np.int8)
    for name in EVIDENCE:
        if name in edges:
            table[name] = _between_0_and_1(edges[name])
    if "group" in edges:
        table["group"] = edges["group"].astype(str).to_numpy(dtype=object)
    if "sign" in edges:
        given = pd.to_numeric(edges["sign"], errors="coerce").to_numpy()
        unsigned = (given == 0).all() and (weight >= 0).all()
        if unsigned:
            table["sign"] = signs(weight, signed=False)
        elif wrong_signs := int((given != table["sign"].to_numpy()).sum()):
            raise InputError(
                f"{wrong_signs} edges have a sign that is not the sign of their weight (+1 or -1). "
                "Leave the column `sign` out, or give signed weights; 0 in every row is for unsigned ones."
            )
    loops = (table["source"] == table["target"]).to_numpy()
    zeros = weight == 0
    if loops.any() or zeros.any():
        logger.info("Left out %d self-edges and %d edges of weight 0", loops.sum(), (zeros & ~loops).sum())
        table = table[~(loops | zeros)]
    twice = table.duplicated(names)
    if twice.any():
        first = table[twice].iloc[0]
        raise InputError(
            f"{int(twice.sum())} edges are given more than once, e.g. {first['source']} -> "
            f"{first['target']}. Keep one row per edge"
            + ("." if "group" in names else " (or name the group of cells in a column).")
        )
    return order_by_strength(table)


def _between_0_and_1(column: pd.Series) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise InputError(
            f"{int(wrong.sum())} values of {column.name!r} are no numbers from 0 to 1, e.g. "
            f"{column.iloc[int(np.flatnonzero(wrong)[0])]!r}. Leave the column out where it is not known of every edge."
        )
    return values.astype(np.float32)
