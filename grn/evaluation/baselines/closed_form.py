"""The closed form of our model's view of the regulators, without training."""

from __future__ import annotations

import numpy as np

from grn._log import logger
from grn.evaluation.baselines.baseline import Baseline


def closed_form(x: np.ndarray, regulators: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Effects at the optimum of the regulatory model's view `regulators`, with an input noise of its own.

    Ridge regression of every gene on the regulators' value channels (`grn.models.closed_form`); the penalty is the
    smallest for which the network is found again in the other half of the cells (`choose_noise`). The seed splits the
    cells.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    seed
        Of the two halves of the cells.

    Returns
    -------
    Scores (regulators, genes) in standard deviations of the target; 0 for a regulator with itself.
    """
    import torch

    from grn.data.statistics import gene_statistics
    from grn.models import Moments, RegulatoryModel, RidgePath, choose_noise, effect

    x = np.ascontiguousarray(x, dtype=np.float32)
    statistics, positions = gene_statistics(x), torch.from_numpy(np.asarray(regulators, dtype=np.int64))
    # Untrained and as small as can be: only its value channels are used.
    model = RegulatoryModel(
        x.shape[1],
        positions,
        mean=torch.from_numpy(statistics.mean),
        std=torch.from_numpy(statistics.std),
        detection=torch.from_numpy(statistics.detection),
        views={"regulators": 1.0},
        head_dim=1,
        attention="spherical",
        backend="reference",
        seed=0,
    )
    view, cells = model.view("regulators"), torch.from_numpy(x)
    side = torch.rand(len(x), generator=torch.Generator().manual_seed(seed)) < 0.5
    halves = []
    for part in (cells[~side], cells[side]):
        z = model.standardise(part)
        halves.append(Moments.of(view.values(part, z), z, positions))
    choice = choose_noise(*halves)
    logger.info("input noise: %g standard deviations (%s)", choice.noise, choice.reason)
    moments = halves[0] + halves[1]
    weights = RidgePath(moments).weights(choice.noise)
    return effect(weights, moments.channel_blocks()).T.contiguous().numpy()


BASELINE = Baseline(
    name="closed_form",
    score=closed_form,
    signed=True,
    seeded=True,
    source="docs/model.md",
    summary="effect of the regulator in the optimum of our model, by ridge regression with a chosen penalty",
)
