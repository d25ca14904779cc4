"""A planted linear network comes back: from an AnnData with the default settings to edges with their signs."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

import grn
from grn.config import compose, plain_config
from grn.models import Moments, RegulatoryModel, RidgePath
from grn.models.regulatory import VIEWS
from grn.network import GeneNetwork
from grn.pipeline import infer
from grn.training.build import rebuild
from grn.training.fit import load_checkpoint

CELLS, TFS, GENES, REGULATORS_EACH = 800, 40, 160, 5


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
def model_and_network(
    planted: tuple[anndata.AnnData, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RegulatoryModel, GeneNetwork]:
    """What the default run leaves."""
    config = plain_config(compose("train", [f"tf=[{','.join(TF_NAMES)}]"]))
    folder = tmp_path_factory.mktemp("planted")
    network = infer(planted[0], {**config, "data": {"name": "planted", "layer": None}}, folder).network
    assert network is not None
    model, _ = rebuild(load_checkpoint(folder / "checkpoints" / "best.ckpt"))
    assert isinstance(model, RegulatoryModel)
    return model, network


@pytest.fixture(scope="module")
def network(model_and_network: tuple[RegulatoryModel, GeneNetwork]) -> GeneNetwork:
    return model_and_network[1]


def matrix(network: GeneNetwork, adata: anndata.AnnData) -> np.ndarray:
    """Weights (regulators, genes) in the order of the truth."""
    return network.matrix().loc[TF_NAMES, adata.var_names].to_numpy()


def candidates(adata: anndata.AnnData) -> np.ndarray:
    """Every pair of a regulator and another gene."""
    return np.array(TF_NAMES)[:, None] != adata.var_names.to_numpy()[None]


def test_the_python_call_gives_the_same(planted: tuple[anndata.AnnData, np.ndarray], network: GeneNetwork) -> None:
    adata = planted[0].copy()
    grn.tl.infer(adata, tf=TF_NAMES)
    np.testing.assert_array_equal(matrix(grn.get.network(adata), adata), matrix(network, adata))


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


@pytest.mark.parametrize("name", VIEWS)
def test_training_reaches_the_closed_form(
    name: str, planted: tuple[anndata.AnnData, np.ndarray], model_and_network: tuple[RegulatoryModel, GeneNetwork]
) -> None:
    """Every view is the ridge regression of its noise from all cells: none is held out, and rank 128 is enough."""
    model = model_and_network[0]
    view = model.view(name)
    x = torch.from_numpy(planted[0].X)
    z = model.standardise(x)
    exact = RidgePath(Moments.of(view.values(x, z), z, view.keys)).weights(view.noise)[:, 0]
    found = model.weights(name)[0, :, 0].double()
    others = view.keys != torch.arange(GENES).unsqueeze(1)  # every key of another gene
    one, other = found[others], exact[others]
    assert float(torch.corrcoef(torch.stack([one, other]))[0, 1]) > 0.999
    # The scale agrees as well: weights are standard deviations of the target.
    assert float(one @ other / (other @ other)) == pytest.approx(1, abs=0.01)


def test_edges_are_found_across_batches(planted: tuple[anndata.AnnData, np.ndarray], network: GeneNetwork) -> None:
    """Four plates, between which genes lie apart by several of their standard deviations."""
    adata, truth = planted
    random = np.random.default_rng(1)
    plate = random.integers(4, size=CELLS)
    shifted = adata.copy()
    shifted.obs["plate"] = plate
    shifts = random.uniform(0, 8, (4, GENES)).astype(np.float32)
    shifted.X = shifted.X + shifts[plate]
    pairs, scores = candidates(adata), {}
    for key in ("plate", None):
        grn.tl.infer(shifted, tf=TF_NAMES, batch_key=key, overrides=["training.epochs=4"])
        found = matrix(grn.get.network(shifted), adata)
        scores[key] = average_precision_score(truth[pairs] != 0, np.abs(found)[pairs])
        if key is not None:
            # As without plates, but for the means of 800 cells.
            assert np.corrcoef(found[pairs], matrix(network, adata)[pairs])[0, 1] > 0.99
    assert scores["plate"] > 0.95
    assert scores[None] < 0.7
