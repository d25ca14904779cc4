"""A small checked data set and the configuration of a short run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from grn.config import compose, plain_config
from grn.data import CheckedData
from grn.data.check import check


def cells(n: int = 60) -> Any:
    """Cells (n, 6) of which gene B follows A, and C goes against it; half of them of group x."""
    import anndata

    generator = np.random.default_rng(0)
    x = generator.gamma(2.0, size=(n, 6)).astype(np.float32)
    x[:, 1] = 0.8 * x[:, 0] + 0.1 * x[:, 1]
    x[:, 2] = np.maximum(4 - x[:, 0], 0)
    obs = pd.DataFrame({"kind": np.where(np.arange(n) % 2, "x", "y")}, index=[f"cell{i}" for i in range(n)])
    return anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=list("ABCDEF")))


@pytest.fixture
def checked() -> CheckedData:
    return check(cells(), tf=["A", "D"])


@pytest.fixture
def grouped() -> CheckedData:
    return check(cells(), tf=["A", "D"], group_by="kind")


@pytest.fixture
def batched() -> CheckedData:
    return check(cells(), tf=["A", "D"], batch_key="kind")


@pytest.fixture
def config() -> dict[str, Any]:
    """Settings of three short epochs of the default model."""
    return settings()


def settings(*overrides: str) -> dict[str, Any]:
    epochs = ("training.epochs=3", "training.steps_per_epoch=2", "training.optimizer.lr=0.05", "training.noise=0.1")
    return plain_config(compose("train", [*epochs, "trainer.accelerator=cpu", *overrides]))
