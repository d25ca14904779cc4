"""A planted network: expression weights that hold it, and tables that know it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest


@dataclass
class Planted:
    """Weights `(regulators, genes)`, the true edges in them with their signs, and a table of half of these."""

    genes: pd.Index
    regulators: np.ndarray
    weights: np.ndarray
    truth: np.ndarray
    table: pd.DataFrame

    def shuffled(self, seed: int) -> pd.DataFrame:
        """The table with the targets' labels exchanged among them."""
        names = self.table["target"].unique()
        other = dict(zip(names, np.random.default_rng(seed).permutation(names), strict=True))
        return self.table.assign(target=self.table["target"].map(other)).query("source != target")


@pytest.fixture
def planted() -> Planted:
    """Thirty regulators, 150 genes; a table with half of the edges and about as many wrong ones."""
    generator = np.random.default_rng(0)
    genes = pd.Index([f"G{number}" for number in range(150)])
    regulators = np.arange(30)
    truth = generator.choice([-1, 0, 1], size=(30, 150), p=[0.03, 0.92, 0.05])
    truth[regulators, regulators] = 0
    weights = 0.1 * generator.standard_t(4, size=truth.shape) + 0.3 * truth
    weights[regulators, regulators] = 0
    listed = np.where(generator.random(truth.shape) < 0.5, truth, 0)
    wrong = (generator.random(truth.shape) < 0.02) & (truth == 0)
    wrong[regulators, regulators] = False
    rows, columns = np.nonzero(listed.astype(bool) | wrong)
    table = pd.DataFrame(
        {
            "source": genes[rows].astype(object),
            "target": genes[columns].astype(object),
            "sign": listed[rows, columns],
            "weight": 1.0,
        }
    )
    return Planted(genes, regulators, weights.astype(np.float32), truth, table)
