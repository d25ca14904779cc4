"""Shortcuts: scores that look at no pair of a regulator and its target.

Real references favour genes that are well studied, highly expressed or regulators themselves, so that a score which
knows only such things of the two genes apart can rank their edges well. A network that does not beat the best of
them has shown nothing about regulation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from grn.evaluation.candidates import candidate_pairs
from grn.evaluation.evaluate import clean_truth, true_pairs
from grn.evaluation.metrics import average_precision

# Each of the two genes: mean and standard deviation over cells, and whether it may regulate (0 or 1). The regulator's
# come as a column `(regulators, 1)`, the target's as a row `(1, targets)`.
Gene = dict[str, np.ndarray]
SHORTCUTS: dict[str, Callable[[Gene, Gene], np.ndarray]] = {
    "target is a TF": lambda regulator, target: target["is_tf"],
    "target mean": lambda regulator, target: target["mean"],
    "target std": lambda regulator, target: target["std"],
    "TF mean": lambda regulator, target: regulator["mean"],
    "TF std": lambda regulator, target: regulator["std"],
    "TF mean x target mean": lambda regulator, target: regulator["mean"] * target["mean"],
    "TF mean x target is a TF": lambda regulator, target: regulator["mean"] * target["is_tf"],
    "target mean x target is a TF": lambda regulator, target: target["mean"] * target["is_tf"],
}


def best_shortcut(
    x: np.ndarray,
    genes: pd.Index,
    regulators: pd.Index,
    reference: pd.DataFrame | str | Path,
    *,
    candidates: str = "all_genes",
) -> tuple[str, float, dict[str, float]]:
    """AUPRC ratios of the eight shortcuts, and which is the best.

    Parameters
    ----------
    x
        `(cells, genes)` log1p of counts per 1,000, or as the data come.
    genes
        Names of the columns.
    regulators
        Names of the genes that may regulate in these data, whether the reference knows them or not.
    reference, candidates
        As in :func:`grn.evaluation.evaluate`.

    Returns
    -------
    name, ratio, ratios
        The best shortcut, its AUPRC / density, and those of all by name.

    Raises
    ------
    InputError
        If the reference and the genes have no edge in common, or the convention is unknown.
    """
    truth = clean_truth(reference)
    pairs = candidate_pairs(truth, genes, candidates)
    true = true_pairs(truth, pairs, len(genes))[pairs.mask]
    facts = {"mean": x.mean(axis=0), "std": x.std(axis=0), "is_tf": genes.isin(regulators).astype(np.float64)}
    rows, columns = genes.get_indexer(pairs.regulators), genes.get_indexer(pairs.targets)
    regulator = {name: np.asarray(values, dtype=np.float64)[rows][:, None] for name, values in facts.items()}
    target = {name: np.asarray(values, dtype=np.float64)[columns][None, :] for name, values in facts.items()}
    ratios = {}
    for name, score in SHORTCUTS.items():
        scores = np.broadcast_to(score(regulator, target), pairs.mask.shape)[pairs.mask]
        ratios[name] = average_precision(true, scores) / float(true.mean())
    best = max(ratios, key=lambda name: ratios[name])
    return best, ratios[best], ratios
