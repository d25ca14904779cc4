"""Small systems whose course in time is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import anndata
import numpy as np
import pandas as pd
import pytest

GENES, REGULATORS = 16, 6


class System(NamedTuple):
    """Expression (cells, genes), time (cells,), true weights (regulators, genes), regulators."""

    x: np.ndarray
    time: np.ndarray
    weights: np.ndarray
    regulators: np.ndarray


@pytest.fixture
def system() -> Callable[..., System]:
    """Linear system x(t + dt) = x + (W^T x - decay x) dt + noise, each cell seen at one random moment."""

    def make(cells: int = 1500, *, seed: int = 0) -> System:
        generator = np.random.default_rng(seed)
        weights = np.zeros((REGULATORS, GENES))
        for one, other, speed in ((0, 1, 3.0), (2, 3, 2.0), (4, 5, 1.0)):  # three oscillators, each of two regulators
            weights[one, other], weights[other, one] = speed, -speed
        for target in range(REGULATORS, GENES):
            weights[generator.integers(REGULATORS), target] = generator.choice([-3.0, 3.0])
        decay = np.where(np.arange(GENES) < REGULATORS, 0.1, 1.0)
        x = np.where(np.arange(GENES) < REGULATORS, 2.0, 0.0) + 0.2 * generator.normal(size=(cells, GENES))
        seen, last, dt = x.copy(), generator.integers(0, 300, cells), 0.02
        for step in range(1, 300):
            change = x[:, :REGULATORS] @ weights - decay * x
            x = x + dt * change + 0.1 * np.sqrt(dt) * generator.normal(size=x.shape)
            seen[last == step] = x[last == step]
        return System(seen, last * dt, weights, np.arange(REGULATORS))

    return make


@pytest.fixture
def cells_in_time(system: Callable[..., System]) -> Callable[..., anndata.AnnData]:
    """The linear system as an AnnData with the time in `obs`, expression not negative."""

    def make(cells: int = 400, *, seed: int = 0) -> anndata.AnnData:
        one = system(cells, seed=seed)
        x = np.exp(0.3 * (one.x - one.x.mean(0)) / one.x.std(0)).astype(np.float32)
        obs = pd.DataFrame(
            {"pseudotime": one.time, "shuffled": np.random.default_rng(1).permutation(one.time)},
            index=[f"cell{number}" for number in range(cells)],
        )
        adata = anndata.AnnData(x, obs=obs)
        adata.var_names = [f"G{number}" for number in range(GENES)]
        return adata

    return make
