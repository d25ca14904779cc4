"""A network against a reference: all metrics in one dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.evaluation import metrics
from grn.evaluation.candidates import Candidates, candidate_pairs
from grn.evaluation.reference import clean_reference, read_reference
from grn.network.network import GeneNetwork
from grn.network.table import is_signed


def evaluate(
    edges: GeneNetwork | pd.DataFrame,
    reference: pd.DataFrame | str | Path,
    *,
    genes: Iterable[str] | None = None,
    candidates: str = "all_genes",
) -> dict[str, float | int]:
    """Compare a network with a reference network.

    Candidates are ranked by |weight|; those that the network lacks have the weight 0. Self-loops are left
    out. Equal weights are never put in an arbitrary order, so the result is the same every time. Definitions
    with their sources are in docs/metrics.md.

    Parameters
    ----------
    edges
        A network, or a table with `source`, `target`, `weight` (signed, if signs are to be judged). Of a
        network with groups, the mean over groups is evaluated; for one of them pass `network.of_group(name)`.
    reference
        Table with `source`, `target` and optionally `sign` (+1, -1, 0 = unknown), or the path of one; see
        :func:`grn.evaluation.read_reference`.
    genes
        All genes of the data. By default the network's; for a table, the genes that occur in it.
    candidates
        "all_genes": the reference's regulators that are in the data x all genes. "reference_genes":
        the reference's regulators x the genes of the reference (BEELINE).

    Returns
    -------
    dict
        `auprc`, `auprc_ratio` (auprc / density; 1 is chance), `auprc_ratio_levelled` (the same after each
        target's scores were divided by their mean), `auroc`, `auroc_by_target`, `epr`, `signed_epr`,
        `activation_epr`, `repression_epr`, `sign_accuracy`, `sign_majority` (what a constant guess
        reaches), `sign_auroc`;
        and the counts `candidates`, `edges` (true ones among them), `density` (edges / candidates),
        `regulators`, `targets`, `weighted` (candidates with a weight), `signed_edges` (that the sign accuracy
        is over) and `reference_edges` (before restriction to the data). NaN where a metric is not defined,
        such as signs where the reference or the network has none.

    Raises
    ------
    InputError
        If the reference and the genes have no regulator or no edge in common, or the convention is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from grn.evaluation import evaluate
    >>> edges = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "weight": [0.9, -0.1]})
    >>> truth = pd.DataFrame({"source": ["A"], "target": ["B"], "sign": [1]})
    >>> result = evaluate(edges, truth)
    >>> result["auprc"], result["density"], result["auprc_ratio"]
    (1.0, 0.5, 2.0)
    """
    truth = clean_truth(reference)
    table, names = _table_and_genes(edges, genes)
    if not is_signed(table):
        truth = truth.assign(sign=0)  # of signs that the network does not give, none is right or wrong
    pairs = candidate_pairs(truth, names, candidates)
    return _scores(truth, pairs, pairs.lookup(table, "weight"), len(names))


def evaluate_matrix(
    weights: np.ndarray,
    regulators: pd.Index,
    genes: pd.Index,
    reference: pd.DataFrame | str | Path,
    *,
    candidates: str = "all_genes",
) -> dict[str, float | int]:
    """:func:`evaluate` for weights in a matrix, without the detour over a table of edges.

    Parameters
    ----------
    weights
        `(regulators, genes)`, signed if signs are to be judged. Regulators of the reference that have no row count
        as without edges.
    regulators, genes
        Names of the rows and of the columns; the genes are all genes of the data.
    reference, candidates
        As in :func:`evaluate`.

    Raises
    ------
    InputError
        As :func:`evaluate`; also where the shape does not fit the names.
    """
    if weights.shape != (len(regulators), len(genes)):
        raise InputError(
            f"The weights have the shape {weights.shape}; expected (regulators, genes) = "
            f"({len(regulators)}, {len(genes)})."
        )
    truth = clean_truth(reference)
    pairs = candidate_pairs(truth, genes, candidates)
    rows = pd.Index(regulators).get_indexer(pairs.regulators)
    chosen = np.zeros(pairs.mask.shape)
    chosen[rows >= 0] = weights[rows[rows >= 0]][:, genes.get_indexer(pairs.targets)]
    return _scores(truth, pairs, chosen, len(genes))


def clean_truth(reference: pd.DataFrame | str | Path) -> pd.DataFrame:
    """The reference with the columns source, target, sign, without self-loops."""
    truth = clean_reference(reference) if isinstance(reference, pd.DataFrame) else read_reference(reference)
    return truth[truth["source"] != truth["target"]]


def true_pairs(truth: pd.DataFrame, pairs: Candidates, genes: int) -> np.ndarray:
    """`(regulators, targets)` bool: which of the candidates the reference lists.

    Raises
    ------
    InputError
        If it lists none of them; `genes` is how many the data have.
    """
    true = pairs.lookup(truth.assign(edge=1), "edge").astype(bool) & pairs.mask
    if not true.any():
        raise InputError(
            f"None of the reference's {len(truth)} edges has both ends among the {genes} genes; "
            "is it a reference for these data?"
        )
    return true


def _scores(truth: pd.DataFrame, pairs: Candidates, weights: np.ndarray, genes: int) -> dict[str, float | int]:
    """All metrics of weights `(regulators, targets)`."""
    true = true_pairs(truth, pairs, genes)
    signs = pairs.lookup(truth, "sign")
    levelled = metrics.level_targets(np.abs(weights), pairs.mask)[pairs.mask]
    flat_true, flat_signs, flat_weights = true[pairs.mask], signs[pairs.mask], weights[pairs.mask]
    strength = np.abs(flat_weights)
    density = float(flat_true.mean())
    auprc = metrics.average_precision(flat_true, strength)
    signed, activation, repression = metrics.signed_early_precision_ratio(flat_signs, flat_weights)
    accuracy, majority, signed_edges = metrics.sign_accuracy(flat_signs, flat_weights)
    return {
        "auprc": auprc,
        "auprc_ratio": auprc / density,
        "auprc_ratio_levelled": metrics.average_precision(flat_true, levelled) / density,
        "auroc": metrics.auroc(flat_true, strength),
        "auroc_by_target": metrics.auroc_by_target(true, np.abs(weights), pairs.mask),
        "epr": metrics.early_precision_ratio(flat_true, strength),
        "signed_epr": signed,
        "activation_epr": activation,
        "repression_epr": repression,
        "sign_accuracy": accuracy,
        "sign_majority": majority,
        "sign_auroc": metrics.sign_auroc(flat_signs, flat_weights),
        "candidates": len(flat_true),
        "edges": int(flat_true.sum()),
        "density": density,
        "regulators": len(pairs.regulators),
        "targets": len(pairs.targets),
        "weighted": int((flat_weights != 0).sum()),
        "signed_edges": signed_edges,
        "reference_edges": len(truth),
    }


def _table_and_genes(edges: GeneNetwork | pd.DataFrame, genes: Iterable[str] | None) -> tuple[pd.DataFrame, pd.Index]:
    """One weight per pair, and the genes of the data."""
    if isinstance(edges, GeneNetwork):
        network = edges
    elif isinstance(edges, pd.DataFrame):
        network = GeneNetwork.from_edges(edges)
        if genes is None:
            logger.info("The genes of the data were not given: the %d that have an edge are taken", len(network.genes))
    else:
        raise TypeError(f"evaluate takes a GeneNetwork or a DataFrame of edges, got a {type(edges).__name__}.")
    if network.groups:
        logger.info("Evaluating the mean over the groups %s", ", ".join(network.groups))
    names = network.genes if genes is None else pd.Index(list(genes), dtype=object).unique()
    return network.ungrouped().edges, names
