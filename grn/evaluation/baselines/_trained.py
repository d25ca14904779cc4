"""Our model with another attention, trained from scratch: the comparisons that need training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np


def trained(x: np.ndarray, regulators: np.ndarray, *, attention: str, seed: int) -> np.ndarray:
    """Effects of the regulatory model's view `regulators` with the attention named, after `training=scratch`.

    Parameters
    ----------
    x
        Log-normalised expression (cells, genes).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    attention
        "softmax" or "unnormalised".
    seed
        Of the first weights and of the order of cells.

    Returns
    -------
    Scores (regulators, genes) in standard deviations of the target; 0 for a regulator with itself.
    """
    import pandas as pd
    from anndata import AnnData

    from grn.config import compose, plain_config
    from grn.pipeline import infer

    genes = [f"gene{position}" for position in range(x.shape[1])]
    tfs = [genes[position] for position in regulators]
    settings = ["training=scratch", f"model.attention={attention}", "model.views.genes=null", "network.readout=effect"]
    config = plain_config(compose("train", [*settings, f"seed={seed}", "trainer.accelerator=cpu"]))
    config |= {"tf": tfs, "allow_negative": True}
    adata = AnnData(x.astype(np.float32), var=pd.DataFrame(index=genes))
    adata.uns["log1p"] = {}  # what comes here is logged or continuous
    with TemporaryDirectory() as folder:
        network = infer(adata, config, Path(folder)).network
    if network is None:
        raise RuntimeError("Only the first process of a distributed run has a network.")
    matrix = network.matrix().reindex(index=tfs, columns=genes, fill_value=0.0)
    scores = matrix.to_numpy(dtype=np.float64)
    scores[:, np.ptp(x, axis=0) == 0] = 0.0
    return scores
