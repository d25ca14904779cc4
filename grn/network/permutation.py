"""P-values of many statistics against permuted data, with few permutations.

Statistics of one kind share a null distribution: that of the same statistics of all pairs of the kind in permuted data.
Kinds are cut by the heaviness of the tails (kurtosis) of the genes and of the regulators, so that rarely detected genes
have nulls of their own.
"""

from __future__ import annotations

import numpy as np

from grn._errors import InputError

TARGET_KINDS, REGULATOR_KINDS = 5, 3
SMALLEST_KIND = 50
NULL_STATISTICS = 2_000_000
FEWEST, MOST = 2, 50


class PooledNull:
    """Observed statistics, and how often those of permuted data are as large.

    Parameters
    ----------
    statistic
        |T| of every pair, (regulators, genes).
    z
        Standardised expression (cells, genes), from which the kinds are cut.
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    permutations
        How many permuted statistics will be added; None: as many as two million null statistics need, 2 to 50.
    """

    def __init__(
        self, statistic: np.ndarray, z: np.ndarray, regulators: np.ndarray, permutations: int | None = None
    ) -> None:
        check_permutations(permutations)
        pairs = real_pairs(statistic.shape, regulators)
        tails = (z**4).mean(0)
        rows, columns = kinds(tails[regulators], REGULATOR_KINDS), kinds(tails, TARGET_KINDS)
        cut = [
            pairs & (rows == row)[:, None] & (columns == column)[None]
            for row in range(int(rows.max()) + 1)
            for column in range(int(columns.max()) + 1)
        ]
        self.permutations = permutations or int(np.clip(np.ceil(NULL_STATISTICS / max(pairs.sum(), 1)), FEWEST, MOST))
        self._shape, self._kinds = statistic.shape, [kind for kind in cut if kind.any()]
        self._observed = [statistic[kind] for kind in self._kinds]
        self._ordered = [np.sort(one) for one in self._observed]
        self._exceeded = [np.zeros(len(one), dtype=np.int64) for one in self._ordered]
        self._added = 0

    def add(self, statistic: np.ndarray) -> None:
        """Count |T| of permuted data, (regulators, genes)."""
        self._added += 1
        for kind, ordered, count in zip(self._kinds, self._ordered, self._exceeded, strict=True):
            drawn = np.sort(statistic[kind])
            count += len(drawn) - np.searchsorted(drawn, ordered, side="left")

    def pvalues(self) -> np.ndarray:
        """Share of the null that is as large as observed, float64 (regulators, genes), 1 for a regulator with itself.

        The observed value is one of the draws (Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39), so that no
        p-value is zero.
        """
        found = np.ones(self._shape)
        parts = zip(self._kinds, self._observed, self._ordered, self._exceeded, strict=True)
        for kind, observed, ordered, count in parts:
            p = (1 + count) / (1 + self._added * len(ordered))
            found[kind] = p[np.searchsorted(ordered, observed, side="left")]
        return found


def check_permutations(permutations: int | None) -> None:
    """Refuse a number of permutations below 1."""
    whole = isinstance(permutations, int) and not isinstance(permutations, bool)
    if permutations is not None and not (whole and permutations >= 1):
        raise InputError(
            f"permutations={permutations!r}: expected a whole number of at least 1, or None for as many as needed."
        )


def real_pairs(shape: tuple[int, ...], regulators: np.ndarray) -> np.ndarray:
    """Bool (regulators, genes), False for a regulator with itself."""
    pairs = np.ones(shape, dtype=bool)
    pairs[np.arange(len(regulators)), regulators] = False
    return pairs


def kinds(values: np.ndarray, most: int) -> np.ndarray:
    """Which of up to `most` equally large kinds each value belongs to, from small to large; none below 50 members."""
    number = max(1, min(most, len(values) // SMALLEST_KIND))
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return rank * number // len(values)


def qvalues(pvalue: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    """Q-values (Benjamini and Hochberg 1995, J. R. Statist. Soc. B 57:289) over all real pairs, float32."""
    from scipy.stats import false_discovery_control

    pairs = real_pairs(pvalue.shape, regulators)
    found = np.ones(pvalue.shape, dtype=np.float32)
    found[pairs] = false_discovery_control(pvalue[pairs], method="bh")
    return found
