"""Ridge regression of every gene on the regulators, the penalty of each gene chosen by leave-one-out error."""

from __future__ import annotations

import numpy as np

from grn.evaluation.baselines.baseline import Baseline, standardise

# Half-decades of the penalty on squared errors summed over cells.
PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-2, 9))


def ridge(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    r"""Coefficients of the regulators in a joint regression for each gene.

    .. math:: w_i = \arg\min_w \sum_c (z_{ci} - \sum_j w_j z_{cj})^2 + \alpha_i \sum_j w_j^2

    Where: z is expression standardised over the n cells; j runs over the regulators other than gene i; alpha_i is the
    one of 0.1, 0.316, ..., 10,000 with the smallest leave-one-out error. It is our model's closed form for expression
    alone with the input noise sqrt(alpha / n), which `closed_form` chooses in another way, one for all genes.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Not used: nothing is random.

    Returns
    -------
    Scores (regulators, genes) in standard deviations of the target; 0 for a regulator with itself.
    """
    import torch

    from grn.models.closed_form import Moments, RidgePath

    z, at = torch.from_numpy(standardise(x)), torch.from_numpy(np.asarray(regulators, dtype=np.int64))
    inputs, cells = z[:, at], len(z)
    path = RidgePath(Moments.of(inputs.T, z, at))
    covariance = inputs.T @ inputs / cells
    smallest = torch.full((z.shape[1],), torch.inf, dtype=torch.float64)
    best = torch.zeros(len(at), z.shape[1], dtype=torch.float64)
    for penalty in PENALTIES:
        weights = path.weights((penalty / cells) ** 0.5)[:, 0].T
        inverse = torch.linalg.inv(covariance + penalty / cells * torch.eye(len(at)))
        projected = inputs @ inverse
        # A cell's error without it is its error over 1 - leverage; the mean adds 1 / n to every leverage. A regulator
        # that may not explain itself takes its own share out of the leverage.
        left = (1 - 1 / cells - (projected * inputs).sum(1) / cells)[:, None].repeat(1, z.shape[1])
        left[:, at] += projected.square() / (cells * inverse.diagonal())
        error = ((z - inputs @ weights) / left).square().sum(0)
        better = error < smallest
        smallest[better], best[:, better] = error[better], weights[:, better]
    best[~inputs.any(0)] = 0.0
    return best.numpy()


BASELINE = Baseline(
    name="ridge",
    score=ridge,
    signed=True,
    seeded=False,
    source="Hoerl & Kennard 1970, Technometrics 12:55",
    summary="coefficient of the regulator in a ridge regression of the target on all regulators",
)
