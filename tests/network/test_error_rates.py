"""P-values where nothing regulates, false discoveries where a network is planted, and the arithmetic of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from anndata import AnnData
from scipy import stats

import grn
from grn._errors import InputError
from grn.data import CheckedData, check
from grn.data.centring import within_strata
from grn.network.error_rates import _permuted, error_rates, pair_pvalues
from grn.network.permutation import PooledNull, kinds

KS = 0.01


def checked(x: np.ndarray, regulators: int, **obs: object) -> CheckedData:
    adata = AnnData(x.astype(np.float32))
    adata.var_names = [f"g{position}" for position in range(x.shape[1])]
    for name, values in obs.items():
        adata.obs[name] = values
    keys = {"group_by": "group" if "group" in obs else None, "batch_key": "batch" if "batch" in obs else None}
    return check(adata, tf=list(adata.var_names[:regulators]), allow_negative=True, **keys)


def gaussian(seed: int) -> tuple[np.ndarray, int]:
    return np.random.default_rng(seed).standard_normal((200, 100)), 20


def counts_of_unequal_depth(seed: int) -> tuple[np.ndarray, int]:
    """Negative binomial counts whose cells differ in depth; nothing regulates."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(0.0, 1.2, 200))
    rate = np.exp(rng.normal(0.0, 0.4, 400))[:, None] * mean * rng.gamma(2.0, 0.5, (400, 200))
    return rng.poisson(rate).astype(float), 40


def blood_cells_permuted(seed: int) -> tuple[np.ndarray, int]:
    """Real values of real genes, each gene over other cells."""
    adata = grn.datasets.pbmc68k()
    order = np.argsort(~adata.var_names.isin(grn.pp.check(adata).tf_names), kind="stable")
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    return np.random.default_rng(seed).permuted(np.asarray(x[:, order[:250]], dtype=np.float64), axis=0), 35


@pytest.mark.parametrize("null", [gaussian, counts_of_unequal_depth, blood_cells_permuted])
def test_p_values_are_uniform_where_nothing_regulates(null: Callable[[int], tuple[np.ndarray, int]]) -> None:
    data = checked(*null(0))
    rates = error_rates(data, seed=0)
    pairs = np.ones(rates.pvalue[0].shape, dtype=bool)
    pairs[np.arange(len(data.regulators)), data.regulators] = False
    assert stats.kstest(rates.pvalue[0][pairs], "uniform").pvalue > KS
    assert (rates.pvalue[0][pairs] < 1e-3).mean() < 3e-3
    assert (rates.qvalue[0][pairs] <= 0.1).sum() <= 3


def planted(seed: int, *, cells: int = 300, genes: int = 120, regulators: int = 30, noise: float = 1.0):
    """A linear network in which regulators regulate each other too, and its expression."""
    rng = np.random.default_rng(seed)
    weights, x = np.zeros((regulators, genes)), rng.standard_normal((cells, genes)) * noise
    x[:, :regulators] /= noise
    for target in range(1, genes):
        earlier = min(target, regulators)
        sources = rng.choice(earlier, min(earlier, rng.integers(0, 3 if target < regulators else 7)), replace=False)
        weights[sources, target] = rng.choice([-1, 1], len(sources)) * rng.uniform(0.3, 1.0, len(sources))
        x[:, target] += x[:, sources] @ weights[sources, target]
    return x, weights != 0


@pytest.mark.parametrize(
    "settings", [{}, {"cells": 100}, {"noise": 2.0}, {"cells": 80, "regulators": 100, "genes": 200}]
)
def test_false_discoveries_are_as_many_as_q_says(settings: dict[str, float]) -> None:
    """Between regulators the test sees a link, not its direction: either one counts as right."""
    false = found = true = 0
    for seed in range(3):
        x, truth = planted(seed, **settings)  # type: ignore[arg-type]
        data = checked(x, len(truth))
        right = truth.copy()
        right[:, : len(truth)] |= truth[:, : len(truth)].T
        hits = error_rates(data, seed=seed).qvalue[0] <= 0.1
        false, found, true = false + (hits & ~right).sum(), found + hits.sum(), true + (hits & truth).sum()
    assert found > 100
    assert true > 50
    assert false / found <= 0.15


def test_groups_are_tested_on_their_own_cells() -> None:
    x, truth = planted(0)
    other = np.random.default_rng(1).permuted(x, axis=0)
    both = checked(np.vstack([x, other]), len(truth), group=["real"] * len(x) + ["permuted"] * len(x))
    rates = error_rates(both, seed=0)
    place = list(both.groups.categories)  # type: ignore[union-attr]
    assert (rates.qvalue[place.index("real")] <= 0.1).sum() > 100
    assert (rates.qvalue[place.index("permuted")] <= 0.1).sum() <= 3


def test_a_shift_between_batches_is_no_evidence() -> None:
    x, _ = gaussian(0)
    regulators = 3  # many regulators together would tell the batch
    batch = np.repeat(["a", "b"], [130, 70])
    shifted = x + np.where(batch == "a", 0.0, 3.0)[:, None]
    assert (error_rates(checked(shifted, regulators), seed=0).pvalue < 1e-3).mean() > 0.005
    assert (error_rates(checked(shifted, regulators, batch=batch), seed=0).pvalue < 1e-3).mean() < 0.003


def test_too_few_cells_are_not_tested(caplog: pytest.LogCaptureFixture) -> None:
    x, regulators = gaussian(0)
    rates = error_rates(checked(x[:15], regulators), seed=0)
    assert (rates.pvalue == 1).all()
    assert (rates.qvalue == 1).all()
    assert "too few to test" in caplog.text


def test_cells_are_drawn_where_there_are_more(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = checked(*gaussian(0))
    some = error_rates(data, cells=100, permutations=2, seed=0)
    assert "100 of 200 cells" in caplog.text
    assert not np.array_equal(some.pvalue, error_rates(data, permutations=2, seed=0).pvalue)
    np.testing.assert_array_equal(some.pvalue, error_rates(data, cells=100, permutations=2, seed=0).pvalue)


def test_no_p_value_is_zero_and_self_edges_are_1() -> None:
    x, truth = planted(0, genes=60, regulators=20)
    z = within_strata(x, np.zeros(len(x), dtype=np.int64))
    p = pair_pvalues(z, np.arange(20), np.zeros(len(x), dtype=int), permutations=3, rng=np.random.default_rng(0))
    assert p.min() == pytest.approx(1 / (1 + 3 * 20 * 59))
    assert (np.diag(p[:, :20]) == 1).all()
    assert np.median(p[truth]) < 0.01


def test_genes_are_permuted_within_batches_each_on_its_own() -> None:
    z, batch = np.arange(40.0).reshape(10, 4), np.repeat([0, 1], 5)
    found = _permuted(z, batch, np.random.default_rng(0))
    for code in (0, 1):
        np.testing.assert_array_equal(np.sort(found[batch == code], axis=0), z[batch == code])
    orders = np.argsort(found, axis=0)
    assert any(not np.array_equal(orders[:, 0], orders[:, column]) for column in range(1, 4))


@pytest.mark.parametrize(("members", "number"), [(30, 1), (99, 1), (100, 2), (1000, 5)])
def test_kinds_hold_fifty_members(members: int, number: int) -> None:
    found = kinds(np.random.default_rng(0).random(members), 5)
    assert len(np.unique(found)) == number
    assert np.bincount(found).min() >= min(50, members)


def test_q_values_are_those_of_scipy() -> None:
    x, _ = planted(1, genes=60, regulators=20)
    rates = error_rates(checked(x, 20), seed=0, permutations=5)
    pairs = ~np.eye(20, 60, dtype=bool)
    expected = stats.false_discovery_control(rates.pvalue[0][pairs].astype(float))
    np.testing.assert_allclose(rates.qvalue[0][pairs], expected, rtol=1e-5)


def test_negative_values_need_leave() -> None:
    with pytest.raises(InputError, match="allow_negative"):
        check(AnnData(np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)), tf="all")


def test_a_pooled_null_counts_what_is_as_large() -> None:
    rng = np.random.default_rng(0)
    observed, drawn = rng.integers(0, 5, (3, 8)).astype(float), rng.integers(0, 5, (2, 3, 8)).astype(float)
    null = PooledNull(observed, rng.standard_normal((20, 8)), np.array([0, 1, 2]), permutations=2)
    for one in drawn:
        null.add(one)
    pairs = ~np.eye(3, 8, dtype=bool)
    every = drawn[:, pairs].ravel()
    expected = [(1 + (every >= value).sum()) / (1 + every.size) for value in observed[pairs]]
    np.testing.assert_allclose(null.pvalues()[pairs], expected)
    assert (null.pvalues()[~pairs] == 1).all()
