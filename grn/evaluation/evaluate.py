"""A network against a reference: all metrics in one dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.evaluation import metrics
from grn.evaluation.candidates import candidate_pairs
from grn.evaluation.reference import clean_reference, read_reference
from grn.network.network import GeneNetwork


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
        `auprc`, `auprc_ratio` (auprc / density; 1 is chance), `auroc`, `auroc_by_target`, `epr`,
        `signed_epr`, `activation_epr`, `repression_epr`, `sign_accuracy`, `sign_majority` (what a
        constant guess reaches);
        and the counts `candidates`, `edges` (true ones among them), `density` (edges / candidates),
        `regulators`, `targets`, `weighted` (candidates with a weight), `signed_edges` (that the sign accuracy
        is over) and `reference_edges` (before restriction to the data). NaN where a metric is not defined,
        such as signs where the reference has none.

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
    truth = clean_reference(reference) if isinstance(reference, pd.DataFrame) else read_reference(reference)
    truth = truth[truth["source"] != truth["target"]]
    table, names = _table_and_genes(edges, genes)
    pairs = candidate_pairs(truth, names, candidates)
    true = pairs.lookup(truth.assign(edge=1), "edge").astype(bool)
    if not (true & pairs.mask).any():
        raise InputError(
            f"None of the reference's {len(truth)} edges has both ends among the {len(names)} genes; "
            "is it a reference for these data?"
        )
    signs = pairs.lookup(truth, "sign")
    weights = pairs.lookup(table, "weight")
    by_target = metrics.auroc_by_target(true, np.abs(weights), pairs.mask)
    flat_true, flat_signs, flat_weights = true[pairs.mask], signs[pairs.mask], weights[pairs.mask]
    strength = np.abs(flat_weights)
    density = float(flat_true.mean())
    auprc = metrics.average_precision(flat_true, strength)
    signed, activation, repression = metrics.signed_early_precision_ratio(flat_signs, flat_weights)
    accuracy, majority, signed_edges = metrics.sign_accuracy(flat_signs, flat_weights)
    return {
        "auprc": auprc,
        "auprc_ratio": auprc / density,
        "auroc": metrics.auroc(flat_true, strength),
        "auroc_by_target": by_target,
        "epr": metrics.early_precision_ratio(flat_true, strength),
        "signed_epr": signed,
        "activation_epr": activation,
        "repression_epr": repression,
        "sign_accuracy": accuracy,
        "sign_majority": majority,
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
