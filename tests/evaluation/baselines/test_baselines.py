"""What all methods have in common, each of the registry put through the same."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from grn._errors import InputError
from grn.evaluation.baselines import BASELINES, find
from grn.evaluation.baselines.baseline import standardise, target_by_target

# The published sizes of the forests would take minutes.
SMALL = {"genie3": {"trees": 20}, "grnboost2": {"rounds": 60}}
SCORES = {name: partial(one.score, **SMALL.get(name, {})) for name, one in BASELINES.items()}
every_method = pytest.mark.parametrize("name", BASELINES)


@every_method
def test_planted_regulators_are_found(planted, name):
    found = SCORES[name](planted.x, planted.regulators, seed=0)
    targets = np.setdiff1d(np.arange(planted.x.shape[1]), planted.regulators)
    truth, scores = planted.truth[:, targets], found[:, targets]
    # Weights that cannot be negative find activation alone.
    judged = truth >= 0 if name == "softmax_attention" else np.ones_like(truth, dtype=bool)
    assert roc_auc_score(truth[judged] != 0, np.abs(scores)[judged]) > 0.95
    if BASELINES[name].signed:
        assert (np.sign(scores) == np.sign(truth))[truth != 0].all()
    else:
        assert (found >= 0).all()


@every_method
def test_shape_self_and_genes_that_never_vary(expression, name):
    x, regulators, _ = expression
    before = x.copy()
    scores = SCORES[name](x, regulators, seed=0)
    assert scores.shape == (4, 12)
    assert np.isfinite(scores).all()
    assert scores[np.arange(4), regulators].tolist() == [0, 0, 0, 0]
    assert not scores[:, 5].any()
    assert not scores[2].any()
    assert scores.any()
    assert np.array_equal(x, before)


@every_method
def test_rows_are_regulators_in_the_order_given(expression, name):
    """Turning the genes round turns the scores with them; what is drawn at random is drawn anew."""
    if BASELINES[name].seeded and name != "closed_form":
        pytest.skip("other random numbers for other positions")
    x, regulators, _ = expression
    turned = SCORES[name](x[:, ::-1], 11 - regulators[::-1], seed=0)
    np.testing.assert_allclose(turned[::-1, ::-1], SCORES[name](x, regulators, seed=0), rtol=1e-4, atol=1e-6)


@every_method
def test_the_seed_decides_where_it_should(planted, name):
    first, again, other = (SCORES[name](planted.x, planted.regulators, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    if not BASELINES[name].seeded:
        assert np.array_equal(first, other)
    elif name not in ("closed_form", "elastic_net"):  # theirs are choices, which these clear data leave the same
        assert not np.array_equal(first, other)


def test_seeds_choose_halves_and_folds():
    random = np.random.default_rng(3)
    x = random.normal(size=(40, 12)) @ random.normal(size=(12, 12))
    for name in ("closed_form", "elastic_net"):
        found = [BASELINES[name].score(x, np.arange(6), seed=seed) for seed in range(6)]
        assert any(not np.array_equal(found[0], one) for one in found[1:]), name


def test_records_are_complete():
    for name, one in BASELINES.items():
        assert one.name == name
        assert one.source
        assert one.summary
        assert not one.summary.endswith(".")


def test_unknown_names_have_near_misses():
    with pytest.raises(InputError, match=r"Unknown method 'genie'; choose one of pearson.*Did you mean 'genie3'"):
        find("genie")
    assert find("clr") is BASELINES["clr"]


def test_standardise():
    x = np.array([[1.0, 7.0], [3.0, 7.0]], dtype=np.float32)
    assert standardise(x).tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_a_target_sees_only_the_other_regulators(expression):
    x, regulators, _ = expression

    def fit(inputs: np.ndarray, target: np.ndarray, seed: int) -> np.ndarray:
        assert not any(np.array_equal(column, target) for column in inputs.T)
        return np.full(inputs.shape[1], float(seed))

    scores = target_by_target(fit, x, regulators, 0)
    columns = [set(column[column != 0]) for column in scores.T]
    assert [len(column) for column in columns] == [1] * 5 + [0] + [1] * 6
    assert len(set.union(*columns)) == 11  # each with a seed of its own
