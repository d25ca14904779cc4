"""Confidence: halves of the cells, what counts as found again, and the columns of a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import grn
from grn._errors import InputError
from grn.config import compose, plain_config
from grn.data import CheckedData, check
from grn.network import GeneNetwork
from grn.network.confidence import add_confidence
from grn.network.stability import _half, stability, subset
from grn.pipeline.confidence import refit_of, refuse_confidence, with_confidence


@pytest.fixture
def data() -> CheckedData:
    adata = AnnData(np.random.default_rng(0).poisson(2.0, (60, 30)).astype(np.float32))
    adata.obs["kind"] = pd.Categorical(["a", "b"] * 30)
    adata.var_names = [f"g{position}" for position in range(30)]
    return check(adata, tf=list(adata.var_names[:5]), group_by="kind")


def test_confidence_counts_halves_with_the_sign_among_the_strongest(data: CheckedData) -> None:
    weights = np.random.default_rng(1).standard_normal((2, 5, 30)).astype(np.float32)
    calls: list[CheckedData] = []

    def refit(half: CheckedData) -> np.ndarray:
        calls.append(half)
        again = weights.copy()
        if len(calls) % 2:
            again[:, 0] *= -1  # regulator 0 changes its sign in every other half
        return again

    found = stability(data, weights, refit, resamples=4, seed=0)
    strongest = np.abs(weights) >= np.sort(np.abs(weights).reshape(2, -1))[:, [-15], None]  # a tenth of 150 pairs
    np.testing.assert_array_equal(found[:, 1:], strongest[:, 1:])
    np.testing.assert_array_equal(found[:, 0], 0.5 * strongest[:, 0])
    assert [len(half.cells) for half in calls] == [30] * 4
    for one, other in zip(calls[::2], calls[1::2], strict=True):
        assert set(one.cells) | set(other.cells) == set(data.cells)
        assert not set(one.cells) & set(other.cells)
        assert dict(one.groups.value_counts()) == {"a": 15, "b": 15}  # type: ignore[union-attr]


def test_an_edge_that_is_not_there_is_not_found_again(data: CheckedData) -> None:
    nothing = np.zeros((2, 5, 30), dtype=np.float32)
    assert not stability(data, nothing, lambda half: nothing, resamples=2).any()


@pytest.mark.parametrize("resamples", [0, 1, 3])
def test_halves_come_in_pairs(data: CheckedData, resamples: int) -> None:
    with pytest.raises(InputError, match="come in pairs"):
        stability(data, np.zeros((2, 5, 30)), lambda half: np.zeros((2, 5, 30)), resamples=resamples)


def test_few_cells_make_no_halves(data: CheckedData) -> None:
    with pytest.raises(InputError, match="needs 20 cells"):
        stability(subset(data, np.arange(12)), np.zeros((2, 5, 30)), lambda half: np.zeros((2, 5, 30)))


def test_halves_are_equal_within_strata() -> None:
    codes = np.array([0] * 7 + [1] * 4 + [2])
    first = _half(codes, np.random.default_rng(0))
    assert len(np.unique(first)) == len(first)
    counts = np.bincount(codes[first], minlength=3)
    assert abs(counts[0] - 3.5) == 0.5
    assert counts[1] == 2


def config(*overrides: str) -> dict:
    return plain_config(compose("train", ["confidence=default", *overrides]))


def test_edges_of_a_planted_network_are_found_again_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 40))
    truth = np.zeros((10, 40), dtype=bool)
    for target in range(10, 40):
        sources = rng.choice(10, 2, replace=False)
        truth[sources, target] = True
        x[:, target] += x[:, sources] @ np.array([1.0, -1.0])
    adata = AnnData(x.astype(np.float32))
    adata.var_names = [f"g{position}" for position in range(40)]
    data = check(adata, tf=list(adata.var_names[:10]), allow_negative=True)
    settings = config()
    weights = refit_of(settings)(data)
    network = GeneNetwork.from_matrix(weights[0], data.tf_names, list(data.genes))
    edges = with_confidence(network, data, settings).edges
    right = truth[
        pd.Index(data.tf_names).get_indexer(edges["source"]), pd.Index(data.genes).get_indexer(edges["target"])
    ]
    assert edges["confidence"].between(0, 1).all()
    assert edges.loc[right, "confidence"].mean() > 0.6
    assert edges.loc[~right, "confidence"].mean() < 0.05
    assert edges.loc[right, "qvalue"].median() < 0.01
    assert (edges.loc[edges["qvalue"] <= 0.1].index.isin(np.flatnonzero(right))).mean() > 0.8


def test_columns_stand_by_their_edges_in_every_group(data: CheckedData) -> None:
    weights = np.random.default_rng(2).standard_normal((2, 5, 30)).astype(np.float32)
    by_group = dict(zip(data.groups.categories, weights, strict=True))  # type: ignore[union-attr]
    network = GeneNetwork.from_matrix(by_group, data.tf_names, list(data.genes))
    found = add_confidence(network, data, lambda half: weights, resamples=2, permutations=2)
    assert list(found.edges.columns[-4:]) == ["confidence", "pvalue", "qvalue", "group"]
    for name, values in by_group.items():
        table = found.of_group(name).edges
        assert table.loc[table["confidence"] == 1, "weight"].abs().min() >= np.sort(np.abs(values).ravel())[-16]
    assert found.params["confidence"] == {"resamples": 2, "permutations": 2, "cells": 10_000, "seed": 0}


def test_other_data_are_refused(data: CheckedData) -> None:
    network = GeneNetwork.from_matrix(np.ones((5, 30)), data.tf_names, list(data.genes))
    other = replace(data, genes=data.genes[::-1])
    with pytest.raises(InputError, match="other genes or regulators"):
        add_confidence(network, other, lambda half: np.zeros((2, 5, 30)))
    grouped = GeneNetwork.from_matrix({"z": np.ones((5, 30))}, data.tf_names, list(data.genes))
    with pytest.raises(InputError, match="same group_by"):
        add_confidence(grouped, data, lambda half: np.zeros((2, 5, 30)))


@pytest.mark.parametrize("model", ["transformer", "regulatory"])
def test_models_that_need_training_are_refused(model: str) -> None:
    more = ["model.attention=softmax", "training=scratch"] if model == "regulatory" else []
    with pytest.raises(InputError, match="long training"):
        refit_of(config(f"model={model}", *more))


@pytest.mark.slow
def test_edges_of_a_simulated_network_can_be_certain() -> None:
    adata = grn.datasets.simulated(n_cells=200, n_genes=120, n_tfs=40, n_masters=10, seed=0)
    data = check(adata, tf=list(adata.var_names[:40]))
    settings = config()
    weights = refit_of(settings)(data)
    network = GeneNetwork.from_matrix(weights[0], data.tf_names, list(data.genes))
    edges = with_confidence(network, data, settings).edges
    assert edges["confidence"].max() == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [("resamples=3", "come in pairs"), ("permutations=0", "at least 1"), ("cells=5", "20 cells or more")],
)
def test_settings_are_refused_before_training(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        refuse_confidence(config(f"confidence.{setting}"))
