"""Direction from splicing, on kinetics that are known, and what is refused."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from scipy import sparse

from grn._errors import InputError
from grn.dynamics.dynamics import standardise
from grn.dynamics.velocity import judge_velocity, read_layers, velocity_map

GENES, REGULATORS = 12, np.arange(4)


def kinetics(cells: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unspliced u, spliced s (cells, genes) and true signs of du = (a(s) - 4 u) dt, ds = (4 u - s) dt."""
    generator = np.random.default_rng(seed)
    signs = np.zeros((len(REGULATORS), GENES))
    for target in range(GENES):
        source = generator.choice([one for one in REGULATORS if one != target])
        signs[source, target] = generator.choice([-1.0, 1.0])
    u, s = generator.uniform(0, 1, (2, cells, GENES))
    for _ in range(150):
        drive = 1 / (1 + np.exp(-4 * (s[:, REGULATORS] - 0.5) @ signs))
        u = np.abs(u + 0.02 * (4 * drive - 4 * u) + 0.1 * generator.normal(size=u.shape))
        s = np.abs(s + 0.02 * (4 * u - 4 * s) + 0.02 * generator.normal(size=s.shape))
    return u, s, signs


def test_against_regression_gene_by_gene() -> None:
    u, s, _ = (standardise(one) for one in kinetics(cells=60))
    x = s[:, REGULATORS]
    penalty = 0.03 * np.trace(x.T @ x / len(x))
    weights = np.zeros((len(REGULATORS), GENES))
    for gene in range(GENES):
        others = [one for one in REGULATORS if one != gene]
        covariance = x[:, others].T @ x[:, others] / len(x) + penalty * np.eye(len(others))
        weights[others, gene] = np.linalg.solve(covariance, x[:, others].T @ u[:, gene] / len(x))
    rows = np.square(weights).sum(0)
    expected = weights / np.sqrt(rows + rows.mean())
    np.testing.assert_allclose(velocity_map(s, u, REGULATORS), expected / np.sqrt((expected**2).mean()), atol=1e-6)


def test_regulation_is_found_and_the_gate_opens() -> None:
    u, s, signs = kinetics()
    u, s = standardise(u), standardise(s)
    found = velocity_map(s, u, REGULATORS)
    true = signs != 0
    assert (np.sign(found[true]) == signs[true]).all()
    assert np.abs(found[true]).min() > np.abs(found[~true]).max()
    assert judge_velocity(s, u, REGULATORS, seed=0).open
    shuffled = judge_velocity(s, np.random.default_rng(0).permutation(u), REGULATORS, seed=0)
    assert not shuffled.open
    assert "not found again in other cells" in shuffled.reason


@pytest.fixture
def layers() -> anndata.AnnData:
    generator = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((30, 5), dtype=np.float32))
    adata.var_names = list("ABCDE")
    adata.layers["spliced"] = generator.poisson(5.0, (30, 5)).astype(np.float32)
    adata.layers["unspliced"] = sparse.csr_matrix(generator.poisson(1.0, (30, 5)).astype(np.float32))
    return adata


def test_counts_are_normalised_together(layers: anndata.AnnData) -> None:
    genes = layers.var_names[[3, 0]]
    spliced, unspliced, treatment = read_layers(layers, genes, ("spliced", "unspliced"))
    s, u = np.asarray(layers.layers["spliced"]), layers.layers["unspliced"].toarray()
    for cell in range(30):
        total = s[cell].sum() + u[cell].sum()
        np.testing.assert_allclose(spliced[cell], np.log1p(1000 * s[cell, [3, 0]] / total), rtol=1e-6)
        np.testing.assert_allclose(unspliced[cell], np.log1p(1000 * u[cell, [3, 0]] / total), rtol=1e-6)
    assert treatment.startswith("log1p of counts")


def test_other_values_are_used_as_they_are(layers: anndata.AnnData) -> None:
    layers.layers["spliced"] = layers.layers["spliced"] / 7
    spliced, _, treatment = read_layers(layers, layers.var_names, ("spliced", "unspliced"))
    np.testing.assert_array_equal(spliced, layers.layers["spliced"])
    assert treatment == "used as they are"


def test_what_cannot_be_used_is_explained(layers: anndata.AnnData) -> None:
    genes = layers.var_names
    with pytest.raises(InputError, match=r"no layer 'splice'. Did you mean 'spliced'.*dynamics.unspliced="):
        read_layers(layers, genes, ("splice", "unspliced"))
    with pytest.raises(InputError, match="both name 'spliced'"):
        read_layers(layers, genes, ("spliced", "spliced"))
    with pytest.raises(InputError, match="1 of the 6 genes are not in"):
        read_layers(layers, genes.append(genes[:0].insert(0, "Z")), ("spliced", "unspliced"))
    layers.layers["spliced"][0, 0] = np.nan
    with pytest.raises(InputError, match=r"layers\['spliced'\] holds NaN"):
        read_layers(layers, genes, ("spliced", "unspliced"))
