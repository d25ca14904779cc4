"""Direction from splicing: unspliced messages are what is being made now, spliced ones what was made before.

    E = z(spliced),  Y = z(unspliced)
    W_i = argmin  mean over cells of (Y_i - sum_j W_ji E_j)^2 + lambda |W_i|^2,  W_ii = 0

The target's own spliced level is not used: it follows its unspliced one and would explain it away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grn._errors import InputError, did_you_mean
from grn.data.matrix import describe, non_finite_genes, size_factors, to_memory
from grn.dynamics.gate import HALVINGS, RELIABLE, Gate, spearman_brown
from grn.dynamics.head import effects, penalised

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def read_layers(adata: AnnData, genes: pd.Index, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray, str]:
    """Spliced and unspliced expression of these genes, float64 (cells, genes) each, and what was done to it.

    Counts become log1p of counts per 1,000 of a cell's spliced and unspliced counts together, so that the proportion of
    the two is kept; other values are used as they are.

    Parameters
    ----------
    adata
        (cells, all genes).
    genes
        Genes to keep, in this order.
    names
        Layers of spliced and of unspliced values.

    Raises
    ------
    InputError
        If a layer or a gene is not there, both layers are one, or a value is not finite.
    """
    for name in names:
        if name not in adata.layers:
            there = ", ".join(map(repr, adata.layers)) or "none"
            raise InputError(
                f"There is no layer {name!r}.{did_you_mean(name, adata.layers)} Layers: {there}. dynamics=velocity "
                "needs spliced and unspliced values: dynamics.spliced=... dynamics.unspliced=..."
            )
    if names[0] == names[1]:
        raise InputError(f"dynamics.spliced and dynamics.unspliced both name {names[0]!r}; they are two layers.")
    at = adata.var_names.get_indexer(genes)
    if (at < 0).any():
        raise InputError(
            f"{int((at < 0).sum())} of the {len(genes):,} genes are not in adata.var_names, among them "
            f"{genes[at < 0][0]!r}, so layers say nothing about them. Use data.layer=X or a layer, not raw."
        )
    layers = [to_memory(adata.layers[name], f"layers[{name!r}]") for name in names]
    for name, layer in zip(names, layers, strict=True):
        if non_finite_genes(layer)[0]:
            raise InputError(f"layers[{name!r}] holds NaN or infinite values; fill them or drop their genes.")
    counts = all(describe(layer).kind == "counts" for layer in layers)
    totals = np.asarray(sum(np.asarray(layer.sum(1, dtype=np.float64)).reshape(-1, 1) for layer in layers))
    spliced, unspliced = (_dense(layer[:, at]) for layer in layers)
    if not counts:
        return spliced, unspliced, "used as they are"
    factor = size_factors(totals)
    return np.log1p(spliced * factor), np.log1p(unspliced * factor), "log1p of counts per 1,000 of both layers taken"


def velocity_map(spliced: np.ndarray, unspliced: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    """Signed map (regulators, genes), root mean square 1.

    Parameters
    ----------
    spliced, unspliced
        Standardised, float64 (cells, genes).
    regulators
        Their positions among the genes, int64 (regulators,).
    """
    x = spliced[:, regulators] - spliced[:, regulators].mean(0)
    covariance = x.T @ x / len(x)
    inverse = np.linalg.inv(penalised(covariance))
    weights = inverse @ (x.T @ (unspliced - unspliced.mean(0)) / len(x))
    own = np.arange(len(regulators))
    # The optimum without a regulator's own column, see grn.models.closed_form.
    weights[:, regulators] -= inverse * (weights[own, regulators] / inverse.diagonal())
    weights[own, regulators] = 0.0
    return effects(weights, x.std(0))


def judge_velocity(spliced: np.ndarray, unspliced: np.ndarray, regulators: np.ndarray, *, seed: int) -> Gate:
    """Open where the maps of random halves of the cells agree to a reliability of 0.9.

    Parameters
    ----------
    spliced, unspliced
        Standardised, float64 (cells, genes).
    regulators
        Their positions among the genes, int64 (regulators,).
    seed
        Of the halvings.
    """
    cosines = []
    for number in range(HALVINGS):
        half = np.random.default_rng((seed, 0, number)).random(len(spliced)) < 0.5
        one, other = (velocity_map(spliced[cells], unspliced[cells], regulators) for cells in (half, ~half))
        cosines.append(float((one * other).mean()))
    reliability = spearman_brown(float(np.mean(cosines)))
    facts = {"cells": len(spliced), "reliability": reliability}
    if reliability < RELIABLE:
        reason = f"the map is not found again in other cells (reliability {reliability:.3f}, mark {RELIABLE})"
        return Gate(False, reason, facts)
    return Gate(True, f"reliability {reliability:.2f}", facts)


def _dense(matrix: object) -> np.ndarray:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
