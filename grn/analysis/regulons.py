"""Regulons: for each regulator the targets it activates and those it represses, cut out of a trained network.

A trained network has an edge for nearly every pair, so a regulon is a choice among edges. The default takes the
regulators' side of each target (its five strongest regulators), not the strongest edges of all: these belong to a few
regulators, and most others would have no regulon.
"""

from __future__ import annotations

import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.network.formats.gmt import SETS
from grn.network.network import GeneNetwork

PER_TARGET = 5
DENSE = 0.1  # share of all pairs with an edge: a trained network has 1, curated and cut ones have 0.01 or so
COLUMNS = ["regulator", "sign", "target", "weight", "rank"]
_ENDINGS = {sign: ending for ending, (sign, _) in SETS.items()}


def regulons(
    network: GeneNetwork,
    *,
    top: int | None = None,
    per_target: int | None = None,
    fdr: float | None = None,
    min_targets: int = 5,
    group: str | None = None,
) -> pd.DataFrame:
    """The signed regulons of a network, as a table.

    Parameters
    ----------
    network
        The network; self-edges are not in it, so no regulator is a target of its own regulon.
    top
        Keep this many strongest edges of the network.
    per_target
        Keep the edges of this many strongest regulators of each target. Where none of `top`, `per_target` and `fdr` is
        given, it is five in a network with an edge for more than a tenth of its pairs; a sparser one (a curated
        network, or one that was cut before) is kept whole. The number of regulators keeps all.
    fdr
        Keep edges whose `qvalue` is at most this. Where several are given, they apply in the order `fdr`, `per_target`,
        `top`.
    min_targets
        Leave out regulators with fewer targets, activated and repressed together.
    group
        The network of this group of cells; without it, a network with groups gives the mean over its groups.

    Returns
    -------
    DataFrame
        `regulator`, `sign` (+1 activated, -1 repressed; 0 throughout in an unsigned network), `target`, `weight`
        (signed, float32), `rank` (1 is the strongest target of this regulator with this sign). Regulators by name,
        activated before repressed targets. Without rows where no regulator has enough targets.

    Raises
    ------
    InputError
        For an unknown group, numbers out of range, or `fdr` where the edges have no q-values.

    Examples
    --------
    >>> from grn.network import GeneNetwork
    >>> network = GeneNetwork.from_matrix([[0.0, 0.9, -0.2, 0.4]], ["A"], ["A", "B", "C", "D"])
    >>> regulons(network, min_targets=1)[["regulator", "sign", "target", "rank"]].values.tolist()
    [['A', 1, 'B', 1], ['A', 1, 'D', 2], ['A', -1, 'C', 1]]
    """
    if isinstance(min_targets, bool) or not isinstance(min_targets, int):
        raise TypeError(f"min_targets={min_targets!r}: expected a whole number of targets, at least 1.")
    if min_targets < 1:
        raise InputError(f"min_targets={min_targets}: expected a whole number of targets, at least 1.")
    edges = chosen_edges(network, top=top, per_target=per_target, fdr=fdr, group=group).edges
    size = edges["source"].map(edges["source"].value_counts())
    kept = edges[size >= min_targets]
    if lost := edges["source"].nunique() - kept["source"].nunique():
        logger.info("%d regulators have fewer than %d targets and no regulon", lost, min_targets)
    table = pd.DataFrame({"regulator": kept["source"], "sign": kept["sign"]})
    table["target"], table["weight"] = kept["target"], kept["weight"]
    # The edges are in the order of their strength.
    table["rank"] = kept.groupby(["source", "sign"], sort=False).cumcount() + 1
    return table.sort_values(["regulator", "sign", "rank"], ascending=[True, False, True], ignore_index=True)


def chosen_edges(
    network: GeneNetwork, *, top: int | None, per_target: int | None, fdr: float | None, group: str | None
) -> GeneNetwork:
    """The edges that regulons are made of; see :func:`regulons`."""
    if fdr is not None and group is None and network.groups:
        raise InputError(
            f"fdr={fdr} needs one group of cells, because q-values belong to single groups: give group=..., one of "
            f"{', '.join(map(repr, network.groups))}."
        )
    chosen = network.ungrouped() if group is None else network.of_group(group)
    chosen = chosen.chosen(fdr=fdr)
    if top is None and per_target is None and fdr is None:
        density = len(chosen) / max(1, len(chosen.regulators) * len(chosen.genes))
        per_target = PER_TARGET if density > DENSE else None
        kept = "all edges" if per_target is None else f"the {PER_TARGET} strongest regulators of each target"
        logger.info(
            "regulons: %s, because none of top, per_target and fdr is given and %.2g %% of the pairs have an edge",
            kept, 100 * density,
        )  # fmt: skip
    return chosen.chosen(per_target=per_target, top=top)


def set_names(table: pd.DataFrame) -> pd.Series:
    """Name of the gene set of each row of a table of regulons, as in GMT: `A(+)`, `A(-)`, `A(?)` without signs."""
    return table["regulator"] + table["sign"].map(_ENDINGS)


def regulon_sets(table: pd.DataFrame) -> dict[str, list[str]]:
    """Regulons as gene sets, for enrichment tools: activated and repressed targets apart, strongest first.

    Parameters
    ----------
    table
        What :func:`regulons` returned.

    Returns
    -------
    dict
        From `A(+)` (activated by A), `A(-)` (repressed) or `A(?)` (a network without signs), the names that GMT files
        have too, to names of targets.

    Examples
    --------
    >>> from grn.network import GeneNetwork
    >>> network = GeneNetwork.from_matrix([[0.0, 0.9, -0.2, 0.4]], ["A"], ["A", "B", "C", "D"])
    >>> regulon_sets(regulons(network, min_targets=1))
    {'A(+)': ['B', 'D'], 'A(-)': ['C']}
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(f"The table lacks {', '.join(missing)}; expected what grn.get.regulons returns.")
    if table.empty:  # its columns may be of any type
        return {}
    return {str(name): list(targets) for name, targets in table["target"].groupby(set_names(table), sort=False)}
