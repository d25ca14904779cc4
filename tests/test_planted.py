"""A planted linear network comes back: from an AnnData with the default settings to edges with their signs."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

import grn
from grn.data import check
from grn.data.statistics import gene_statistics
from grn.models import Moments, RidgePath, effect
from grn.network import GeneNetwork

CELLS, TFS, GENES, REGULATORS_EACH = 800, 50, 300, 5


@pytest.fixture(scope="module")
def planted() -> tuple[anndata.AnnData, np.ndarray]:
    """Log-like expression (cells, genes) and the true weights (regulators, genes).

    Regulators vary freely; every other gene is a signed sum of five of them, and a fifth of its variance is noise.
    """
    random = np.random.default_rng(0)
    regulators = random.standard_normal((CELLS, TFS))
    truth = np.zeros((TFS, GENES))
    for target in range(TFS, GENES):
        chosen = random.choice(TFS, REGULATORS_EACH, replace=False)
        truth[chosen, target] = random.choice([-1, 1], REGULATORS_EACH) * random.uniform(0.5, 1.5, REGULATORS_EACH)
    targets = regulators @ truth[:, TFS:]
    targets = targets / targets.std(0) + 0.5 * random.standard_normal(targets.shape)
    x = np.hstack([regulators, targets])
    # Genes in random order: nothing may depend on the regulators coming first.
    order = random.permutation(GENES)
    names = np.array([f"TF{i}" for i in range(TFS)] + [f"gene{i}" for i in range(GENES - TFS)])
    adata = anndata.AnnData(
        (x - x.min() + 0.1)[:, order].astype(np.float32),
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(CELLS)]),
        var=pd.DataFrame(index=names[order]),
    )
    return adata, truth[:, order]


TF_NAMES = [f"TF{i}" for i in range(TFS)]


@pytest.fixture(scope="module")
def network(planted: tuple[anndata.AnnData, np.ndarray]) -> GeneNetwork:
    adata = planted[0].copy()
    grn.tl.infer(adata, tf=TF_NAMES)
    return grn.get.network(adata)


def matrix(network: GeneNetwork, adata: anndata.AnnData) -> np.ndarray:
    """Weights (regulators, genes) in the order of the truth."""
    return network.matrix().loc[TF_NAMES, adata.var_names].to_numpy()


def candidates(adata: anndata.AnnData) -> np.ndarray:
    """Every pair of a regulator and another gene."""
    return np.array(TF_NAMES)[:, None] != adata.var_names.to_numpy()[None]


def test_edges_are_found(planted: tuple[anndata.AnnData, np.ndarray], network: GeneNetwork) -> None:
    adata, truth = planted
    pairs = candidates(adata)
    found = np.abs(matrix(network, adata))
    assert average_precision_score(truth[pairs] != 0, found[pairs]) > 0.95


def test_signs_and_direction_of_the_strongest_hundred(
    planted: tuple[anndata.AnnData, np.ndarray], network: GeneNetwork
) -> None:
    adata, truth = planted
    true = pd.DataFrame(truth, index=TF_NAMES, columns=adata.var_names)
    edges = network.edges.head(100)
    assert len(edges) == 100
    assert edges.weight.abs().is_monotonic_decreasing
    # Were source and target exchanged, no pair would be in the table.
    assert set(edges.source) <= set(TF_NAMES)
    assert not set(edges.target) & set(TF_NAMES)
    signs = [np.sign(true.loc[edge.source, edge.target]) for edge in edges.itertuples()]
    assert signs == edges.sign.tolist()
    assert min(signs) == -1
    assert max(signs) == 1


def test_training_reaches_the_closed_form(planted: tuple[anndata.AnnData, np.ndarray], network: GeneNetwork) -> None:
    """With the noise that the run chose; 15 % of the cells were held out of training, none of the closed form."""
    adata, _ = planted
    checked = check(adata, tf=TF_NAMES)
    statistics = gene_statistics(checked.x)
    z = torch.from_numpy((checked.x - statistics.mean) / statistics.std)
    regulators = torch.from_numpy(checked.regulators)
    moments = Moments.of(z[:, regulators].T, z, regulators)
    exact = effect(RidgePath(moments).weights(network.params["noise"]), moments.channel_blocks()).T.numpy()
    exact = pd.DataFrame(exact, index=checked.tf_names, columns=checked.genes).loc[TF_NAMES, adata.var_names]
    pairs = candidates(adata)
    found = matrix(network, adata)
    assert np.corrcoef(exact.to_numpy()[pairs], found[pairs])[0, 1] > 0.99
    # The scale agrees as well: weights are standard deviations of the target.
    assert found[pairs] @ exact.to_numpy()[pairs] / (exact.to_numpy()[pairs] ** 2).sum() == pytest.approx(1, abs=0.05)


def test_clean_data_take_the_smallest_noise(network: GeneNetwork) -> None:
    assert network.params["noise"] == 0.1
