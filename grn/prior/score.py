"""The formulas: what is known of an edge, what like regulators share, and both added to a network's weights.

All matrices are (regulators, genes). Symbols are those of docs/prior.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from grn.prior.agreement import centre

# What the known edges (P) and the family term (T) weigh beside |S|, in root mean squares of the network's weights.
ALPHA, BETA = 3.0, 0.25
# More than three resources say no more than three.
MOST = 2.0
# Known targets at which the family term of a regulator counts half.
HALF = 10.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """Prior knowledge on the regulators and genes of some data.

    Attributes
    ----------
    known
        P: min(2, log2(1 + summed weight)) of the edges between the data's regulators and genes.
    sign
        Their sign where the table tells one: that of the weighted sum of its rows' signs.
    targets
        `(regulators, targets)`: 1 for the known targets of the data's regulators, also targets that are no gene of
        the data.
    regulators
        Positions of the regulators among the genes.
    folded
        How many rows of the table have a name that is a gene's only if letter case is ignored.
    """

    known: sparse.csr_array
    sign: sparse.csr_array
    targets: sparse.csr_array
    regulators: np.ndarray
    folded: int

    @property
    def edges(self) -> int:
        """Number of known edges among the genes of the data."""
        return int(self.known.nnz)

    @property
    def rows(self) -> np.ndarray:
        """Positions, among the regulators, of those with a known edge."""
        return np.flatnonzero(np.diff(self.known.indptr))


def evidence(table: pd.DataFrame, genes: pd.Index, regulators: np.ndarray) -> Evidence:
    """What a table says about the regulators and genes of some data.

    Names are matched exactly, else ignoring letter case where that leaves no choice (human symbols to mouse genes).
    Self-edges are left out.

    Parameters
    ----------
    table
        As `clean_prior` gives it.
    genes
        Names of the genes.
    regulators
        Positions of the regulators among them.
    """
    regulators = np.asarray(regulators, dtype=np.int64)
    place = np.full(len(genes) + 1, -1)  # of a gene among the regulators; the last entry is of no gene
    place[regulators] = np.arange(len(regulators))
    source, source_folded = _positions(table["source"], genes)
    target, target_folded = _positions(table["target"], genes)
    kept = (place[source] >= 0) & (source != target)
    rows, columns = place[source[kept]], target[kept]
    weight, sign = table["weight"].to_numpy()[kept], table["sign"].to_numpy()[kept]
    # Targets that are no gene of the data get columns behind the genes.
    codes, others = pd.factorize(table["target"][kept].str.upper())
    everywhere = np.where(columns >= 0, columns, len(genes) + codes)
    here = columns >= 0
    shape = (len(regulators), len(genes))
    known = _matrix(weight[here], rows[here], columns[here], shape)
    known.data = np.minimum(np.log2(1 + known.data), MOST)
    signs = _matrix((weight * sign)[here], rows[here], columns[here], shape)
    signs.data = np.sign(signs.data)
    targets = _matrix(np.ones(len(rows)), rows, everywhere, (len(regulators), len(genes) + len(others)))
    targets.data[:] = 1.0
    return Evidence(known, signs, targets, regulators, int((source_folded | target_folded)[kept & (target >= 0)].sum()))


def family(found: Evidence) -> np.ndarray:
    """T: targets of regulators with like known targets, for the regulators `found.rows`; float64 (rows, genes).

    T = K N. K_jl is the cosine of the known targets of j and l, over all targets of the table, K_jj = 0. N_li is
    1 / sqrt(out_l in_i) where i is a known target of l, else 0. Then centred by row and by column, each row divided by
    its standard deviation and shrunk by n / (n + 10), n the number of known targets of j.
    """
    rows = found.rows
    known = found.known[rows]
    edges = sparse.csr_array((np.ones(known.nnz), known.indices, known.indptr), shape=known.shape)
    targets = found.targets[rows]
    count = np.diff(targets.indptr).astype(np.float64)
    unit = sparse.diags_array(1 / np.sqrt(count)) @ targets
    alike = (unit @ unit.T).toarray()
    np.fill_diagonal(alike, 0)
    leaving, entering = edges.sum(1), np.maximum(edges.sum(0), 1)
    spread = sparse.diags_array(1 / np.sqrt(leaving)) @ edges @ sparse.diags_array(1 / np.sqrt(entering))
    shared = centre(alike @ spread)
    shared *= (count / (count + HALF))[:, None] / (shared.std(1, keepdims=True) + 1e-12)
    return shared


def with_prior(weights: np.ndarray, found: Evidence, strength: float, *, signed: bool = True) -> np.ndarray:
    r"""A network's weights with prior knowledge.

    .. math:: W_{ji} = \sigma_{ji}\, \mathrm{rms}(E)\, \max(0, |S_{ji}| + g (3 P_{ji} + \tfrac14 T_{ji}))

    Where: S is E / rms(E), sigma the sign of S + 3 g P x (sign of the known edge), g the strength.

    Parameters
    ----------
    weights
        E: `(regulators, genes)`.
    found
        The prior on the same regulators and genes.
    strength
        g; 0 gives back `weights` as they are.
    signed
        False for importances, which get no signs.

    Returns
    -------
    ndarray
        Of the weights' dtype. Regulators without known edges keep their weights bit for bit.
    """
    rows = found.rows
    size = float(np.sqrt(np.square(weights, dtype=np.float64).mean())) if weights.size else 0.0
    if strength == 0 or size == 0 or not len(rows):
        return weights
    scaled = weights[rows].astype(np.float64) / size
    known = found.known[rows].tocoo()
    at = (known.row, known.col)
    score = family(found)
    score *= strength * BETA
    score += np.abs(scaled)
    score[at] += strength * ALPHA * known.data
    np.maximum(score, 0.0, out=score)
    score[np.arange(len(rows)), found.regulators[rows]] = 0.0  # a gene is no target of its own
    if signed:
        negative = scaled < 0
        # `known` and `sign` hold the same entries in the same order.
        negative[at] = scaled[at] + strength * ALPHA * known.data * found.sign[rows].data < 0
        score[negative] *= -1.0
    combined = weights.copy()
    combined[rows] = score * size
    return combined


def _positions(names: pd.Series, genes: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Where each name stands among the genes, -1 for nowhere; and which were found only by ignoring letter case."""
    exact = genes.get_indexer(pd.Index(names))
    upper = genes.str.upper()
    single = np.flatnonzero(~upper.duplicated(keep=False))
    at = pd.Index(upper[single]).get_indexer(pd.Index(names.str.upper()))
    folded = (exact < 0) & (at >= 0)
    return np.where(folded, np.append(single, -1)[at], exact), folded


def _matrix(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    """Sparse matrix; values of the same place add up."""
    return sparse.csr_array((values.astype(np.float64), (rows, columns)), shape=shape)
