"""Networks of groups of cells from one fit: a planted difference comes back, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

import grn
from grn.data import CheckedData, check
from grn.data.centring import within_strata
from grn.network import GeneNetwork
from grn.network.contexts import NOISE, Residuals, group_departures

CELLS, TFS, GENES, EACH = 300, 30, 150, 4
TF_NAMES = [f"TF{i}" for i in range(TFS)]
KINDS = ["a", "b"]


def planted(seed: int = 0) -> tuple[anndata.AnnData, np.ndarray]:
    """Log-like expression of two types of 300 cells, and the true weights (types, regulators, genes).

    Genes are signed sums of four regulators; of these edges 30 % exist in one type only.
    """
    random = np.random.default_rng(seed)
    truth = np.zeros((2, TFS, GENES))
    for target in range(TFS, GENES):
        chosen = random.choice(TFS, EACH, replace=False)
        truth[:, chosen, target] = random.choice([-1, 1], EACH) * random.uniform(0.5, 1.5, EACH)
    size = np.linalg.norm(truth[0][:, TFS:], axis=0)
    edges = np.argwhere(truth[0])
    for number, place in enumerate(random.permutation(len(edges))[: int(0.3 * len(edges))]):
        truth[number % 2, *edges[place]] = 0
    parts = []
    for weights in truth:
        regulators = random.standard_normal((CELLS, TFS))
        targets = regulators @ weights[:, TFS:] / size
        parts.append(np.hstack([regulators, targets + 0.5 * random.standard_normal(targets.shape)]))
    x, order = np.vstack(parts), random.permutation(2 * CELLS)
    adata = anndata.AnnData(
        (x - x.min() + 0.1)[order].astype(np.float32),
        obs=pd.DataFrame({"kind": np.repeat(KINDS, CELLS)[order]}, index=[f"cell{i}" for i in range(2 * CELLS)]),
        var=pd.DataFrame(index=[*TF_NAMES, *(f"gene{i}" for i in range(GENES - TFS))]),
    )
    return adata, truth


@pytest.fixture(scope="module")
def data() -> tuple[anndata.AnnData, np.ndarray]:
    return planted()


def weights(network: GeneNetwork, adata: anndata.AnnData) -> list[np.ndarray]:
    """Weights (regulators, genes) of both types."""
    return [network.matrix(kind).loc[TF_NAMES, adata.var_names].to_numpy() for kind in KINDS]


@pytest.fixture(scope="module")
def found(data: tuple[anndata.AnnData, np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Weights by the default settings, and how often something was trained."""
    from grn.pipeline import training

    adata, fits = data[0].copy(), []
    with pytest.MonkeyPatch.context() as patch:
        fit = training.fit
        patch.setattr(training, "fit", lambda *given, **named: fits.append(1) or fit(*given, **named))
        grn.tl.infer(adata, tf=TF_NAMES, group_by="kind")
    return weights(grn.get.network(adata), adata), len(fits)


def pairs(adata: anndata.AnnData) -> np.ndarray:
    """Every pair of a regulator and another gene."""
    return np.array(TF_NAMES)[:, None] != adata.var_names.to_numpy()[None]


def test_edges_of_one_type_only_are_told(
    data: tuple[anndata.AnnData, np.ndarray], found: tuple[list[np.ndarray], int]
) -> None:
    (adata, truth), ((one, other), fits) = data, found
    assert fits == 1
    candidates = pairs(adata)
    differs = (truth[0] != truth[1])[candidates]
    score = average_precision_score(differs, np.abs(one - other)[candidates])
    assert 0.02 < differs.mean() < 0.05
    assert score > 10 * differs.mean()
    assert score > 0.9
    # In the right direction, and each type's network is its own truth better than the other's.
    gap = (one - other)[candidates][differs]
    assert (np.sign(gap) == np.sign(truth[0] - truth[1])[candidates][differs]).mean() > 0.99
    for found_weights, own, others in ((one, *truth), (other, *truth[::-1])):
        size = np.abs(found_weights)[candidates]
        own_score, others_score = (average_precision_score(one[candidates] != 0, size) for one in (own, others))
        assert own_score > 0.99
        assert own_score > others_score + 0.05


def permuted(adata: anndata.AnnData, seed: int = 1) -> anndata.AnnData:
    adata = adata.copy()
    adata.obs["kind"] = np.random.default_rng(seed).permutation(adata.obs["kind"].to_numpy())
    return adata


def test_with_labels_at_random_groups_hardly_depart(
    data: tuple[anndata.AnnData, np.ndarray], found: tuple[list[np.ndarray], int]
) -> None:
    adata, (one, other) = permuted(data[0]), found[0]
    grn.tl.infer(adata, tf=TF_NAMES, group_by="kind")
    first, second = weights(grn.get.network(adata), adata)
    assert np.square(first - second).mean() < 0.05 * np.square(one - other).mean()
    assert np.square(first - second).mean() < 0.02 * np.square(first).mean()
    real, chance = (group_departures(of(cells)) for cells in (data[0], adata))
    assert real is not None
    assert chance is not None
    assert float(chance.by_group.square().mean()) < 0.05 * float(real.by_group.square().mean())
    # |T| > 2 happens by chance in one of twenty pairs.
    assert 0.03 < float((chance.by_group != 0).float().mean()) < 0.07


def of(adata: anndata.AnnData, **changes: Any) -> CheckedData:
    return check(adata, **{"tf": TF_NAMES, "group_by": "kind", **changes})


def test_one_group_is_no_group(data: tuple[anndata.AnnData, np.ndarray]) -> None:
    adata = data[0].copy()
    assert group_departures(of(adata, group_by=None)) is None
    adata.obs["kind"] = "all"
    assert group_departures(of(adata)) is None
    short = ["training.epochs=1", "training.steps_per_epoch=1"]
    grn.tl.infer(adata, tf=TF_NAMES, group_by="kind", overrides=short, key_added="one")
    grn.tl.infer(adata, tf=TF_NAMES, overrides=short, key_added="none")
    one, none = (grn.get.network(adata, key) for key in ("one", "none"))
    np.testing.assert_allclose(one.matrix("all"), none.matrix(), rtol=1e-5, atol=1e-7)


def test_groups_of_equal_cells_have_equal_networks(data: tuple[anndata.AnnData, np.ndarray]) -> None:
    checked = of(data[0])
    x = np.vstack([checked.x, checked.x])
    twice = replace(
        checked,
        x=x,
        cells=pd.Index([f"{name}-{copy}" for copy in range(2) for name in checked.cells]),
        groups=pd.Categorical(np.repeat(KINDS, len(checked.cells))),
    )
    departures = group_departures(twice)
    assert departures is not None
    assert not departures.by_group.any()


@pytest.mark.parametrize("few", [2, 5, 10])
def test_groups_of_few_cells_keep_the_common_network(few: int, data: tuple[anndata.AnnData, np.ndarray]) -> None:
    """What their cells say of slopes is noise, larger than the slopes themselves; hardly any of it counts."""
    adata = data[0][data[0].obs["kind"] == "a"].copy()
    adata.obs["kind"] = "many"
    adata.obs.iloc[np.random.default_rng(0).choice(CELLS, few, replace=False), 0] = "few"
    checked = of(adata)
    assert list(checked.groups.categories) == ["few", "many"]
    raw = Residuals.of(checked).departure(np.flatnonzero(checked.groups == "few"))[0][:, TFS:]
    departures = group_departures(checked)
    assert departures is not None
    size = float(departures.slopes.square().mean())
    assert float(raw.square().mean()) > size
    assert float(departures.by_group.square().mean((1, 2)).max()) < 0.03 * size


def test_where_a_regulator_does_not_vary_nothing_is_said_of_it(data: tuple[anndata.AnnData, np.ndarray]) -> None:
    """Its residual on the others varies even there, with what the others do: that says nothing of its own slopes."""
    adata = data[0].copy()
    adata.obs["kind"] = np.where(np.arange(2 * CELLS) % 3 == 0, "silent", adata.obs["kind"])
    adata.X[(adata.obs["kind"] == "silent").to_numpy(), 4] = 1.7
    checked = of(adata)
    found, errors = Residuals.of(checked).departure(np.flatnonzero(checked.groups == "silent"))
    departures = group_departures(checked)
    assert departures is not None
    assert not found[4].any()
    assert bool(errors[4].isinf().all())
    assert bool(departures.silent[2, 4].all())
    assert int(departures.silent.sum()) == departures.silent.shape[2] + TFS - 1
    assert not departures.by_group[2, 4].any()
    assert bool(departures.by_group.isfinite().all())
    # Other regulators depart there, and this one between the other groups.
    assert bool(departures.by_group[2].any())
    assert float(departures.by_group[:2, 4].abs().max()) > 0.1
    # Silent on one plate of the group, it is judged by the other.
    adata = data[0].copy()
    adata.obs["plate"] = np.where(np.arange(2 * CELLS) % 3 == 0, "silent", "loud")
    adata.X[(adata.obs["plate"] == "silent").to_numpy(), 4] = 1.7
    checked = of(adata, batch_key="plate")
    loud = of(adata[adata.obs["plate"] == "loud"].copy())
    one, other = (group_departures(cells).by_group[:, 4] for cells in (checked, loud))
    assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > 0.95


def pair(cells: int = 240, seed: int = 0) -> anndata.AnnData:
    """One regulator A and one gene B, which follows it with another slope in each of three groups of unequal size."""
    random = np.random.default_rng(seed)
    kind = np.repeat(["x", "y", "z"], [cells // 2, cells // 3, cells - cells // 2 - cells // 3])
    slope = pd.Series(kind).map({"x": 1.0, "y": 0.2, "z": 1.05}).to_numpy()
    spread = pd.Series(kind).map({"x": 1.0, "y": 2.0, "z": 0.5}).to_numpy()
    a = spread * random.standard_normal(cells)
    b = slope * a + 0.4 * random.standard_normal(cells)
    x = np.column_stack([a, b, random.standard_normal(cells)])
    x = x - x.min() + 1
    obs = pd.DataFrame({"kind": kind}, index=[f"cell{i}" for i in range(cells)])
    return anndata.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=["A", "B", "C"]))


def test_a_pair_by_hand() -> None:
    """With a single regulator common slope plus departure is the regression within the group."""
    # The gate wants two regulators.
    checked = replace(check(pair(), tf=["A", "C"], group_by="kind"), regulators=np.array([0]))
    codes = np.asarray(checked.groups.codes)
    z = within_strata(checked.x, codes)
    residuals = Residuals.of(checked)
    parts = [residuals.departure(np.flatnonzero(codes == group)) for group in range(3)]
    found, errors = (torch.stack(one) for one in zip(*parts, strict=True))
    common = float(residuals.slopes[0, 1])
    slopes, variances = [], []
    for group in range(3):
        a, b = z[codes == group, 0], z[codes == group, 1]
        slopes.append(np.polyfit(a, b, 1)[0])
        variances.append(((a * (b - common * a)) ** 2).sum() / (a**2).sum() ** 2)
    np.testing.assert_allclose(found[:, 0, 1] + common, slopes, rtol=1e-9)
    np.testing.assert_allclose(found[0, 0, 1] - found[1, 0, 1], slopes[0] - slopes[1], rtol=1e-9)
    np.testing.assert_allclose(errors[:, 0, 1], variances, rtol=1e-9)
    # What counts of it: from the mean with the precisions as weights, less what noise would give.
    precision = 1 / np.array(variances)
    apart = np.array(slopes) - (precision * slopes).sum() / precision.sum()
    error = np.array(variances) - 1 / precision.sum()
    size = float(residuals.slopes.square().mean())
    expected = apart * np.maximum(1 - NOISE * error / apart**2, 0) * size / (size + error)
    departures = group_departures(checked)
    assert departures is not None
    np.testing.assert_allclose(departures.by_group[:, 0, 1], expected, rtol=1e-5)
    assert expected[1] < -0.1
    assert not departures.by_group[:, 0, 0].any()  # a regulator is no target of its own


def test_means_of_groups_are_no_departures(data: tuple[anndata.AnnData, np.ndarray]) -> None:
    """A constant added to genes of one type, or of one batch, changes nothing."""
    adata = data[0].copy()
    adata.obs["plate"] = np.where(np.arange(2 * CELLS) % 2, "p", "q")
    before = group_departures(of(adata, batch_key="plate"))
    random = np.random.default_rng(5)
    for rows in (adata.obs["kind"] == "a", adata.obs["plate"] == "p"):
        adata.X[rows.to_numpy()] += random.uniform(0, 3, GENES).astype(np.float32)
    after = group_departures(of(adata, batch_key="plate"))
    assert before is not None
    assert after is not None
    torch.testing.assert_close(after.by_group, before.by_group, rtol=0, atol=1e-3)
    torch.testing.assert_close(after.slopes, before.slopes, rtol=0, atol=1e-4)


def test_the_order_of_groups_and_cells_does_not_matter(data: tuple[anndata.AnnData, np.ndarray]) -> None:
    adata = data[0].copy()
    one = group_departures(of(adata))
    adata.obs["kind"] = pd.Categorical(adata.obs["kind"], categories=["b", "a"])
    other = group_departures(of(adata[::-1].copy()))
    assert one is not None
    assert other is not None
    torch.testing.assert_close(other.by_group.flip(0), one.by_group, rtol=0, atol=1e-5)


def test_a_group_has_no_edges_of_what_is_silent_in_it() -> None:
    """Neither of a regulator nor to a gene that none of its cells expresses; the other group keeps them."""
    random = np.random.default_rng(0)
    x = random.poisson(3.0, (300, 12)).astype(np.float32)
    x[:, 6] += 2 * x[:, 0]
    x[:, 7] += 2 * x[:, 1]
    x[:150, [0, 7]] = 0
    adata = anndata.AnnData(
        x, obs=pd.DataFrame({"kind": ["a"] * 150 + ["b"] * 150}, index=[f"c{i}" for i in range(300)])
    )
    adata.var_names = [f"g{i}" for i in range(12)]
    grn.tl.infer(adata, tf=[f"g{i}" for i in range(6)], group_by="kind")
    network = grn.get.network(adata)
    silent, loud = (network.matrix(group) for group in ("a", "b"))
    assert not silent.loc["g0"].any()
    assert not silent["g7"].any()
    assert loud.loc["g0"].drop("g0").all()
    assert loud["g7"].all()
