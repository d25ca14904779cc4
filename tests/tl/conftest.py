"""A small AnnData with groups, batches, a gene that is nowhere expressed, and networks of it."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn.network import GeneNetwork, add_to_anndata

GENES = [*(f"G{number}" for number in range(10)), "absent", "NKX2-5"]
TFS = ["G0", "G1", "NKX2-5"]


@pytest.fixture
def bare() -> anndata.AnnData:
    """Counts of 120 cells: G0 -> G3, G1 -| G4; `absent` is zero in all cells."""
    random = np.random.default_rng(0)
    level = np.exp(0.5 * random.standard_normal((120, 12)) + 1.5)
    level[:, 3] = 2 * level[:, 0]
    level[:, 4] = 20 / level[:, 1]
    level[:, 10] = 0
    adata = anndata.AnnData(
        np.zeros((120, 12), np.float32), layers={"counts": sparse.csr_matrix(random.poisson(level))}
    )
    adata.layers["counts"] = adata.layers["counts"].astype(np.float32)
    adata.obs_names, adata.var_names = [f"cell{i}" for i in range(120)], GENES
    adata.obs["kind"] = pd.Categorical(np.where(np.arange(120) % 3 == 0, "B/x", "T"))
    adata.obs["plate"] = np.where(np.arange(120) < 50, "one", "two")
    return adata


@pytest.fixture
def network() -> GeneNetwork:
    edges = pd.DataFrame({"source": ["G0", "G1"], "target": ["G3", "G4"], "weight": [0.6, -0.8]})
    return GeneNetwork.from_edges(edges, genes=GENES, regulators=TFS)


@pytest.fixture
def adata(bare: anndata.AnnData, network: GeneNetwork) -> anndata.AnnData:
    """With the network in the slots "grn"."""
    add_to_anndata(bare, network)
    return bare


@pytest.fixture
def grouped() -> GeneNetwork:
    """As by infer with group_by="kind"."""
    one, two = np.zeros((3, 12)), np.zeros((3, 12))
    one[0, 3], two[1, 4], two[0, 3] = 0.6, -0.8, 0.1
    return GeneNetwork.from_matrix({"B/x": one, "T": two}, TFS, GENES, params={"group_by": "kind"})
