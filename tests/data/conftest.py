"""A small set of counts that passes the gate, to be spoilt in one way by each test."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

GENES = ["GATA1", "SPI1", "KLF1", "RUNX1", "ACTB", "CD19", "CD3E", "HBB", "LYZ", "MS4A1", "NKG7", "PF4"]


@pytest.fixture
def counts() -> anndata.AnnData:
    """40 cells x 12 human genes, four of them TFs: whole numbers stored as float32 csr."""
    random = np.random.default_rng(0)
    values = random.negative_binomial(2, 0.05, size=(40, len(GENES))) * (random.random((40, len(GENES))) < 0.7)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(["B", "T"] * 20, categories=["T", "B", "never"]),
            "leiden": np.repeat([10, 2, 1, 0], 10),
            "n_genes": random.random(40),
        },
        index=[f"cell{number}" for number in range(40)],
    )
    return anndata.AnnData(sparse.csr_matrix(values.astype(np.float32)), obs=obs, var=pd.DataFrame(index=GENES))
