import logging

import anndata
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.data import check
from grn.evaluation.baselines import BASELINES
from grn.evaluation.baselines.network import baseline_network, method_weights


def data(x, regulators, groups=None, batches=None):
    names = [f"G{number}" for number in range(x.shape[1])]
    adata = anndata.AnnData(x.astype(np.float32), var=pd.DataFrame(index=names))
    adata.obs_names = [f"cell{number}" for number in range(len(x))]
    if groups is not None:
        adata.obs["type"] = pd.Categorical(groups)
    adata.obs["plate"] = "one" if batches is None else pd.Categorical(batches)
    tf = [names[position] for position in regulators]
    columns = {"group_by": None if groups is None else "type", "batch_key": None if batches is None else "plate"}
    return check(adata, tf=tf, allow_negative=True, **columns)


def of(name, checked, seed=0, readout="effect"):
    return baseline_network(BASELINES[name], checked, seed=seed, readout=readout, params={"tf": "given"})


def test_scores_become_weights(planted):
    network = of("pearson", data(planted.x, planted.regulators))
    expected = BASELINES["pearson"].score(planted.x.astype(np.float32), planted.regulators)
    np.testing.assert_allclose(network.matrix().to_numpy(), expected, atol=1e-6)
    assert network.params == {"tf": "given", "method": "pearson", "signed": True, "seed": 0, "readout": "effect"}
    assert set(network.edges["sign"]) == {-1, 1}


def test_importances_have_no_signs(planted):
    method = BASELINES["genie3"]
    small = type(method)(**{**vars(method), "score": lambda x, regulators, seed=0: np.ones((5, 20))})
    network = baseline_network(small, data(planted.x, planted.regulators), seed=0, readout="effect", params={})
    assert set(network.edges["sign"]) == {0}
    assert not network.signed
    assert network.params["signed"] is False


def test_the_spherical_readout_divides_each_target(planted):
    checked = data(planted.x, planted.regulators)
    plain, sphere = (of("pearson", checked, readout=name).matrix().to_numpy() for name in ("effect", "sphere"))
    squared = (plain**2).sum(0)
    np.testing.assert_allclose(sphere, plain / np.sqrt(squared + squared.mean()), rtol=1e-5)


def test_by_default_scores_are_as_they_are(planted):
    checked = data(planted.x, planted.regulators)
    automatic, plain = (of("pearson", checked, readout=name) for name in ("auto", "effect"))
    np.testing.assert_array_equal(automatic.matrix(), plain.matrix())
    assert automatic.params["readout"] == "effect"  # what was done


def test_groups_are_scored_on_their_own_cells(planted):
    groups = np.where(np.arange(len(planted.x)) % 2, "odd", "even")
    network = of("spearman", data(planted.x, planted.regulators, groups))
    assert network.groups == ["even", "odd"]
    alone = of("spearman", data(planted.x[1::2], planted.regulators))
    np.testing.assert_array_equal(network.matrix("odd"), alone.matrix())


def test_small_groups_are_refused(planted):
    groups = np.where(np.arange(len(planted.x)) < 7, "few", "many")
    with pytest.raises(InputError, match=r"1 groups have fewer than 10 cells: 'few' \(7\)"):
        of("pearson", data(planted.x, planted.regulators, groups))


def test_a_seed_without_use_is_mentioned(planted, caplog):
    with caplog.at_level(logging.INFO, logger="grn"):
        of("pearson", data(planted.x, planted.regulators), seed=4)
    assert "pearson draws no random numbers" in caplog.text


def test_with_batches_genes_are_measured_from_their_means(planted):
    """Over all cells of a batch, also where groups are scored apart."""
    random = np.random.default_rng(4)
    batches = random.permutation(np.repeat(["p", "q", "r"], [150, 70, 30]))
    groups = np.where(random.random(250) < 0.4, "few", "many")
    shifts = pd.DataFrame(random.normal(size=(3, 20)) * 3, index=["p", "q", "r"])
    shifted = planted.x + shifts.loc[batches].to_numpy()
    centred = shifted - pd.DataFrame(shifted).groupby(batches).transform("mean").to_numpy()
    expected = BASELINES["pearson"].score(centred, planted.regulators)
    found = of("pearson", data(shifted, planted.regulators, batches=batches))
    np.testing.assert_allclose(found.matrix(), expected, atol=1e-5)
    np.testing.assert_allclose(
        of("pearson", data(planted.x, planted.regulators, batches=batches)).matrix(), expected, atol=1e-5
    )
    assert not np.allclose(of("pearson", data(shifted, planted.regulators)).matrix(), expected, atol=0.3)
    grouped = of("pearson", data(shifted, planted.regulators, groups, batches))
    for name in ("few", "many"):
        own = BASELINES["pearson"].score(centred[groups == name], planted.regulators)
        np.testing.assert_allclose(grouped.matrix(name), own, atol=1e-5)


def test_weights_are_those_of_the_network(planted):
    groups = np.where(np.arange(250) % 2, "odd", "even")
    checked = data(planted.x, planted.regulators, groups)
    for readout in ("auto", "sphere"):
        network = of("ridge", checked, readout=readout)
        weights = method_weights(BASELINES["ridge"], checked, seed=0, readout=readout)
        assert weights.shape == (2, 5, 20)
        for one, name in zip(weights, ("even", "odd"), strict=True):
            np.testing.assert_allclose(network.matrix(name), one, rtol=1e-6)
    whole = data(planted.x, planted.regulators)
    assert method_weights(BASELINES["ridge"], whole, seed=0, readout="effect").shape == (1, 5, 20)
