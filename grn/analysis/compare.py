"""Two networks side by side: which edges they share, how far they agree, where they differ most.

Notable choices: everything is taken over the pairs (regulator, target) that both networks could have, because a gene
that one of them never saw says nothing about agreement; weights are compared by rank, or in units of each network's
root mean square, because those of different networks are in different units. It describes: whether a difference is
more than chance, it does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.data.identifiers import alike, examples
from grn.network.network import GeneNetwork

TOP = (100, 1000, 10_000)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found; where groups were compared, each table begins with the column `group`.

    Attributes
    ----------
    summary
        One row: `genes_a`, `genes_b`, `genes_shared` and the same of `regulators`; `pairs`, the candidates that both
        networks could have; `edges_a`, `edges_b`, the edges among these; `spearman_strength` and `spearman_signed`,
        rank correlations over these pairs of abs(weight) and of weight, where a missing edge counts 0.
    overlap
        One row for each `top`: `edges_a`, `edges_b` (fewer than `top` where a network has no more), `shared`,
        `jaccard` (shared over either), `expected` (the mean Jaccard index of so many edges drawn at random), and
        `opposite`, the number of shared edges with opposite signs.
    differences
        `source`, `target`, `weight_a`, `weight_b`, `rank_a`, `rank_b` (by abs(weight); pairs without an edge come
        last together) and `difference`: weight_b minus weight_a, each in units of its network's root mean square over
        the pairs. The largest first.
    """

    summary: pd.DataFrame
    overlap: pd.DataFrame
    differences: pd.DataFrame

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The three tables as lists of rows, for JSON: NaN becomes None."""
        return {
            name: [
                {str(key): None if value != value else value for key, value in row.items()}
                for row in getattr(self, name).to_dict("records")
            ]
            for name in ("summary", "overlap", "differences")
        }


def compare(
    a: GeneNetwork,
    b: GeneNetwork,
    *,
    top: int | Sequence[int] = TOP,
    differences: int = 1000,
    group: str | None = None,
    other_group: str | None = None,
) -> Comparison:
    r"""Compare two networks, or the same groups of both, or two groups of one.

    Parameters
    ----------
    a, b
        The networks. Genes and regulators are matched by name.
    top
        So many strongest edges, among the pairs that both could have; one number or several.
    differences
        So many of the pairs that differ most are listed (for each group).
    group, other_group
        A group of cells of `a`, and one of `b`. Without them networks with groups are compared group by group; groups
        that only one of them has are left out, with a line in the log. `other_group` is `group` where it is not given
        and b has groups.

    Returns
    -------
    Comparison
        Its tables `summary`, `overlap` and `differences`. Where one of the networks has no signs, abs(weight) is
        compared throughout, and `spearman_signed` and `opposite` are NaN.

    Raises
    ------
    InputError
        If no pair is shared, a group is unknown, only one network has groups and none is chosen, or a number is
        below 1.

    Notes
    -----
    Networks that have nothing in common but the names of genes have correlations near 0 and a Jaccard index near

    .. math:: E[J] = \sum_s P(s) \frac{s}{m + n - s}

    Where: s is the number of shared edges, hypergeometric when m and n edges are drawn independently of N pairs. It
    is near 0 for few edges of many pairs and 1 for all edges. Networks of unrelated data can lie above it, because
    genes that vary much have strong edges in both.

    Examples
    --------
    >>> from grn.network import GeneNetwork
    >>> a = GeneNetwork.from_matrix([[0.0, 0.9, -0.3, 0.1]], ["A"], list("ABCD"))
    >>> b = GeneNetwork.from_matrix([[0.0, 0.8, 0.4, 0.1]], ["A"], list("ABCD"))
    >>> compare(a, b, top=2).overlap.iloc[0][["shared", "jaccard", "opposite"]].tolist()
    [2.0, 1.0, 1.0]
    """
    sizes = [top] if isinstance(top, int | np.integer) else list(top)
    for name, number in [("top", size) for size in sizes] + [("differences", differences)]:
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{name}={number!r}: expected whole numbers of edges, at least 1.")
        if number < 1:
            raise InputError(f"{name}={number}: expected whole numbers of edges, at least 1.")
    if not sizes:
        raise InputError("top is empty: give one number of edges or several.")
    parts: dict[str, list[pd.DataFrame]] = {"summary": [], "overlap": [], "differences": []}
    for label, first, second in _pairs_of_networks(a, b, group, other_group):
        for name, table in _compare_one(first, second, sizes, differences).items():
            if label is not None:
                table.insert(0, "group", label)
            parts[name].append(table)
    return Comparison(**{name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()})


def expected_jaccard(m: int, n: int, pairs: int) -> float:
    """Mean Jaccard index of m and of n edges drawn independently, each without replacement, from `pairs`."""
    from scipy.stats import hypergeom

    if not m or not n:
        return 0.0 if m or n else float("nan")
    shared = np.arange(max(0, m + n - pairs), min(m, n) + 1)
    return float(np.sum(hypergeom.pmf(shared, pairs, m, n) * shared / (m + n - shared)))


def _pairs_of_networks(
    a: GeneNetwork, b: GeneNetwork, group: str | None, other_group: str | None
) -> Iterator[tuple[str | None, GeneNetwork, GeneNetwork]]:
    if group is None and other_group is None and a.groups and b.groups:
        shared = [name for name in a.groups if name in b.groups]
        if not shared:
            raise InputError(
                f"The networks share no group of cells: {examples(a.groups)} and {examples(b.groups)}. "
                "Choose one of each: group=... and other_group=..."
            )
        if alone := sorted({*a.groups, *b.groups} - set(shared)):
            logger.info("Groups that only one of the networks has are left out: %s", examples(alone))
        for name in shared:
            yield name, a.of_group(name), b.of_group(name)
        return
    if other_group is None and b.groups:
        other_group = group
    for name, network, chosen in (("group", a, group), ("other_group", b, other_group)):
        if network.groups and chosen is None:
            raise InputError(
                f"{'The first' if network is a else 'The other'} network has groups of cells: give {name}=..., one of "
                f"{', '.join(map(repr, network.groups))}."
            )
    yield None, a if group is None else a.of_group(group), b if other_group is None else b.of_group(other_group)


def _compare_one(a: GeneNetwork, b: GeneNetwork, sizes: list[int], most: int) -> dict[str, pd.DataFrame]:
    genes = a.genes[a.genes.isin(b.genes)]
    regulators = a.regulators[a.regulators.isin(b.regulators)]
    mask = genes.get_indexer(regulators)[:, None] != np.arange(len(genes))[None, :]
    if not mask.any():
        raise InputError(_nothing_shared(a, b))
    # Pairs (regulator, target) in the order of the matrix, without those of a gene with itself.
    weights_a, weights_b = (_weights(network, regulators, genes)[mask] for network in (a, b))
    signed = a.signed and b.signed
    if not signed:
        if a.signed or b.signed:
            logger.info("One of the networks has no signs: abs(weight) is compared")
        weights_a, weights_b = np.abs(weights_a), np.abs(weights_b)
    summary = {
        "genes_a": len(a.genes),
        "genes_b": len(b.genes),
        "genes_shared": len(genes),
        "regulators_a": len(a.regulators),
        "regulators_b": len(b.regulators),
        "regulators_shared": len(regulators),
        "pairs": len(weights_a),
        "edges_a": int(np.count_nonzero(weights_a)),
        "edges_b": int(np.count_nonzero(weights_b)),
        "spearman_strength": _spearman(np.abs(weights_a), np.abs(weights_b)),
        "spearman_signed": _spearman(weights_a, weights_b) if signed else float("nan"),
    }
    order_a, order_b = (np.argsort(-np.abs(values), kind="stable") for values in (weights_a, weights_b))
    overlaps = []
    for size in sizes:
        best_a, best_b = _strongest(weights_a, order_a, size), _strongest(weights_b, order_b, size)
        overlaps.append(_overlap(weights_a, weights_b, best_a, best_b, size, signed))
    return {
        "summary": pd.DataFrame([summary]),
        "overlap": pd.DataFrame(overlaps),
        "differences": _differences(weights_a, weights_b, np.flatnonzero(mask), regulators, genes, most),
    }


def _weights(network: GeneNetwork, regulators: pd.Index, genes: pd.Index) -> np.ndarray:
    """(regulators, genes), 0 where there is no edge; only of the names given."""
    dense = np.zeros((len(regulators), len(genes)))
    rows = regulators.get_indexer(pd.Index(network.edges["source"]))
    columns = genes.get_indexer(pd.Index(network.edges["target"]))
    there = (rows >= 0) & (columns >= 0)
    dense[rows[there], columns[there]] = network.edges["weight"].to_numpy()[there]
    return dense


def _overlap(
    a: np.ndarray, b: np.ndarray, best_a: np.ndarray, best_b: np.ndarray, size: int, signed: bool
) -> dict[str, float]:
    """The row of one `size`; `best_a` and `best_b` are the positions of the strongest edges."""
    shared = np.intersect1d(best_a, best_b, assume_unique=True)
    either = len(best_a) + len(best_b) - len(shared)
    return {
        "top": size,
        "edges_a": len(best_a),
        "edges_b": len(best_b),
        "shared": len(shared),
        "jaccard": len(shared) / either if either else float("nan"),
        "expected": expected_jaccard(len(best_a), len(best_b), len(a)),
        "opposite": int((a[shared] * b[shared] < 0).sum()) if signed else float("nan"),
    }


def _strongest(weights: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Positions of the strongest edges, of which `order` begins with the strongest; of equal ones, the first."""
    size = min(size, int(np.count_nonzero(weights)))
    if 0 < size < len(order) and abs(weights[order[size - 1]]) == abs(weights[order[size]]):
        logger.warning(
            "The %dth and the next edge of a network are equally strong: which are among the %d strongest is arbitrary",
            size, size,
        )  # fmt: skip
    return order[:size]


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import rankdata

    x, y = (rankdata(values) - (len(values) + 1) / 2 for values in (a, b))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else float("nan")


def _differences(
    a: np.ndarray, b: np.ndarray, place: np.ndarray, regulators: pd.Index, genes: pd.Index, most: int
) -> pd.DataFrame:
    from scipy.stats import rankdata

    scaled_a, scaled_b = (_in_units_of_its_size(values) for values in (a, b))
    difference = scaled_b - scaled_a
    chosen = np.argsort(-np.abs(difference), kind="stable")[:most]
    chosen = chosen[difference[chosen] != 0]
    rows, columns = np.divmod(place[chosen], len(genes))
    table = {
        "source": regulators.to_numpy()[rows],
        "target": genes.to_numpy()[columns],
        "weight_a": a[chosen],
        "weight_b": b[chosen],
        "rank_a": rankdata(-np.abs(a), method="min")[chosen].astype(np.int64),
        "rank_b": rankdata(-np.abs(b), method="min")[chosen].astype(np.int64),
        "difference": difference[chosen],
    }
    return pd.DataFrame(table)


def _in_units_of_its_size(values: np.ndarray) -> np.ndarray:
    size = float(np.sqrt(np.mean(np.square(values))))
    return values / size if size else values


def _nothing_shared(a: GeneNetwork, b: GeneNetwork) -> str:
    for what, ours, theirs in (("regulator", a.regulators, b.regulators), ("gene", a.genes, b.genes)):
        if len(ours) and len(theirs) and not ours.isin(theirs).any():
            same = len(alike(list(ours), theirs))
            case = f" {same} would match if letter case were ignored: is one human and the other mouse?" if same else ""
            return (
                f"The networks share no {what} ({examples(ours)}; {examples(theirs)}), so nothing can be compared."
                f"{case}"
            )
    return "The networks share no pair of a regulator and a target, so nothing can be compared."
