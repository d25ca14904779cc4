"""Edges that differ between groups: planted differences, error rates, permutations, and what is refused."""

from __future__ import annotations

from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import kstest
from sklearn.metrics import average_precision_score

from grn._errors import InputError
from grn.analysis import differential
from grn.analysis.differential import COLUMNS, _compare, _shuffled
from grn.data import CheckedData, check
from grn.data.centring import strata, within_strata
from grn.network import contexts
from grn.network.contexts import Residuals

CELLS, TFS, GENES = 500, 40, 200
NAMES = [f"G{number}" for number in range(GENES)]


def planted(seed: int, *, differ: bool = True, share: float = 0.5, genes: int = GENES) -> tuple[anndata.AnnData, ...]:
    """Two types of cells with means of their own, and the true weights (regulators, genes) of both.

    Where they differ, 30 % of the edges are in one of them only. `share` of the cells are of the first type.
    """
    random = np.random.default_rng(seed)
    weights = np.zeros((TFS, genes))
    for target in range(TFS, genes):
        chosen = random.choice(TFS, random.integers(1, 6), replace=False)
        weights[chosen, target] = random.choice([-1, 1], len(chosen)) * random.uniform(0.5, 1, len(chosen))
    both = (weights.copy(), weights.copy())
    edges = random.permutation(np.argwhere(weights))
    for number, edge in enumerate(edges[: int(0.3 * len(edges)) if differ else 0]):
        both[number % 2][tuple(edge)] = 0
    parts, sizes = [], (int(2 * CELLS * share), 2 * CELLS - int(2 * CELLS * share))
    for own, cells in zip(both, sizes, strict=True):
        levels = random.standard_normal((cells, TFS)) + random.standard_normal(TFS)
        values = levels @ own + random.standard_normal((cells, genes))
        values[:, :TFS] = levels
        parts.append(values)
    order = random.permutation(2 * CELLS)
    adata = anndata.AnnData(np.vstack(parts)[order].astype(np.float32), var=pd.DataFrame(index=NAMES[:genes]))
    adata.obs_names = [f"cell{number}" for number in range(2 * CELLS)]
    adata.obs["type"] = pd.Categorical(np.repeat(["B/x", "T"], sizes)[order])
    return adata, *both


def checked_of(adata: anndata.AnnData, group_by: str | None = "type", **settings: Any) -> CheckedData:
    return check(adata, tf=NAMES[:TFS], group_by=group_by, allow_negative=True, **settings)


def small(seed: int = 0, cells: int = 90, genes: int = 12, tfs: int = 4) -> anndata.AnnData:
    """Three types and two batches, in which one edge differs."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((cells, genes))
    kinds = np.array(["B/x", "T", "NK"])[np.arange(cells) % 3]
    x[:, 5] += np.where(kinds == "B/x", 2.0, 0.0) * x[:, 0]
    adata = anndata.AnnData(x.astype(np.float32))
    adata.obs_names, adata.var_names = [f"cell{i}" for i in range(cells)], NAMES[:genes]
    adata.obs["type"] = pd.Categorical(kinds, categories=["T", "B/x", "NK"])
    adata.obs["batch"] = np.where(np.arange(cells) % 2 == 0, "one", "two")
    adata.obs["two"] = np.where(kinds == "B/x", "in", "out")
    return adata


def small_checked(group_by: str = "type", **settings: Any) -> CheckedData:
    return check(small(), tf=NAMES[:4], group_by=group_by, allow_negative=True, **settings)


def as_matrix(table: pd.DataFrame, column: str, shape: tuple[int, int]) -> np.ndarray:
    out = np.full(shape, np.nan)
    out[table["source"].map(NAMES.index), table["target"].map(NAMES.index)] = table[column]
    return out


@pytest.fixture(scope="module")
def found() -> list[tuple[pd.DataFrame, np.ndarray, np.ndarray]]:
    """Table, and true weights of both types, of three draws."""
    out = []
    for seed in range(3):
        adata, one, two = planted(seed)
        out.append((differential(checked_of(adata)), one, two))
    return out


def test_planted_differences_are_found(found) -> None:
    for table, one, two in found:
        pairs = ~np.eye(TFS, GENES, dtype=bool)
        true = ((one != 0) != (two != 0))[pairs]
        statistic = np.abs(as_matrix(table, "statistic", one.shape)[pairs])
        assert average_precision_score(true, statistic) > 10 * true.mean()
        # It is far more on such data: nearly all of what can be had.
        assert average_precision_score(true, statistic) > 0.95


def test_effects_have_the_sign_of_the_difference(found) -> None:
    for table, one, two in found:
        true = one - two
        effect = as_matrix(table, "effect", one.shape)
        known = true != 0
        assert (np.sign(effect[known]) == np.sign(true[known])).mean() > 0.99
        for column, weights in (("weight_group", one), ("weight_reference", two)):
            slopes = as_matrix(table, column, one.shape)
            assert np.abs(slopes[weights == 0]).mean(where=~np.isnan(slopes[weights == 0])) < 0.1
            assert (np.sign(slopes[weights != 0]) == np.sign(weights[weights != 0])).mean() > 0.99


def test_the_false_discovery_rate_is_what_it_says(found) -> None:
    false, all_ = 0, 0
    for table, one, two in found:
        true = (one != 0) != (two != 0)
        kept = table[table["qvalue"] <= 0.1]
        false += sum(not true[NAMES.index(row.source), NAMES.index(row.target)] for row in kept.itertuples())
        all_ += len(kept)
        assert len(kept) > 0.9 * true.sum()
    assert false / all_ <= 0.15


@pytest.mark.parametrize("seed", [0, 1])
def test_p_values_are_uniform_where_only_means_differ(seed: int) -> None:
    adata, _, _ = planted(seed, differ=False, share=0.3)
    table = differential(checked_of(adata))
    assert kstest(table["pvalue"], "uniform").pvalue > 0.01
    assert (table["qvalue"] <= 0.1).sum() <= 3


def test_p_values_are_uniform_where_batches_have_other_means() -> None:
    adata, _, _ = planted(1, differ=False)
    random = np.random.default_rng(0)
    # Batches of unlike composition: what they add to one type only looks like other slopes, if it is not taken out.
    batch = (random.random(adata.n_obs) < np.where(adata.obs["type"] == "T", 0.98, 0.5)).astype(int)
    adata.X = adata.X + random.standard_normal((2, GENES))[batch].astype(np.float32)
    adata.obs["plate"] = np.array(["p1", "p2"])[batch]
    table = differential(checked_of(adata, batch_key="plate"))
    assert kstest(table["pvalue"], "uniform").pvalue > 0.01
    assert kstest(differential(checked_of(adata))["pvalue"], "uniform").pvalue < 0.01


def test_columns_and_order() -> None:
    table = differential(small_checked(), group="B/x", reference="NK")
    assert list(table) == COLUMNS
    assert len(table) == 4 * 12 - 4
    assert not (table["source"] == table["target"]).any()
    assert not table.duplicated(["source", "target"]).any()
    assert set(table["group"]) == {"B/x"}
    assert set(table["reference"]) == {"NK"}
    assert table["pvalue"].is_monotonic_increasing
    assert table["pvalue"].between(0, 1, inclusive="right").all()
    assert (table["qvalue"] >= table["pvalue"] - 1e-6).all()
    assert table.iloc[0][["source", "target"]].tolist() == ["G0", "G5"]
    assert table["effect"].iloc[0] > 0
    np.testing.assert_allclose(table["effect"], table["weight_group"] - table["weight_reference"], atol=1e-12)
    np.testing.assert_array_equal(np.sign(table["statistic"]), np.sign(table["effect"]))


def test_effects_are_regressions_of_residuals() -> None:
    """Departures of both groups by numpy, from the residuals of the one fit."""
    checked = small_checked()
    table = differential(checked, group="B/x", reference="NK")
    fit = Residuals.of(checked)
    r, e = fit.regulators.numpy(), fit.genes.numpy()
    kinds = np.asarray(checked.groups)
    (one, error_one), (other, error_other) = (
        ((r[cells].T @ e[cells]) / (r[cells] ** 2).sum(0)[:, None],
         (r[cells] ** 2).T @ e[cells] ** 2 / (r[cells] ** 2).sum(0)[:, None] ** 2)
        for cells in (kinds == "B/x", kinds == "NK")
    )  # fmt: skip
    pairs = ~np.eye(4, 12, dtype=bool)
    np.testing.assert_allclose(as_matrix(table, "effect", one.shape)[pairs], (one - other)[pairs])
    np.testing.assert_allclose(as_matrix(table, "weight_group", one.shape)[pairs], (fit.slopes.numpy() + one)[pairs])
    statistic = (one - other) / np.sqrt(error_one + error_other)
    np.testing.assert_allclose(as_matrix(table, "statistic", one.shape)[pairs], statistic[pairs])


def test_exchanging_group_and_reference_turns_the_sign() -> None:
    one = differential(small_checked(), group="B/x", reference="T").set_index(["source", "target"])
    other = differential(small_checked(), group="T", reference="B/x").set_index(["source", "target"]).reindex(one.index)
    np.testing.assert_allclose(one["effect"], -other["effect"])
    np.testing.assert_allclose(one["weight_group"], other["weight_reference"])


def test_several_groups_each_against_the_rest() -> None:
    table = differential(small_checked())
    assert len(table) == 3 * 44
    assert list(table.groupby("group").size()) == [44, 44, 44]
    assert set(table["reference"]) == {"rest"}
    assert table["pvalue"].is_monotonic_increasing
    best = table[(table["source"] == "G0") & (table["target"] == "G5")].set_index("group")["effect"]
    assert best["B/x"] > 0
    assert best["T"] < 0
    assert best["NK"] < 0
    # Against one of them: the others in turn.
    against = differential(small_checked(), reference="T")
    assert sorted(against["group"].unique()) == ["B/x", "NK"]
    assert set(against["reference"]) == {"T"}
    assert len(against) == 2 * 44


def test_two_groups_are_compared_once() -> None:
    table = differential(small_checked("two"))
    assert len(table) == 44
    assert set(table["group"]) == {"in"}
    assert set(table["reference"]) == {"out"}
    # By name it is the same comparison, and so with the rest, which is the other group.
    for settings in ({"group": "in", "reference": "out"}, {"group": "in"}):
        other = differential(small_checked("two"), **settings)
        pd.testing.assert_frame_equal(other.drop(columns="reference"), table.drop(columns="reference"))


def test_one_fit_serves_all_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    real = contexts.PartialRegression

    def counted(*arguments: Any, **settings: Any) -> Any:
        fits.append(1)
        return real(*arguments, **settings)

    monkeypatch.setattr(contexts, "PartialRegression", counted)
    differential(small_checked(), permutations=3)
    assert len(fits) == 1


def test_labels_are_permuted_within_batches() -> None:
    random = np.random.default_rng(0)
    labels = random.choice([-1, 0, 1], 300)
    batch = random.choice(3, 300)
    shuffled = _shuffled(labels, batch, random)
    assert (shuffled != labels).any()
    np.testing.assert_array_equal(shuffled == -1, labels == -1)
    for code in range(3):
        for label in (0, 1):
            assert (shuffled[batch == code] == label).sum() == (labels[batch == code] == label).sum()


def test_groups_that_share_no_batch_are_refused() -> None:
    """No label can be exchanged within a batch."""
    adata = small()
    adata.obs["batch"] = adata.obs["two"]
    checked = check(adata, tf=NAMES[:4], group_by="two", batch_key="batch", allow_negative=True)
    with pytest.raises(InputError, match=r"No batch has cells of both .* leave batch_key out"):
        differential(checked, permutations=4)


def test_seeds_and_permutations() -> None:
    first, again = (differential(small_checked(), permutations=5, seed=1) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = differential(small_checked(), permutations=5, seed=2)
    assert not first["pvalue"].equals(other["pvalue"])
    # The smallest p-value that so many permutations of one kind of 44 pairs can give.
    assert first["pvalue"].min() >= 1 / (1 + 5 * 44)
    more = differential(small_checked(), permutations=50, seed=1)
    assert more["pvalue"].min() < first["pvalue"].min()


def test_sparse_and_dense_agree() -> None:
    random = np.random.default_rng(0)
    adata = small()
    adata.X = random.poisson(3, adata.shape).astype(np.float32)
    dense = differential(check(adata, tf=NAMES[:4], group_by="type"))
    adata.X = sparse.csr_matrix(adata.X)
    found = differential(check(adata, tf=NAMES[:4], group_by="type"))
    pd.testing.assert_frame_equal(found, dense, rtol=1e-3, atol=1e-5)


def test_regulators_that_do_not_vary_in_a_group_have_no_difference() -> None:
    adata = small()
    kinds = adata.obs["type"].to_numpy()
    adata.X[kinds == "NK", 1] = 0.5
    # Nor do all other regulators there: a residual on those would vary still.
    adata.X[kinds == "NK", :4] = 0.5
    checked = check(adata, tf=NAMES[:4], group_by="type", allow_negative=True)
    table = differential(checked, group="B/x", reference="NK")
    assert (table["statistic"] == 0).all()
    assert (table["effect"] == 0).all()
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)
    assert (table["pvalue"] == 1).all()


def test_statistics_of_shuffled_labels_are_about_standard_normal() -> None:
    adata, _, _ = planted(1, differ=False)
    checked = checked_of(adata)
    fit = Residuals.of(checked)
    labels = np.asarray(checked.groups.codes).astype(np.int64)
    assert within_strata(checked.x, strata(checked)).shape == (2 * CELLS, GENES)
    statistic = _compare(fit, np.random.default_rng(0).permutation(labels))[1]
    assert statistic[~np.eye(TFS, GENES, dtype=bool)].std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("column", "settings", "message"),
    [
        (None, {}, "the data have none: give group_by"),
        ("same", {}, "the data have only 'all'"),
        ("type", {"group": "b/x"}, r"There is no group 'b/x'; the data have T, B/x, NK. Did you mean 'B/x'"),
        ("type", {"group": "T", "reference": "Rest"}, r"There is no group 'Rest'"),
        ("type", {"group": "T", "reference": "T"}, r"'T' is compared with itself; give another reference"),
        ("type", {"permutations": 0}, "permutations=0: expected a whole number of at least 1"),
        ("few", {}, r"rare has fewer than 10 cells, too few to compare"),
        ("few", {"group": "T", "reference": "rare"}, r"rare has fewer than 10 cells"),
    ],
)
def test_refuses(column: str | None, settings: dict, message: str) -> None:
    adata = small()
    adata.obs["same"] = "all"
    adata.obs["few"] = np.where(np.arange(adata.n_obs) < 9, "rare", adata.obs["type"].astype(str))
    checked = check(adata, tf=NAMES[:4], group_by=column, allow_negative=True)
    with pytest.raises(InputError, match=message):
        differential(checked, **settings)


def test_a_rare_group_is_no_obstacle_for_others() -> None:
    adata = small()
    adata.obs["few"] = np.where(np.arange(adata.n_obs) < 9, "rare", adata.obs["type"].astype(str))
    checked = check(adata, tf=NAMES[:4], group_by="few", allow_negative=True)
    assert len(differential(checked, group="T", reference="NK")) == 44
