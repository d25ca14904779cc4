"""A baseline on checked data, as a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from grn._errors import InputError
from grn._log import logger
from grn.data.check import MIN_CELLS, CheckedData
from grn.data.statistics import gene_statistics
from grn.evaluation.baselines.baseline import Baseline
from grn.models.readout import read_out
from grn.network.network import GeneNetwork
from grn.prior import Prior


def baseline_network(
    method: Baseline,
    checked: CheckedData,
    *,
    seed: int,
    readout: str,
    params: dict[str, Any],
    prior: Prior | None = None,
) -> GeneNetwork:
    """Network of a method that needs no training, from data that passed the gate.

    Parameters
    ----------
    method
        One of `BASELINES`.
    checked
        The data; made dense. With groups, each group's network is scored on its own cells alone.
    seed
        For methods that draw random numbers.
    readout
        "effect": the scores as they are; "sphere": those of each target divided by their norm with a floor, see
        `grn.network.extract.extract`. "auto" is "effect".
    params
        How the network was made; kept with it, with the method, whether it is signed, the seed and the read-out.
    prior
        As in `grn.network.extract.extract`.

    Raises
    ------
    InputError
        If a group has fewer than 10 cells.
    """
    if seed and not method.seeded:
        logger.info("%s draws no random numbers: its result is the same for every seed", method.name)
    readout = "effect" if readout == "auto" else readout
    if checked.groups is not None:
        _refuse_small(checked)
    found = method_weights(method, checked, seed=seed, readout=readout)
    scores: np.ndarray | dict[str, np.ndarray] = found[0]
    if checked.groups is not None:
        scores = {str(name): one for name, one in zip(checked.groups.categories, found, strict=True)}
    genes = [str(name) for name in checked.genes]
    params = {**params, "method": method.name, "signed": method.signed, "seed": seed, "readout": readout}
    if prior is not None:
        scores, params["prior"] = prior.apply(scores, genes, checked.regulators, signed=method.signed)
    return GeneNetwork.from_matrix(scores, checked.tf_names, genes, params=params, signed=method.signed)


def method_weights(method: Baseline, checked: CheckedData, *, seed: int, readout: str) -> np.ndarray:
    """Scores of a method, (groups, regulators, genes); each group's from its own cells, one group without groups.

    Where the data have batches, every gene is measured from its mean in the cell's batch. Arguments as of
    `baseline_network`.
    """
    x = checked.x if isinstance(checked.x, np.ndarray) else checked.x.toarray()
    if checked.batch_codes is not None:
        statistics = gene_statistics(x, checked.batch_codes)
        if statistics.batch_mean is None:
            raise RuntimeError("Statistics by batch have means by batch.")
        x = x - statistics.batch_mean[checked.batch_codes] + statistics.mean
    parts = [x] if checked.groups is None else [x[checked.groups == name] for name in checked.groups.categories]
    return np.stack([_scores(method, part, checked.regulators, seed, readout) for part in parts])


def _scores(method: Baseline, x: np.ndarray, regulators: np.ndarray, seed: int, readout: str) -> np.ndarray:
    readout = "effect" if readout == "auto" else readout
    scores = torch.from_numpy(method.score(x, regulators, seed=seed))
    return read_out(scores.T[None], readout)[0].T.numpy()


def _refuse_small(checked: CheckedData) -> None:
    small = {name: cells for name, cells in checked.report.groups.items() if cells < MIN_CELLS}
    if small:
        shown = ", ".join(f"{name!r} ({cells})" for name, cells in list(small.items())[:5])
        raise InputError(
            f"{len(small)} groups have fewer than {MIN_CELLS} cells: {shown}. A method without training sees each "
            "group's cells alone: merge these groups, or leave their cells out."
        )
