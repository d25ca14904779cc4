"""A folder in BEELINE's layout: expression, reference network, pseudotime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grn._errors import InputError, did_you_mean
from grn._files import user_path
from grn._log import logger
from grn._tables import layout_of, names_of, read_fields, read_named

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_SIGNS = {"+": 1, "-": -1}


def beeline(
    folder: str | Path,
    *,
    expression: str = "ExpressionData.csv",
    reference: str | None = "refNetwork.csv",
    pseudotime: str | None = "PseudoTime.csv",
) -> AnnData:
    """Read a set in the layout of BEELINE (Pratapa et al. 2020, Nat Methods 17:147).

    Parameters
    ----------
    folder
        Folder that holds the files.
    expression
        Table of genes x cells: the first column names the genes, the header the cells.
    reference
        Table with the columns Gene1 (regulator), Gene2 (target) and, where signs are known, Type ("+" or
        "-"). None: no reference is read.
    pseudotime
        Table of cells x lineages, empty where a cell is not on the lineage. None: no pseudotime is read.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` the values as they stand in the file (dense float32); ``uns["reference"]``
        source, target, sign (+1, -1, or 0 where unknown), without self-loops; one column of ``obs`` per
        lineage, with the file's name for it. A reference or pseudotime file that is not there is reported
        in the log.

    Raises
    ------
    InputError
        The folder or the expression file is missing, a table cannot be read as described, the expression
        table is transposed, or a cell of the pseudotime is not in the expression.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.beeline("inputs/example/GSD")
    """
    from anndata import AnnData

    folder = user_path(folder)
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise InputError(
            f"{folder} is not a folder; expected one that holds {expression}." + did_you_mean(folder.name, siblings)
        )
    present = sorted(path.name for path in folder.iterdir())
    if expression not in present:
        raise InputError(
            f"{folder} holds no {expression}; it holds {', '.join(present[:8]) or 'nothing'}."
            f" Name the file with expression=...{did_you_mean(expression, present)}"
        )
    table = _numbers(folder / expression)
    edges = None
    if _wanted(folder, reference, present, "no reference network"):
        edges = _edges(folder / str(reference))
        _check_orientation(table, edges, folder / expression)
    adata = AnnData(
        X=np.ascontiguousarray(table.to_numpy(dtype=np.float32).T),
        obs={"index": table.columns},
        var={"index": table.index},
    )
    adata.obs = adata.obs.set_index("index").rename_axis(None)
    adata.var = adata.var.set_index("index").rename_axis(None)
    if edges is not None:
        adata.uns["reference"] = edges
        absent = sorted(set(edges["source"]).union(edges["target"]).difference(adata.var_names))
        if absent:
            logger.info(
                "%s names %d genes that are not in the expression, such as %s",
                reference,
                len(absent),
                ", ".join(absent[:3]),
            )
    if _wanted(folder, pseudotime, present, "no pseudotime"):
        _add_pseudotime(adata, folder / str(pseudotime))
    return adata


def _wanted(folder: Path, name: str | None, present: list[str], consequence: str) -> bool:
    if name is None:
        return False
    if name not in present:
        logger.info("%s holds no %s: %s.%s", folder, name, consequence, did_you_mean(name, present))
        return False
    return True


def _numbers(path: Path) -> pd.DataFrame:
    """A table of numbers under the names of its first column and its header."""
    import pandas as pd

    found = layout_of(path, "the table", likely=",")
    # A gene may be called "NA"; an empty number is a gap.
    parts = list(read_fields(path, found, "the table", converters={0: str}))
    names = names_of(found)[1:]
    table = parts[0] if parts else pd.DataFrame(columns=range(found.width), dtype=float)
    table = table.set_index(0).set_axis(names, axis=1)
    for place, here in (("header", names), ("first column", table.index.tolist())):
        repeated = [name for name, times in Counter(here).items() if times > 1]
        if repeated:
            raise InputError(f"{path}: the {place} names {repeated[0]!r} more than once; names must be unique.")
    wrong = [str(name) for name, kind in table.dtypes.items() if kind.kind not in "iuf"]
    if wrong:
        raise InputError(
            f"{path}: column {wrong[0]!r} holds text; expected numbers, with names in the first column and "
            f"in the header only ({len(wrong)} of {table.shape[1]} columns are not numbers)."
        )
    if table.empty:
        raise InputError(f"{path} holds {table.shape[0]} rows x {table.shape[1]} columns of numbers; expected some.")
    return table


def _edges(path: Path) -> pd.DataFrame:
    import pandas as pd

    found = layout_of(path, "the table of edges", likely=",")
    table = read_named(path, found, "the table of edges", dtype=str)
    missing = [name for name in ("Gene1", "Gene2") if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {missing[0]}; it has {', '.join(map(str, table.columns))}; expected "
            "Gene1 (regulator), Gene2 (target) and, where known, Type (+ or -)."
        )
    for name in ("Gene1", "Gene2"):
        if (empty := table[name].str.strip() == "").any():
            raise InputError(f"{path}, line {int(np.argmax(empty)) + 2}: {name} is empty.")
    sign = pd.Series(0, index=table.index)
    if "Type" in table.columns:
        kinds = table["Type"].str.strip()
        sign = kinds.map(_SIGNS)
        if sign.isna().any():
            row = int(np.flatnonzero(sign.isna())[0])
            raise InputError(
                f"{path}, line {row + 2}: Type is {kinds.iloc[row]!r}; expected + (activation) or - (repression)."
            )
    edges = pd.DataFrame({"source": table["Gene1"], "target": table["Gene2"], "sign": sign.astype(np.int8)})
    loops = edges["source"] == edges["target"]
    # An edge listed with both signs is an edge of unknown sign.
    signs = edges[~loops].groupby(["source", "target"], sort=False)["sign"].agg(["min", "max"])
    agree = signs["min"] == signs["max"]
    unique = signs["min"].where(agree, 0).astype(np.int8).rename("sign").reset_index()
    conflicting = int((~agree).sum())
    if loops.any() or conflicting:
        logger.info(
            "%s: %d self-loops left out; %d edges are listed with both signs and keep none",
            path.name,
            int(loops.sum()),
            conflicting,
        )
    return unique


def _check_orientation(table: pd.DataFrame, edges: pd.DataFrame, path: Path) -> None:
    named = set(edges["source"]) | set(edges["target"])
    if named & set(table.columns.astype(str)) and not named & set(table.index.astype(str)):
        raise InputError(
            f"{path} looks like cells x genes: the genes of the reference are in its header. BEELINE's "
            "layout is genes x cells: transpose the file."
        )


def _add_pseudotime(adata: AnnData, path: Path) -> None:
    table = _numbers(path)
    strange = table.index.difference(adata.obs_names)
    if len(strange):
        raise InputError(
            f"{path}: {len(strange)} cells are not in the expression, such as {strange[0]!r}."
            + did_you_mean(str(strange[0]), adata.obs_names)
        )
    for lineage in table.columns:
        adata.obs[str(lineage)] = table[lineage].reindex(adata.obs_names).to_numpy(dtype=np.float64)
    without = adata.n_obs - len(table)
    if without:
        logger.info("%s has no row for %d of %d cells: their pseudotime is empty", path.name, without, adata.n_obs)
