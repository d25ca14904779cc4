from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

from grn._errors import InputError
from grn.data.simulator.simulate import simulate

SMALL = {"n_cells": 300, "n_genes": 80, "n_tfs": 12, "n_masters": 4, "n_cell_types": 3}


def signs(adata) -> pd.DataFrame:
    """The planted network as a (regulators, genes) table of -1, 0, +1."""
    reference = adata.uns["reference"]
    table = reference.set_index(["source", "target"])["sign"].unstack()  # noqa: PD010 (a plain reshape)
    return table.reindex(index=adata.var_names[adata.var["is_tf"]], columns=adata.var_names).fillna(0)


def test_shapes_names_and_slots():
    adata = simulate(**SMALL, seed=3)
    assert adata.shape == (300, 80)
    assert adata.var_names[:2].tolist() == ["TF1", "TF2"]
    assert adata.var_names[12] == "G1"
    assert adata.var["is_tf"].sum() == 12
    assert adata.var["is_master"].sum() == 4
    assert adata.obs["cell_type"].value_counts().tolist() == [100, 100, 100]
    assert "perturbation" not in adata.obs
    counts = adata.layers["counts"].toarray()
    assert counts.dtype == np.float32
    assert (counts == np.round(counts)).all()
    assert counts.min() == 0
    assert (adata.layers["counts"] != adata.X).nnz == 0
    assert not np.shares_memory(adata.X.data, adata.layers["counts"].data)
    assert np.isfinite(adata.layers["true"]).all()
    assert adata.layers["true"].min() >= 0


def test_network_has_masters_first_no_cycle_and_a_regulator_for_all_others():
    adata = simulate(**SMALL, seed=3)
    reference = adata.uns["reference"]
    assert not reference.duplicated(["source", "target"]).any()
    position = {name: i for i, name in enumerate(adata.var_names)}
    source, target = reference["source"].map(position), reference["target"].map(position)
    assert (source < 12).all()
    assert (source < target).all()
    assert sorted(set(target)) == list(range(4, 80))
    assert set(reference["sign"]) == {-1, 1}
    assert (reference["sign"] < 0).sum() == round(0.3 * len(reference))


def test_same_seed_same_data_and_another_seed_another():
    first, again, other = (simulate(**SMALL, knockdowns=2, seed=seed) for seed in (5, 5, 6))
    assert (first.X != again.X).nnz == 0
    np.testing.assert_array_equal(first.layers["true"], again.layers["true"])
    pd.testing.assert_frame_equal(first.uns["reference"], again.uns["reference"])
    pd.testing.assert_frame_equal(first.obs, again.obs)
    assert (first.X != other.X).nnz > 0
    assert not first.uns["reference"].equals(other.uns["reference"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("n_cells", 240),
        ("n_genes", 70),
        ("n_tfs", 10),
        ("n_masters", 5),
        ("n_cell_types", 4),
        ("mean_regulators", 2.0),
        ("repression", 0.6),
        ("strength", (2.0, 3.0)),
        ("hill", 3.0),
        ("intrinsic_noise", 0.2),
        ("knockdowns", 1),
        ("seed", 1),
    ],
)
def test_every_option_changes_the_concentrations(option, value):
    before, after = simulate(**SMALL), simulate(**{**SMALL, option: value})
    same = before.shape == after.shape and np.array_equal(before.layers["true"], after.layers["true"])
    assert not same


@pytest.mark.parametrize(
    ("option", "value"),
    [("library_size", 500.0), ("library_spread", 0.1), ("dropout", 0.6), ("outliers", 0.5)],
)
def test_options_of_the_measurement_change_the_counts_alone(option, value):
    before, after = simulate(**SMALL), simulate(**SMALL, **{option: value})
    np.testing.assert_array_equal(before.layers["true"], after.layers["true"])
    assert (before.X != after.X).nnz > 0


def test_masters_alone_give_every_target_its_planted_direction():
    # With masters only, no indirect path can turn the effect of a knock-down round.
    adata = simulate(
        n_cells=1000,
        n_genes=120,
        n_tfs=8,
        n_masters=8,
        n_cell_types=4,
        intrinsic_noise=0,
        knockdowns=[f"TF{i}" for i in range(1, 9)],
        seed=2,
    )
    true = pd.DataFrame(adata.layers["true"], columns=adata.var_names)
    mean = true.groupby([adata.obs["perturbation"].to_numpy(), adata.obs["cell_type"].to_numpy()]).mean()
    planted = signs(adata)
    for tf in planted.index:
        effect = mean.loc[tf] - mean.loc["non-targeting"]
        np.testing.assert_allclose(mean.loc[tf, tf], 0.1 * mean.loc["non-targeting", tf], rtol=1e-5)
        others = planted.columns != tf
        expected = -planted.loc[tf].to_numpy()[others]
        seen = np.sign(np.where(abs(effect) < 1e-5, 0, effect))[:, others]
        np.testing.assert_array_equal(seen, np.broadcast_to(expected, seen.shape))


def test_a_knockdown_reaches_direct_targets_with_the_right_sign_in_a_deep_network():
    adata = simulate(n_cells=2000, n_genes=300, n_tfs=30, n_masters=5, intrinsic_noise=0, knockdowns=20, seed=4)
    true = pd.DataFrame(adata.layers["true"], columns=adata.var_names)
    mean = true.groupby(adata.obs["perturbation"].to_numpy()).mean()
    planted = signs(adata)
    right = []
    for tf in adata.obs["perturbation"].cat.categories[1:]:
        effect = (mean.loc[tf] - mean.loc["non-targeting"]).to_numpy()
        sign = planted.loc[tf].to_numpy()
        right.append((np.sign(effect) == -sign)[sign != 0])
    assert np.concatenate(right).mean() > 0.95


def test_single_regulators_show_in_the_correlation_over_cell_types():
    adata = simulate(
        n_cells=12,
        n_genes=100,
        n_tfs=10,
        n_masters=10,
        n_cell_types=12,
        mean_regulators=1,
        intrinsic_noise=0,
        seed=1,
    )
    rows = adata.uns["reference"]
    rank = pd.DataFrame(adata.layers["true"], columns=adata.var_names).rank().to_numpy()
    source, target = adata.var_names.get_indexer(rows["source"]), adata.var_names.get_indexer(rows["target"])
    correlation = np.array([np.corrcoef(rank[:, s], rank[:, t])[0, 1] for s, t in zip(source, target, strict=True)])
    np.testing.assert_allclose(correlation, rows["sign"], atol=1e-6)


def test_repressors_lower_and_activators_raise_within_a_cell_type_despite_noise():
    adata = simulate(n_cells=3000, n_genes=60, n_tfs=6, n_masters=6, n_cell_types=1, mean_regulators=1, seed=1)
    rows = adata.uns["reference"]
    correlation = pd.DataFrame(adata.layers["true"], columns=adata.var_names).corr()
    seen = np.array([correlation.loc[s, t] for s, t in zip(rows["source"], rows["target"], strict=True)])
    assert (np.sign(seen) == rows["sign"]).all()


def test_intrinsic_noise_has_the_variance_of_its_equation():
    # A master regulator is an Ornstein-Uhlenbeck process: its variance is q^2 times its mean.
    adata = simulate(n_cells=6000, n_genes=40, n_tfs=30, n_masters=30, n_cell_types=1, intrinsic_noise=0.3, seed=1)
    masters = adata.layers["true"][:, adata.var["is_master"]].astype(float)
    ratio = masters.var(axis=0) / masters.mean(axis=0)
    np.testing.assert_allclose(np.median(ratio), 0.09, rtol=0.03)


def test_knockdowns_are_named_shared_equally_and_keep_what_was_asked():
    adata = simulate(**SMALL, intrinsic_noise=0, knockdowns=["TF2", "TF1"], knockdown_residual=0.25)
    perturbation = adata.obs["perturbation"]
    assert perturbation.cat.categories.tolist() == ["non-targeting", "TF2", "TF1"]
    assert set(pd.crosstab(perturbation, adata.obs["cell_type"]).to_numpy().ravel()) == {33, 34}
    level = adata.to_df("true").groupby([perturbation, adata.obs["cell_type"]], observed=True)["TF1"].mean()
    np.testing.assert_allclose(level["TF1"], 0.25 * level["non-targeting"], rtol=1e-5)
    np.testing.assert_allclose(level["TF2"], level["non-targeting"], rtol=1e-5)
    drawn = simulate(**SMALL, knockdowns=3).obs["perturbation"].cat.categories
    assert len(drawn) == 4
    assert set(drawn[1:]) <= set(simulate(**SMALL).uns["reference"]["source"])


def test_survives_a_file(tmp_path):
    adata = simulate(**SMALL, knockdowns=["TF1"])
    adata.write_h5ad(tmp_path / "set.h5ad")
    back = read_h5ad(tmp_path / "set.h5ad")
    assert back.uns["reference"]["sign"].tolist() == adata.uns["reference"]["sign"].tolist()
    assert back.uns["reference"]["source"].tolist() == adata.uns["reference"]["source"].tolist()
    assert back.uns["simulation"]["n_masters"] == 4
    assert (back.layers["counts"] != adata.layers["counts"]).nnz == 0


def test_a_thousand_genes_and_three_thousand_cells_take_well_under_a_minute():
    start = time.perf_counter()
    adata = simulate()
    assert adata.shape == (3000, 1000)
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_cells": 0}, "n_cells=0: must be at least 1"),
        ({"n_tfs": 90}, "n_tfs=90 regulators do not fit among n_genes=80"),
        ({"n_masters": 13}, "n_masters=13: masters are regulators, and there are n_tfs=12"),
        ({"n_genes": 12, "n_masters": 12}, "every gene is a master regulator"),
        ({"mean_regulators": 0.5}, "mean_regulators=0.5: must be at least 1"),
        ({"repression": 1.5}, "repression=1.5: must be at least 0 and at most 1"),
        ({"strength": (0, 5)}, r"strength\[0\]=0: must be above 0"),
        ({"strength": (5, 1)}, r"strength\[1\]=1: must be at least 5"),
        ({"hill": 0}, "hill=0: must be above 0"),
        ({"intrinsic_noise": -1}, "intrinsic_noise=-1: must be at least 0"),
        ({"library_size": float("nan")}, "library_size=nan: must be above 0"),
        ({"library_size": float("inf")}, "library_size=inf: must be above 0"),
        ({"dropout": 1}, "dropout=1: must be at least 0 and below 1"),
        ({"outliers": -0.1}, "outliers=-0.1: must be at least 0 and at most 1"),
        ({"seed": -1}, "seed=-1: must be at least 0"),
        ({"knockdowns": 13}, "12 regulators with targets; give a number from 1 to 12"),
        ({"knockdowns": 0}, "give a number from 1 to 12"),
        ({"knockdowns": []}, "knockdowns is empty"),
        ({"knockdowns": ["tf1"]}, "'tf1' is not a regulator; they are TF1 to TF12. Did you mean 'TF1'"),
        ({"knockdowns": ["G1"]}, "'G1' is not a regulator"),
        ({"knockdowns": ["TF1", "TF1"]}, "TF1 is named twice"),
        ({"knockdown_residual": 0.2}, "no effect without knockdowns"),
        (
            {"knockdowns": 1, "knockdown_residual": 1.0},
            "knockdown_residual=1.0: must be at least 0 and below 1",
        ),
        ({"n_cells": 8, "knockdowns": 2}, "n_cells=8 cannot fill 3 cell types x 3 perturbations"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        simulate(**{**SMALL, **options})


def test_a_regulator_without_targets_cannot_be_knocked_down():
    adata = simulate(n_cells=20, n_genes=32, n_tfs=30, n_masters=30, mean_regulators=1)
    idle = sorted(set(adata.var_names[adata.var["is_tf"]]) - set(adata.uns["reference"]["source"]))
    with pytest.raises(InputError, match=f"{idle[0]} regulates nothing in the network of this seed"):
        simulate(n_cells=20, n_genes=32, n_tfs=30, n_masters=30, mean_regulators=1, knockdowns=idle[:1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_cells": 10.0}, "n_cells must be a whole number, not 10.0"),
        ({"n_genes": True}, "n_genes must be a whole number, not True"),
        ({"dropout": "0.3"}, "dropout must be a number, not '0.3'"),
        ({"strength": 3}, "strength must be two numbers"),
        ({"knockdowns": "TF1"}, "knockdowns must be a list of regulators, a number or None, not 'TF1'"),
    ],
)
def test_values_of_the_wrong_type_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        simulate(**{**SMALL, **options})
