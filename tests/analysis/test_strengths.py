"""Strengths of regulators in cells: by hand, by group, by batch."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn._errors import InputError
from grn.analysis import strengths
from grn.data import check
from grn.network import GeneNetwork

GENES = [f"G{number}" for number in range(12)]
CELLS = 30


@pytest.fixture
def adata() -> anndata.AnnData:
    random = np.random.default_rng(4)
    x = np.round(random.gamma(2.0, 1.0, (CELLS, 12)), 2) + 0.013
    found = anndata.AnnData(x.astype(np.float32))
    found.obs_names, found.var_names = [f"cell{i}" for i in range(CELLS)], GENES
    found.obs["kind"] = np.where(np.arange(CELLS) % 2 == 0, "B/x", "T")
    found.obs["plate"] = np.where(np.arange(CELLS) < 12, "one", "two")
    return found


def expected(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """|z| times the norm of the regulator's weights, (cells, regulators)."""
    own = x[:, :3].astype(float)
    z = np.abs(own - own.mean(0)) / own.std(0)
    return z * np.sqrt((np.asarray(weights, dtype=float) ** 2).sum(1))


def test_by_hand(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    found = strengths(dense, check(adata, tf=GENES[:3]))
    assert list(found.index) == list(adata.obs_names)
    assert list(found.columns) == GENES[:3]
    assert (found.dtypes == np.float32).all()
    np.testing.assert_allclose(found, expected(adata.X, dense.matrix().to_numpy()), rtol=1e-4)
    assert (found >= 0).all(axis=None)


def test_is_the_length_of_what_a_regulator_contributes(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    """The out-strength of the cell's own network of effects w_ji z_cj."""
    found = strengths(dense, check(adata, tf=GENES[:3]))
    x = adata.X[:, :3].astype(float)
    z = (x - x.mean(0)) / x.std(0)
    effects = z[7][:, None] * dense.matrix().to_numpy()
    np.testing.assert_allclose(found.iloc[7], np.linalg.norm(effects, axis=1), rtol=1e-4)


def test_the_order_of_genes_does_not_matter(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    first = strengths(dense, check(adata, tf=GENES[:3]))
    turned = strengths(dense, check(adata[:, GENES[::-1]].copy(), tf=GENES[:3]))
    assert list(turned) == GENES[2::-1]
    pd.testing.assert_frame_equal(turned[GENES[:3]], first, rtol=1e-5)


def test_sparse_agrees(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    first = strengths(dense, check(adata, tf=GENES[:3]))
    adata.X = sparse.csr_matrix(adata.X)
    pd.testing.assert_frame_equal(strengths(dense, check(adata, tf=GENES[:3])), first, rtol=1e-5)


def test_unsigned_networks_have_strengths_too(adata: anndata.AnnData, unsigned: GeneNetwork) -> None:
    found = strengths(unsigned, check(adata, tf=GENES[:3]))
    np.testing.assert_allclose(found, expected(adata.X, unsigned.matrix().to_numpy()), rtol=1e-4)


def test_every_cell_has_the_weights_of_its_group(adata: anndata.AnnData, grouped: GeneNetwork) -> None:
    found = strengths(grouped, check(adata, tf=GENES[:3], group_by="kind")).to_numpy()
    for name in ("B/x", "T"):
        cells = (adata.obs["kind"] == name).to_numpy()
        # z is of all cells: a regulator that is high in a whole group works there.
        whole = expected(adata.X, grouped.of_group(name).matrix().to_numpy())
        np.testing.assert_allclose(found[cells], whole[cells], rtol=1e-4)


def test_levels_are_measured_from_the_cells_own_batch(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    first = strengths(dense, check(adata, tf=GENES[:3], batch_key="plate"))
    moved = adata.copy()
    moved.X[(adata.obs["plate"] == "two").to_numpy()] += np.float32(4.0)
    found = strengths(dense, check(moved, tf=GENES[:3], batch_key="plate"))
    pd.testing.assert_frame_equal(found, first, rtol=1e-3, atol=1e-4)
    without = strengths(dense, check(moved, tf=GENES[:3]))
    assert np.abs(without.to_numpy() - found.to_numpy()).max() > 0.1
    # By hand: centred in the batch, over the standard deviation that is left.
    x = adata.X[:, :3].astype(float)
    for plate in ("one", "two"):
        cells = (adata.obs["plate"] == plate).to_numpy()
        x[cells] -= x[cells].mean(0)
    by_hand = np.abs(x) / x.std(0) * np.linalg.norm(dense.matrix().to_numpy(), axis=1)
    np.testing.assert_allclose(first, by_hand, rtol=1e-3, atol=1e-4)


def test_regulators_without_edges_or_variation_do_nothing(adata: anndata.AnnData, dense: GeneNetwork) -> None:
    adata.X[:, 0] = 1.5
    found = strengths(dense.top(4), check(adata, tf=GENES[:3]))
    assert np.isfinite(found.to_numpy()).all()
    assert (found["G0"] == 0).all()
    empty = GeneNetwork.from_matrix(np.zeros((3, 12)), GENES[:3], GENES)
    assert (strengths(empty, check(adata, tf=GENES[:3])) == 0).all(axis=None)


def test_refuses_cells_of_other_groups(adata: anndata.AnnData, grouped: GeneNetwork) -> None:
    with pytest.raises(InputError, match=r"The network has the groups B/x, T, the cells none"):
        strengths(grouped, check(adata, tf=GENES[:3]))
    adata.obs["kind"] = adata.obs["kind"].replace("T", "NK")
    with pytest.raises(InputError, match=r"the groups B/x, T, the cells B/x, NK: give cells"):
        strengths(grouped, check(adata, tf=GENES[:3], group_by="kind"))
