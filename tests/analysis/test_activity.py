"""Activity: against regressions by scipy, on planted activities, and what is refused."""

from __future__ import annotations

import builtins
import logging
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import false_discovery_control, linregress

import grn
from grn._errors import InputError
from grn.analysis import activity, regulons
from grn.analysis.activity import METHODS
from grn.network import GeneNetwork, add_to_anndata

numba = pytest.importorskip("numba")
# Thirty cells are quicker without compiling: half a minute for each method.
compiles, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
try:
    pytest.importorskip("decoupler")
finally:
    numba.config.DISABLE_JIT = compiles

CELLS, GENES = 30, 40
NAMES = [f"G{number}" for number in range(GENES)]


@pytest.fixture(scope="module")
def planted() -> tuple[anndata.AnnData, GeneNetwork, np.ndarray]:
    """Counts whose rates follow two hidden activities by the weights of G0 and G1; cells, network, activities."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(2, GENES)) * (generator.random((2, GENES)) < 0.5)
    hidden = generator.normal(size=(CELLS, 2))
    level = generator.normal(size=GENES)
    counts = generator.poisson(np.exp(2 + level + hidden @ weights))
    cells = [f"cell {number}" for number in range(CELLS)]
    adata = anndata.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame({"kind": pd.Categorical(["B/x", "T"] * (CELLS // 2))}, index=cells),
        var=pd.DataFrame(index=NAMES),
    )
    return adata, GeneNetwork.from_matrix(weights, ["G0", "G1"], NAMES), hidden


def regression(adata: anndata.AnnData, network: GeneNetwork, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """t-values and p-values of each cell's log-normalised expression regressed on the weights of each regulon."""
    counts = adata.X.toarray().astype(float)
    x = np.log1p(1000 * counts / counts.sum(axis=1, keepdims=True))
    kept = regulons(network, **settings)
    t, p = [], []
    for _, one in kept.groupby("regulator"):
        weights = one.set_index("target")["weight"].reindex(NAMES, fill_value=0).to_numpy()
        fits = [linregress(weights, cell) for cell in x]
        t.append([fit.slope / fit.stderr for fit in fits])
        p.append([fit.pvalue for fit in fits])
    return np.transpose(t), np.transpose(p)


@pytest.mark.parametrize("settings", [{}, {"top": 20, "min_targets": 3}])
def test_ulm_is_the_t_value_of_a_regression(planted, settings: dict) -> None:
    adata, network, _ = planted
    found = activity(network, adata, **settings)
    t, p = regression(adata, network, **settings)
    assert list(found.scores.index) == list(adata.obs_names)
    assert list(found.scores) == ["G0", "G1"]
    np.testing.assert_allclose(found.scores, t, rtol=1e-4)
    # Adjusted within each cell, over regulators.
    np.testing.assert_allclose(found.padj, [false_discovery_control(row) for row in p], rtol=1e-3)


def test_dense_and_sparse_and_layers_agree(planted) -> None:
    adata, network, _ = planted
    expected = activity(network, adata).scores
    other = adata.copy()
    other.layers["counts"] = adata.X.toarray()
    other.X = np.zeros(adata.shape, np.float32)
    pd.testing.assert_frame_equal(activity(network, other).scores, expected, rtol=1e-4)
    other.layers["mine"] = other.layers.pop("counts")
    pd.testing.assert_frame_equal(activity(network, other, layer="mine").scores, expected, rtol=1e-4)


@pytest.mark.parametrize("centre", [False, True])
def test_it_finds_the_activities_that_made_the_cells(planted, centre: bool) -> None:
    adata, network, hidden = planted
    scores = activity(network, adata, centre=centre).scores.to_numpy()
    for number in range(2):
        assert np.corrcoef(scores[:, number], hidden[:, number])[0, 1] > 0.8
    if centre:
        assert np.abs(scores.mean(axis=0)).max() < 0.5


def test_centring_takes_out_what_all_cells_share(planted) -> None:
    adata, network, _ = planted
    target = network.edges.query("source == 'G0' and weight > 0")["target"]
    loud = adata.copy()
    counts = adata.X.toarray()
    counts[:, [NAMES.index(name) for name in target]] *= 20
    loud.X = sparse.csr_matrix(counts)
    assert (activity(network, loud).scores["G0"] > 0).mean() > 0.9
    assert 0.3 < (activity(network, loud, centre=True).scores["G0"] > 0).mean() < 0.7


def test_own_expression_counts_among_the_zeros(planted) -> None:
    adata, network, _ = planted
    louder = adata.copy()
    counts = adata.X.toarray()
    counts[:, 0] += 50
    louder.X = sparse.csr_matrix(counts)
    t, _ = regression(louder, network)
    np.testing.assert_allclose(activity(network, louder).scores, t, rtol=1e-4)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method(planted, method: str) -> None:
    from decoupler import mt

    known = mt.show().set_index("name")
    adata, network, _ = planted
    found = activity(network, adata, method=method, min_targets=2)
    sets = ["G0(+)", "G0(-)", "G1(+)", "G1(-)"]
    assert list(found.scores) == (["G0", "G1"] if METHODS[method] else sets)
    assert METHODS[method] == known.loc[method, "weight"]
    assert (found.padj is not None) == known.loc[method, "test"]
    assert np.isfinite(found.scores.to_numpy()).all()


def test_each_cell_by_its_own_group(planted) -> None:
    adata, network, _ = planted
    weights = network.matrix().to_numpy()
    grouped = GeneNetwork.from_matrix({"B/x": weights, "T": -weights}, network.regulators, network.genes)
    scores = activity(network, adata).scores
    own = activity(grouped, adata, group_by="kind")
    sign = np.where(adata.obs["kind"] == "T", -1, 1)[:, None]
    np.testing.assert_allclose(own.scores, scores * sign, rtol=1e-6)
    assert own.padj.notna().all(axis=None)
    np.testing.assert_allclose(activity(grouped, adata, group="T").scores, -scores, rtol=1e-6)
    with pytest.raises(InputError, match="No regulator has 5 targets"):
        activity(grouped, adata)  # the mean of both is 0 everywhere


def test_groups_are_refused_where_they_do_not_fit(planted, grouped: GeneNetwork, dense: GeneNetwork) -> None:
    adata, network, _ = planted
    with pytest.raises(InputError, match="needs a network with groups"):
        activity(network, adata, group_by="kind")
    with pytest.raises(InputError, match=r"either group='T'.*or group_by='kind'"):
        activity(grouped, adata, group="T", group_by="kind")
    other = adata.copy()
    other.obs["kind"] = other.obs["kind"].cat.rename_categories({"T": "t"})
    with pytest.raises(InputError, match=r"no group 't'.*Did you mean 'T'"):
        activity(grouped, other, group_by="kind")


def test_only_shared_genes_count(planted, caplog: pytest.LogCaptureFixture) -> None:
    adata, network, _ = planted
    fewer = adata[:, :30].copy()
    with caplog.at_level(logging.INFO, logger="grn"):
        found = activity(network, fewer)
    assert "30 genes, which are in both the data (30) and the network (40)" in caplog.text
    assert found.params["genes"] == 30
    mouse = adata.copy()
    mouse.var_names = [name.lower() for name in NAMES]
    with pytest.raises(InputError, match=r"none of the network's 40 genes.*40 would match if letter case"):
        activity(network, mouse)


def test_cells_without_expression_are_nan(planted, caplog: pytest.LogCaptureFixture) -> None:
    adata, network, _ = planted
    counts = adata.X.toarray()
    counts[[0, 3]] = 0
    other = adata.copy()
    other.X = sparse.csr_matrix(counts)
    found = activity(network, other)
    assert "2 cells have the same value, or none, of all genes" in caplog.text
    assert found.scores.isna().all(axis=1).to_numpy().nonzero()[0].tolist() == [0, 3]
    np.testing.assert_allclose(found.scores.iloc[4:], activity(network, adata).scores.iloc[4:], rtol=1e-6)


def test_unsigned_networks(planted) -> None:
    adata, network, _ = planted
    unsigned = GeneNetwork.from_matrix(network.matrix().abs(), network.regulators, network.genes, signed=False)
    assert list(activity(unsigned, adata, method="aucell").scores) == ["G0(?)", "G1(?)"]
    assert list(activity(unsigned, adata).scores) == ["G0", "G1"]


def test_regulons_of_all_genes_are_left_out(planted, caplog: pytest.LogCaptureFixture) -> None:
    adata, network, _ = planted
    all_genes = pd.DataFrame({"source": "TF", "target": NAMES, "weight": 1.0})
    with pytest.raises(InputError, match="have all genes of the data as targets of one weight"):
        activity(GeneNetwork.from_edges(all_genes), adata)
    both = GeneNetwork.from_edges(pd.concat([network.edges, all_genes])[["source", "target", "weight"]])
    assert list(activity(both, adata).scores) == ["G0", "G1"]
    assert "targets of one weight: TF" in caplog.text


def test_what_decoupler_cannot_do_is_an_error_of_ours(planted) -> None:
    adata, network, _ = planted
    weights = network.matrix().to_numpy()[:1, 2:]
    twins = GeneNetwork.from_matrix(np.repeat(np.pad(weights, ((0, 0), (2, 0))), 2, axis=0), ["G0", "G1"], NAMES)
    scores = activity(twins, adata).scores
    pd.testing.assert_series_equal(scores["G0"], scores["G1"], check_names=False)
    with pytest.raises(InputError, match="decoupler's mlm could not score 2 regulons in 30 cells"):
        activity(twins, adata, method="mlm")


def test_refuses(planted, empty: GeneNetwork) -> None:
    adata, network, _ = planted
    with pytest.raises(InputError, match=r"Unknown method 'ulmm'.*Did you mean 'ulm'"):
        activity(network, adata, method="ulmm")
    with pytest.raises(InputError, match="No regulator has 500 targets"):
        activity(network, adata, min_targets=500)
    scaled = adata.copy()
    scaled.X = scaled.X.toarray() - 3.5
    with pytest.raises(InputError, match="looks scaled"):
        activity(network, scaled)
    assert activity(network, scaled, allow_negative=True).scores.notna().all(axis=None)
    abc = anndata.AnnData(np.random.default_rng(0).poisson(3, size=(12, 3)).astype(np.float32))
    abc.var_names = ["A", "B", "C"]
    with pytest.raises(InputError, match="No regulator has 5 targets"):
        activity(empty, abc)


def test_without_decoupler(planted, monkeypatch: pytest.MonkeyPatch) -> None:
    adata, network, _ = planted
    real = builtins.__import__

    def blocked(name: str, *arguments: Any, **settings: Any) -> Any:
        if name.partition(".")[0] == "decoupler":
            raise ImportError("No module named 'decoupler'")
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(InputError, match=r'pip install "grn\[activity\]"'):
        activity(network, adata)


def test_slots(planted, tmp_path: Path) -> None:
    adata, network, _ = planted
    adata = adata.copy()
    before = adata.X.toarray()
    add_to_anndata(adata, network)
    assert grn.tl.activity(adata) is None
    assert (adata.X.toarray() == before).all()
    expected = activity(network, adata)
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(read.obsm["grn_activity"], expected.scores, check_names=False)
    pd.testing.assert_frame_equal(read.obsm["grn_activity_padj"], expected.padj, check_names=False)
    assert read.uns["grn_activity"]["method"] == "ulm"
    assert "counts" in read.uns["grn_activity"]["expression"]
    # Another method without a test takes the p-values away; a copy leaves the original alone.
    other = grn.tl.activity(adata, method="aucell", copy=True)
    assert "grn_activity_padj" not in other.obsm
    assert "grn_activity_padj" in adata.obsm
    grn.tl.activity(adata, network.top(30), min_targets=2, key_added="few")
    assert list(adata.obsm["few"]) == ["G0", "G1"]


def test_slots_are_refused(planted) -> None:
    adata, network, _ = planted
    with pytest.raises(InputError, match="key_added='a/b'"):
        grn.tl.activity(adata, network, key_added="a/b")
    with pytest.raises(KeyError, match="holds no network"):
        grn.tl.activity(adata)


def test_a_slash_in_a_name_is_told(planted, caplog: pytest.LogCaptureFixture) -> None:
    adata, network, _ = planted
    odd = adata.copy()
    odd.var_names = ["NKX2/5", *NAMES[1:]]
    renamed = network.edges.replace({"source": {"G0": "NKX2/5"}, "target": {"G0": "NKX2/5"}})
    grn.tl.activity(odd, GeneNetwork.from_edges(renamed))
    assert "The regulator 'NKX2/5' has a '/' in its name" in caplog.text
    assert "NKX2/5" in odd.obsm["grn_activity"]


def test_the_configuration_knows_the_same_methods() -> None:
    from typing import get_args, get_type_hints

    from grn.config.schema import Activity

    assert get_args(get_type_hints(Activity)["method"]) == tuple(METHODS)
