"""Gene names from a column of the annotation, in every part of an AnnData that has genes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn.data.identifiers import duplicates, examples

if TYPE_CHECKING:
    from anndata import AnnData


def name_genes(adata: AnnData, column: str) -> None:
    """Take the gene names of `adata.var` and of `adata.raw.var` from a column, in place.

    For files whose index holds Ensembl identifiers and whose symbols stand in a column, such as those of CELLxGENE
    (`feature_name`). The command line has `data.gene_names` for it.

    Parameters
    ----------
    adata
        `(cells, genes)`.
    column
        Column of `var`, of `raw.var`, or of both. Where one of the two lacks it, a gene takes the name that the other
        gives to its identifier. A gene without a name keeps its identifier. Of a name that occurs twice or more, the
        second and later genes get a number, as in Scanpy; a gene is called the same in `var` and in `raw.var`.

    Raises
    ------
    InputError
        If neither `var` nor `raw.var` has such a column.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> var = pd.DataFrame({"feature_name": ["GATA1", "SPI1"]}, index=["ENSG00000102145", "ENSG00000066336"])
    >>> adata = anndata.AnnData(np.ones((3, 2)), var=var)
    >>> name_genes(adata, "feature_name")
    >>> list(adata.var_names)
    ['GATA1', 'SPI1']
    """
    tables = {"var": adata.var} | ({} if adata.raw is None else {"raw.var": adata.raw.var})
    with_column = {place: table for place, table in tables.items() if column in table.columns}
    if not with_column:
        there = list(dict.fromkeys(str(name) for table in tables.values() for name in table.columns))
        raise InputError(
            f"gene_names={column!r}: {' and '.join(tables)} {'has' if len(tables) == 1 else 'have'} no such column."
            f"{did_you_mean(column, there)} {'It has' if len(tables) == 1 else 'They have'} "
            f"{', '.join(there) or 'no column at all'}."
        )
    known = {place: _names(table, column) for place, table in with_column.items()}
    elsewhere = pd.concat(list(known.values()))
    elsewhere = elsewhere[~elsewhere.index.duplicated()]
    found = {
        place: known[place] if place in known else _borrowed(table, elsewhere, column, place)
        for place, table in tables.items()
    }
    for place, names in found.items():
        if missing := int(names.isna().sum()):
            logger.warning("%d genes have no name in %s[%r]: they keep the one of the index.", missing, place, column)
        found[place] = names.where(names.notna(), names.index.to_series(index=names.index))
    unique = _numbered(found)
    adata.var_names = pd.Index(unique["var"])
    if adata.raw is not None:
        adata.raw.var.index = pd.Index(unique["raw.var"])


def number_repeated_names(adata: AnnData) -> None:
    """Number the gene names that occur more than once, as some symbols do in every 10x or loom file."""
    _report(pd.Index(adata.var_names))
    if not adata.var_names.is_unique:
        adata.var_names_make_unique()


def _names(table: pd.DataFrame, column: str) -> pd.Series:
    """Names as text by identifier; missing where the column is empty."""
    values = table[column].astype(object)
    text = values.map(lambda value: str(value).strip(), na_action="ignore")
    return pd.Series(text.where(text.ne(""), None).to_numpy(dtype=object), index=table.index.astype(str))


def _borrowed(table: pd.DataFrame, names: pd.Series, column: str, place: str) -> pd.Series:
    identifiers = table.index.astype(str)
    logger.info("%s has no column %r: its names are taken from the other table, by identifier.", place, column)
    return pd.Series(names.reindex(identifiers).to_numpy(dtype=object), index=identifiers)


def _numbered(found: dict[str, pd.Series]) -> dict[str, list[str]]:
    """The names of each table, without duplicates; a gene that is in both is called the same in both."""
    from anndata.utils import make_index_unique

    if all(names.index.is_unique for names in found.values()):
        together = pd.concat(list(found.values()))
        together = together[~together.index.duplicated()]
        _report(pd.Index(together))
        called = pd.Series(make_index_unique(pd.Index(together.astype(str))), index=together.index)
        return {place: called.reindex(names.index).tolist() for place, names in found.items()}
    _report(pd.Index(found["var"]))
    return {place: make_index_unique(pd.Index(names.astype(str))).tolist() for place, names in found.items()}


def _report(names: pd.Index) -> None:
    twice = duplicates(names)
    if len(twice):
        logger.warning("%d gene names occur twice or more and get a number: %s.", len(twice), examples(twice))
