"""Metrics on arrays: a truth and a score for each candidate edge.

Candidates with equal scores are never put in an arbitrary order: they are one step of the precision-recall
curve, half a win each in AUROC, and in early precision the mean over all orders of them. So no seed is
needed, and a network that says nothing (all scores equal) gets exactly the value of chance. Definitions
with their sources are in docs/metrics.md.
"""

from __future__ import annotations

import numpy as np

from grn._errors import InputError


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    r"""Area under the precision-recall curve, as the sum over thresholds of precision x gain in recall.

    .. math:: AP = \frac{1}{k} \sum_b t_b \frac{T_b}{N_b}

    Where: b runs over the distinct scores, the largest first; t_b of the candidates with that score are true;
    N_b candidates score at least as much, T_b of them true; k candidates are true in all. Without ties it is
    the mean, over the true candidates, of the precision at their rank. It is the definition of
    sklearn.metrics.average_precision_score.

    Parameters
    ----------
    truth
        `(candidates,)` bool.
    scores
        `(candidates,)`; larger means more likely true.

    Returns
    -------
    float
        NaN where no candidate is true.
    """
    truth, scores = _checked(truth, scores)
    total = int(truth.sum())
    if not total:
        return float("nan")
    size, true, before, true_before = _blocks(truth, scores)
    precision = (true_before + true) / (before + size)
    return float(np.sum(true * precision) / total)


def auroc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a true candidate scores above a false one; ties count half.

    Parameters
    ----------
    truth, scores
        As in :func:`average_precision`.

    Returns
    -------
    float
        NaN where all candidates are true or none is.
    """
    truth, scores = _checked(truth, scores)
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return float("nan")
    size, true, before, true_before = _blocks(truth, scores)
    false_after = negative - (before - true_before) - (size - true)
    wins = np.sum(true * (false_after + (size - true) / 2.0))
    return float(wins / positive / negative)


def early_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Share of true candidates among the k best, where k is the number of true candidates.

    Returns
    -------
    float
        NaN where no candidate is true.
    """
    truth, scores = _checked(truth, scores)
    k = int(truth.sum())
    if not k:
        return float("nan")
    size, true, before, true_before = _blocks(truth, scores)
    last = int(np.searchsorted(before, k, side="left")) - 1  # the block which the k-th place lies in
    return float((true_before[last] + (k - before[last]) * true[last] / size[last]) / k)


def early_precision_ratio(truth: np.ndarray, scores: np.ndarray) -> float:
    """:func:`early_precision` divided by the share of true candidates; 1 is chance (EPR)."""
    share = float(np.mean(truth)) if len(truth) else 0.0
    return early_precision(truth, scores) / share if share else float("nan")


def signed_early_precision_ratio(signs: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Early precision ratios that ask for the sign as well.

    Activating edges are sought by +weight, repressing ones by -weight, each among all candidates.

    Parameters
    ----------
    signs
        `(candidates,)`: +1 activating, -1 repressing, 0 no edge or an edge of unknown sign.
    weights
        `(candidates,)` signed weights, 0 for a candidate that the network lacks.

    Returns
    -------
    signed, activation, repression
        The second and third are NaN where the reference has no such edge; the first is their mean weighted by
        the numbers of edges, NaN where the reference has no signs.
    """
    counts = np.array([(signs > 0).sum(), (signs < 0).sum()], dtype=float)
    ratios = np.array(
        [early_precision_ratio(signs > 0, weights), early_precision_ratio(signs < 0, -np.asarray(weights))]
    )
    there = counts > 0
    both = float(np.average(ratios[there], weights=counts[there])) if there.any() else float("nan")
    return both, float(ratios[0]), float(ratios[1])


def sign_accuracy(signs: np.ndarray, weights: np.ndarray) -> tuple[float, float, int]:
    """Share of right signs among the true edges of known sign to which the network gives a weight.

    Parameters
    ----------
    signs, weights
        As in :func:`signed_early_precision_ratio`.

    Returns
    -------
    accuracy, majority, edges
        The share, the share that a constant guess of the commoner sign would reach, and the number of edges
        both are taken over (NaN where that is 0).
    """
    signs, weights = np.asarray(signs), np.asarray(weights)
    known = (signs != 0) & (weights != 0)
    edges = int(known.sum())
    if not edges:
        return float("nan"), float("nan"), 0
    up = float(np.mean(signs[known] > 0))
    return float(np.mean(np.sign(weights[known]) == np.sign(signs[known]))), max(up, 1 - up), edges


def sign_auroc(signs: np.ndarray, weights: np.ndarray) -> float:
    """Chance that an activating edge has a larger signed weight than a repressing one; ties count half.

    Unlike :func:`sign_accuracy` it does not ask where zero lies, so a method that calls nearly everything an
    activation can still be seen to know which edges are the less activating ones. 0.5 is chance, whatever the
    share of activation is.

    Parameters
    ----------
    signs, weights
        As in :func:`signed_early_precision_ratio`. All true edges of known sign count, those that the network
        lacks with the weight 0.

    Returns
    -------
    float
        NaN where the reference has no edge of one of the signs.
    """
    signs, weights = np.asarray(signs), np.asarray(weights)
    known = signs != 0
    return auroc(signs[known] > 0, weights[known])


def level_targets(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scores divided by the mean score of their target's candidates: what is left without popularity.

    Parameters
    ----------
    scores, mask
        `(regulators, targets)`, scores not negative; `mask` says which pairs are candidates.

    Returns
    -------
    ndarray
        `(regulators, targets)`; every target with a score has the mean 1 over its candidates, the others are 0.
    """
    mean = np.where(mask, scores, 0.0).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return np.divide(scores, mean, out=np.zeros(scores.shape), where=mean > 0)


def auroc_by_target(truth: np.ndarray, scores: np.ndarray, mask: np.ndarray) -> float:
    """Mean over targets of the AUROC among the candidates of that target: "who regulates this gene".

    Unlike the metrics over all pairs, it gives nothing to a score that only knows which genes have many
    regulators.

    Parameters
    ----------
    truth, scores, mask
        `(regulators, targets)`; `mask` says which pairs are candidates.

    Returns
    -------
    float
        NaN where no target has both a true and a false candidate.
    """
    masked_truth = truth & mask
    useful = masked_truth.any(axis=0) & (mask & ~truth).any(axis=0)
    values = [auroc(truth[mask[:, i], i], scores[mask[:, i], i]) for i in np.flatnonzero(useful)]
    return float(np.mean(values)) if values else float("nan")


def _checked(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise InputError(
            f"truth has the shape {truth.shape} and scores {scores.shape}; expected one value of each per candidate."
        )
    if np.isnan(scores).any():
        raise InputError(f"{int(np.isnan(scores).sum())} scores are NaN; a candidate without a score has 0.")
    return truth.astype(bool), scores


def _blocks(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of equal scores, best first: their size, true ones, candidates before, true ones before."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    size = np.diff(np.r_[start, len(ordered)])
    true = np.add.reduceat(truth[order].astype(np.int64), start)
    return size, true, start, np.cumsum(true) - true
