"""What gene names are (symbols or Ensembl, which species), and hints where a TF list does not fit them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from grn._errors import setting

_ENSEMBL = re.compile(r"^ENS([A-Z]{3,4})?G\d{11}(\.\d+)?$")
_BARCODE = re.compile(r"^(.*[_:#-])?[ACGT]{10,}([-_.]\w+)*$")
_NUMBERED = re.compile(r"^([A-Za-z_]+[._-]?)\d+$")


def is_ensembl(name: str) -> bool:
    """Whether a name is an Ensembl identifier of a gene, with or without a version."""
    return _ENSEMBL.match(name) is not None


def identify(names: Iterable[str]) -> tuple[str, str]:
    """Kind of the gene names and a guess of the species.

    Parameters
    ----------
    names
        Gene names.

    Returns
    -------
    identifiers
        `"symbols"`, `"Ensembl"` or `"other"` (numbers, or one letter and a number as in simulated sets).
    species
        `"human"`, `"mouse"` or `"unknown"`: by the Ensembl prefix, or by letter case (GATA1 is human, Gata1
        mouse). Mouse genes written in capitals are therefore guessed human.

    Examples
    --------
    >>> identify(["Gata1", "Spi1", "Actb"])
    ('symbols', 'mouse')
    """
    names = [str(name) for name in names]
    if not names:
        return "other", "unknown"
    ensembl = [match for match in map(_ENSEMBL.match, names) if match]
    if len(ensembl) > 0.5 * len(names):
        kinds = {match.group(1) for match in ensembl}
        return "Ensembl", {frozenset({None}): "human", frozenset({"MUS"}): "mouse"}.get(frozenset(kinds), "unknown")
    prefixes = [match.group(1) for match in map(_NUMBERED.match, names) if match]
    numbered = len(prefixes) > 0.9 * len(names) and len(set(prefixes)) <= max(1, len(prefixes) // 10)
    if numbered or share(_has_letters, names) < 0.5 or share(_BARCODE.match, names) > 0.5:
        return "other", "unknown"
    if share(str.isupper, names) > 0.7:
        return "symbols", "human"
    if share(_is_title, names) > 0.6:
        return "symbols", "mouse"
    return "symbols", "unknown"


def share(test: Callable[[str], object], names: Sequence[str]) -> float:
    """Share of `names` for which `test` holds."""
    return sum(bool(test(name)) for name in names) / max(len(names), 1)


def _has_letters(name: str) -> bool:
    return any(letter.isalpha() for letter in name)


def _is_title(name: str) -> bool:
    letters = [letter for letter in name if letter.isalpha()]
    return len(letters) > 1 and letters[0].isupper() and sum(map(str.islower, letters[1:])) > 0.5 * (len(letters) - 1)


def look_like_barcodes(names: Iterable[str]) -> bool:
    """Whether most names are cell barcodes such as AAACCTGAGAAACCAT-1."""
    return share(_BARCODE.match, [str(name) for name in names]) > 0.5


def column_with(names: Collection[str], var: pd.DataFrame) -> tuple[str, int] | None:
    """Column of `var` whose values contain most of `names`, and how many; None where no column has two."""
    wanted = set(names)
    best: tuple[str, int] | None = None
    for column in var.columns:
        if pd.api.types.is_numeric_dtype(var[column]):
            continue
        found = len(wanted.intersection(var[column].astype(str)))
        if found >= 2 and (best is None or found > best[1]):
            best = (str(column), found)
    return best


def alike(listed: Collection[str], genes: pd.Index) -> list[str]:
    """Genes that are on the list but for their letter case."""
    exact, folded = set(listed), {name.casefold() for name in listed}
    return [str(gene) for gene in genes if str(gene) not in exact and str(gene).casefold() in folded]


def mismatch(
    listed: Collection[str],
    genes: pd.Index,
    *,
    other_lists: Mapping[str, Collection[str]] | None = None,
    var: pd.DataFrame | None = None,
    cells: pd.Index | None = None,
) -> str:
    """Why names of a list are not among the genes, as a hint what to do; empty where nothing is known.

    Parameters
    ----------
    listed
        The TF names asked for.
    genes
        Gene names of the data.
    other_lists
        TF lists that could be tried instead, by name.
    var
        The data's annotation of genes, which may hold the right names in a column.
    cells
        Names of the cells, which hold the TFs where a table was read the wrong way round.
    """
    kind, species = identify(genes)
    hints: list[str] = []
    if cells is not None and (look_like_barcodes(genes) or len(set(listed) & set(cells)) >= 2):
        return (
            "The genes seem to be the rows: the table is genes x cells. Transpose it: "
            f"{setting('data.transpose=true', 'adata = adata.T')}."
        )
    column = column_with(listed, var) if var is not None else None
    if column is not None:
        hints.append(
            f"The column var[{column[0]!r}] holds {column[1]} of the listed names. Take them from there: "
            + setting(f"data.gene_names={column[0]}.", f"grn.pp.name_genes(adata, {column[0]!r}).")
        )
    elif kind == "Ensembl":
        hints.append(
            f"The genes are Ensembl identifiers ({genes[0]}), the list has symbols, and no column of var holds them. "
            "Give data with symbols, or a TF list of Ensembl identifiers."
        )
    same = alike(listed, genes)
    if same:
        better = [
            name
            for name, choice in (other_lists or {}).items()
            if len(set(choice) & set(genes)) >= max(2, len(same) // 2)
        ]
        case = f"{len(same)} would match if letter case were ignored"
        if better:
            hints.append(f"Letter case suggests {species}: {case}. Try tf={better[0]}.")
        else:
            hints.append(f"Mind letter case: {case}. Write the names as the data does, such as {same[0]!r}.")
    if kind == "other" and not hints:
        hints.append(f"The genes are named like {genes[0]!r}: give the TFs as a list or a file, or tf=all.")
    return " ".join(hints)


def examples(names: Iterable[str], limit: int = 3) -> str:
    """The first names in words: `"A, B, C and 7 more"`."""
    names = [str(name) for name in names]
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def duplicates(names: pd.Index) -> np.ndarray:
    """Names that occur more than once, in order of appearance."""
    return names[names.duplicated()].unique().to_numpy()
