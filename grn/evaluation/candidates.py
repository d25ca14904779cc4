"""Candidates: the pairs (regulator, target) that a reference network could have listed.

The choice decides every metric, so it has a name and is reported. A pair of a gene with itself is never
a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean

CONVENTIONS = {
    "all_genes": "the reference's regulators that are in the data x all genes of the data",
    "reference_genes": "the reference's regulators x genes of the reference, as far as in the data (BEELINE)",
}


@dataclass(frozen=True)
class Candidates:
    """Pairs of `regulators` and `targets`; `mask` `(regulators, targets)` leaves out a gene with itself."""

    regulators: pd.Index
    targets: pd.Index
    mask: np.ndarray

    def lookup(self, table: pd.DataFrame, column: str) -> np.ndarray:
        """`(regulators, targets)`: the value in `column` of the row of each pair, 0 where there is no row."""
        values = np.zeros(self.mask.shape, dtype=np.float64)
        rows = self.regulators.get_indexer(pd.Index(table["source"]))
        columns = self.targets.get_indexer(pd.Index(table["target"]))
        there = (rows >= 0) & (columns >= 0)
        values[rows[there], columns[there]] = table[column].to_numpy(dtype=np.float64)[there]
        return values


def candidate_pairs(reference: pd.DataFrame, genes: pd.Index, convention: str = "all_genes") -> Candidates:
    """The candidates under a named convention.

    Parameters
    ----------
    reference
        Columns `source` and `target`, without self-loops.
    genes
        All genes of the data.
    convention
        "all_genes" or "reference_genes"; see `CONVENTIONS`.

    Raises
    ------
    InputError
        For an unknown convention, or where no regulator of the reference is in the data.
    """
    if convention not in CONVENTIONS:
        known = "; ".join(f"{name!r}: {words}" for name, words in CONVENTIONS.items())
        raise InputError(f"Unknown candidates {convention!r}; {known}.{did_you_mean(str(convention), CONVENTIONS)}")
    sources = pd.Index(reference["source"].unique(), dtype=object)
    regulators = genes[genes.isin(sources)]
    if not len(regulators):
        raise InputError(_no_regulator(sources, genes))
    targets = genes if convention == "all_genes" else genes[genes.isin(sources) | genes.isin(reference["target"])]
    mask = targets.get_indexer(regulators)[:, None] != np.arange(len(targets))[None, :]
    return Candidates(regulators, targets, mask)


def _no_regulator(sources: pd.Index, genes: pd.Index) -> str:
    folded = {str(gene).casefold() for gene in genes}
    same = sum(str(name).casefold() in folded for name in sources)
    if same:
        hint = f" {same} would match if letter case were ignored: human symbols are GATA1, mouse ones Gata1."
    elif len(genes) and str(genes[0]).startswith("ENS"):
        hint = " The genes are Ensembl identifiers: rename them to the symbols that the reference uses."
    else:
        hint = did_you_mean(str(sources[0]), map(str, genes)) if len(sources) else " The reference is empty."
    shown = ", ".join(map(str, sources[:3]))
    return (
        f"None of the reference's {len(sources)} regulators ({shown}, ...) is among the {len(genes)} "
        f"genes of the data.{hint}"
    )
