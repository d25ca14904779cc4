"""Confidence, p-values and q-values as columns of a network's edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn.data import CheckedData
from grn.network.error_rates import MIN_CELLS, error_rates
from grn.network.network import GeneNetwork
from grn.network.permutation import check_permutations
from grn.network.stability import Refit, check_resamples, stability
from grn.network.table import EVIDENCE


def add_confidence(
    network: GeneNetwork,
    checked: CheckedData,
    refit: Refit,
    *,
    resamples: int = 20,
    permutations: int | None = None,
    cells: int | None = 10_000,
    seed: int = 0,
) -> GeneNetwork:
    """The network with `confidence`, `pvalue` and `qvalue` of every edge.

    Parameters
    ----------
    network
        Inferred from `checked`.
    checked
        The data.
    refit
        Weights (groups, regulators, genes) from other cells of the same genes, in the same way.
    resamples
        Halves of the cells in which edges are sought again, see `grn.network.stability`.
    permutations, cells
        Of the p-values, see `grn.network.error_rates`.
    seed
        Of halves and permutations.

    Raises
    ------
    InputError
        If the network is of other genes, regulators or groups than the data.
    """
    check_settings(resamples=resamples, permutations=permutations, cells=cells)
    names = [str(name) for name in checked.genes]
    groups = checked.group_names
    if names != list(network.genes) or checked.tf_names != list(network.regulators):
        raise InputError(
            "The network is of other genes or regulators than the data: confidence is computed on the data that the "
            "network was inferred from."
        )
    if groups is not None and not network.groups:
        raise InputError(
            f"The data have the groups {', '.join(groups)} and the network is one without groups, of one of them or of "
            "their mean: compute confidence for the network of all groups, and take the group from that."
        )
    if not set(network.groups) <= set(groups or []):
        raise InputError(f"The network has the groups {network.groups}, the data {groups}; give the same group_by.")
    places = _places(network, groups)
    weights = np.zeros((len(groups or [None]), len(network.regulators), len(names)), dtype=np.float32)
    weights[places] = network.edges["weight"]
    rates = error_rates(checked, permutations=permutations, cells=cells, seed=seed)
    found = stability(checked, weights, refit, resamples=resamples, seed=seed)
    columns = {"confidence": found, "pvalue": rates.pvalue, "qvalue": rates.qvalue}
    table = network.edges.assign(**{name: columns[name][places] for name in EVIDENCE})
    order = ["source", "target", "weight", "sign", *EVIDENCE, *(["group"] if network.groups else [])]
    settings = {"resamples": resamples, "permutations": permutations, "cells": cells, "seed": seed}
    return replace(network, edges=table[order], params={**network.params, "confidence": settings})


def check_settings(*, resamples: int, permutations: int | None, cells: int | None) -> None:
    """Refuse settings out of range; arguments as of `add_confidence`."""
    check_resamples(resamples)
    check_permutations(permutations)
    if cells is not None and cells < MIN_CELLS:
        raise InputError(f"cells={cells}: p-values need {MIN_CELLS} cells or more of a group, or None for all.")


def _places(network: GeneNetwork, groups: list[str] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = network.edges
    group = np.zeros(len(edges), dtype=np.intp)
    if "group" in edges:
        group = pd.Index(groups or []).get_indexer(pd.Index(edges["group"]))
    source, target = (pd.Index(edges[name]) for name in ("source", "target"))
    return group, network.regulators.get_indexer(source), network.genes.get_indexer(target)
