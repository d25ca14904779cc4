"""Tables of expression: cells in rows, genes in columns, separated by commas, tabs, semicolons or blanks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from grn._errors import InputError
from grn._log import logger
from grn._tables import BLANKS, Layout, layout_of, named_decimal_comma, read_fields, thousands_apart
from grn.data.identifiers import examples

if TYPE_CHECKING:
    from anndata import AnnData

_CELLS_AT_ONCE = 1_000
_WHAT = "the table of expression"
# What featureCounts, Seurat and scanpy put beside the cells of a genes x cells table, or the genes of the other.
_ANNOTATION = frozenset(
    (
        *("length", "gene_length", "effective_length", "start", "end", "chr", "strand"),
        *("entrez", "entrezid", "ncbi_gene_id", "n_cells", "n_counts", "n_genes", "total_counts"),
        *("ncount_rna", "nfeature_rna", "percent.mt", "percent_mito", "pct_counts_mt"),
        *("cluster", "seurat_clusters", "leiden", "louvain", "batch", "pseudotime"),
    )
)


def read_table(path: Path) -> AnnData:
    """A table read a thousand cells at a time, and kept sparse if it is mostly zeros.

    The first line names the genes, the first column the cells; the first line may leave out the corner, as R
    writes it.
    """
    import anndata

    found = layout_of(path, _WHAT)
    genes = _gene_names(found, path)
    blocks: list[Any] = []
    cells: list[str] = []
    # A converter keeps a cell called "NA" or "01" as it is.
    for frame in read_fields(path, found, _WHAT, chunksize=_CELLS_AT_ONCE, converters={0: str}):
        if frame.empty:
            continue
        if not genes[-1]:
            # Lines that end with a separator have an empty field more.
            if frame.iloc[:, -1].notna().any():
                raise InputError(f"The last column of {path} has no name in the header, but values. Name it.")
            genes = genes[:-1]
        cells += frame.iloc[:, 0].tolist()
        blocks.append(_numbers(frame.iloc[:, 1 : 1 + len(genes)].set_axis(genes, axis=1), path, found.separator))
    if not blocks:
        raise InputError(f"{path} holds names of genes but no cell.")
    _require_cell_names(cells, path)
    obs, var = pd.DataFrame(index=pd.Index(cells, dtype=object)), pd.DataFrame(index=genes)
    if all(sparse.issparse(block) for block in blocks):
        return anndata.AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=var)
    dense = [block.toarray() if sparse.issparse(block) else block for block in blocks]
    return anndata.AnnData(np.concatenate(dense), obs=obs, var=var)


def _gene_names(found: Layout, path: Path) -> pd.Index:
    # As wide as the rows, the header names the column of cells as well.
    written = found.header[1:] if len(found.header) == found.width else found.header
    names = [name.strip() for name in written]
    if changed := sum(name != before for name, before in zip(names, written, strict=True)):
        logger.info("%s: blanks around %d names of the header are left out.", path, changed)
    if annotation := [name for name in names if name.casefold() in _ANNOTATION]:
        logger.warning(
            "%s (%s) in the header of %s %s like annotation, and %s taken for expression. Leave %s out of the table.",
            "A column" if len(annotation) == 1 else f"{len(annotation)} columns",
            examples(annotation),
            path.name,
            "looks" if len(annotation) == 1 else "look",
            "is" if len(annotation) == 1 else "are",
            "it" if len(annotation) == 1 else "them",
        )
    return pd.Index(names, dtype=object)


def _cut(path: Path, separator: str, columns: int, out: set[int]) -> str:
    """The line that takes columns out of a table; empty where none would be left, or `cut` does not know fields."""
    kept = [place for place in range(columns) if place not in out]
    if not kept or separator == BLANKS:
        return ""
    # The names come first; `cut` numbers fields from 1.
    ends = [0, *(place + 1 for place, (one, other) in enumerate(pairwise(kept)) if other != one + 1), len(kept)]
    ranges = [(kept[start] + 2, kept[end - 1] + 2) for start, end in pairwise(ends)]
    fields = ",".join(["1", *(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)])
    by = "" if separator == "\t" else f" -d'{separator}'"
    return f". Take the others out: cut{by} -f{fields} {path} > {path.parent / ('numbers_' + path.name)}"


def _numbers(frame: pd.DataFrame, path: Path, separator: str) -> np.ndarray | sparse.csr_matrix:
    kinds = frame.dtypes.map(lambda kind: kind.kind).to_numpy()
    text = np.flatnonzero(~np.isin(kinds, list("iufb")))
    if len(text):
        column = frame.iloc[:, text[0]]
        if thousands_apart(column):
            raise InputError(
                f"{path} sets thousands apart with commas ({column.iloc[0]!r} for {frame.columns[text[0]]}). Write the "
                "numbers without them."
            )
        if named_decimal_comma(column):
            raise InputError(
                f"{path} has decimal commas ({column.iloc[0]!r} for {frame.columns[text[0]]}). Write it with points: "
                f"sed 's/,/./g' {path} > {path.parent / ('points_' + path.name)}"
            )
        out = {*text.tolist(), *(place for place, name in enumerate(frame.columns) if name.casefold() in _ANNOTATION)}
        raise InputError(
            f"{path} has {len(text)} columns that are not numbers ({examples(frame.columns[text].tolist())}; "
            f"{frame.columns[text[0]]} holds {column.iloc[0]!r}). Expected expression only"
            + (_cut(path, separator, len(frame.columns), out) or ": keep annotation in a file of its own.")
        )
    block = frame.to_numpy(dtype=np.float32)
    return sparse.csr_matrix(block) if np.count_nonzero(block) < 0.5 * block.size else block


def _require_cell_names(cells: list[str], path: Path) -> None:
    """Refuse a table whose first column is a gene, which would be taken for the names of the cells."""
    numbers = pd.to_numeric(pd.Series(cells), errors="coerce")
    if numbers.notna().all() and (len(set(cells)) < len(cells) or (numbers % 1 != 0).any()):
        raise InputError(
            f"The first column of {path} holds numbers ({examples(cells)}), expected the names of the cells. "
            "Add a column with a name for each cell."
        )
