from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from grn._errors import InputError
from grn.evaluation import metrics


def cases():
    rng = np.random.default_rng(0)
    for size in (5, 40, 1001):
        truth = rng.random(size) < 0.3
        truth[:2] = True, False
        yield truth, rng.normal(size=size)
        yield truth, rng.integers(0, 4, size).astype(float)  # many ties
        yield truth, np.where(rng.random(size) < 0.7, 0.0, rng.normal(size=size))


@pytest.mark.parametrize(("truth", "scores"), [*cases()])
def test_agrees_with_scikit_learn_also_with_ties(truth, scores):
    assert metrics.average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores))
    assert metrics.auroc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_by_hand():
    # Ranks of the true ones: 1, 3. Precisions: 1/1 and 2/3.
    truth, scores = np.array([1, 0, 1, 0, 0], bool), np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    assert metrics.average_precision(truth, scores) == pytest.approx((1 + 2 / 3) / 2)
    # The first beats 3 false ones, the second 2 of 3.
    assert metrics.auroc(truth, scores) == pytest.approx(5 / 6)
    # One of the best two is true; the share of true ones is 2/5.
    assert metrics.early_precision(truth, scores) == pytest.approx(1 / 2)
    assert metrics.early_precision_ratio(truth, scores) == pytest.approx(1 / 2 / (2 / 5))


def test_a_network_that_says_nothing_has_the_value_of_chance():
    truth = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0], bool)
    same = np.zeros(10)
    assert metrics.average_precision(truth, same) == pytest.approx(0.2)
    assert metrics.auroc(truth, same) == pytest.approx(0.5)
    assert metrics.early_precision_ratio(truth, same) == pytest.approx(1)


@pytest.mark.parametrize(
    ("truth", "scores"),
    [([1, 0, 1, 0, 0, 1], [3, 2, 2, 2, 1, 1]), ([0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0]), ([1, 0], [0, 0])],
)
def test_early_precision_is_the_mean_over_all_orders_of_ties(truth, scores):
    truth, scores = np.array(truth, bool), np.array(scores, float)
    k = truth.sum()
    values = [
        truth[list(order)][:k].mean()
        for order in permutations(range(len(truth)))
        if (np.diff(scores[list(order)]) <= 0).all()
    ]
    assert metrics.early_precision(truth, scores) == pytest.approx(np.mean(values))


def test_extremes():
    truth = np.array([1, 1, 0, 0], bool)
    assert metrics.average_precision(truth, -np.arange(4.0)) == 1
    assert metrics.auroc(truth, -np.arange(4.0)) == 1
    assert metrics.auroc(truth, np.arange(4.0)) == 0
    assert metrics.early_precision(truth, np.arange(4.0)) == 0


def test_undefined_values_are_nan():
    none, all_ = np.zeros(3, bool), np.ones(3, bool)
    scores = np.arange(3.0)
    for function in (
        metrics.average_precision,
        metrics.auroc,
        metrics.early_precision,
        metrics.early_precision_ratio,
    ):
        assert np.isnan(function(none, scores))
    assert np.isnan(metrics.auroc(all_, scores))
    assert metrics.average_precision(all_, scores) == 1


def test_signed_early_precision_by_hand():
    signs = np.array([1, 1, -1, 0, 0, 0])
    weights = np.array([2.0, -3.0, -1.0, 1.0, 0.0, 0.0])
    # Activation: k = 2, the best by +weight are 0 (true) and 3 (false): 1/2 over a density of 2/6.
    # Repression: k = 1, the best by -weight is 1 (false).
    signed, activation, repression = metrics.signed_early_precision_ratio(signs, weights)
    assert activation == pytest.approx(1.5)
    assert repression == 0
    assert signed == pytest.approx((2 * 1.5 + 1 * 0) / 3)


def test_signed_early_precision_of_one_sign_or_none():
    weights = np.array([1.0, 0.5, -0.5])
    signed, activation, repression = metrics.signed_early_precision_ratio(np.array([1, 0, 0]), weights)
    assert signed == activation == pytest.approx(3)
    assert np.isnan(repression)
    assert np.isnan(metrics.signed_early_precision_ratio(np.zeros(3, int), weights)).all()


def test_sign_accuracy_by_hand():
    signs = np.array([1, 1, 1, -1, 0, 1])
    weights = np.array([0.5, -0.5, 2.0, -1.0, 3.0, 0.0])
    accuracy, majority, edges = metrics.sign_accuracy(signs, weights)
    assert (accuracy, majority, edges) == (0.75, 0.75, 4)
    accuracy, majority, edges = metrics.sign_accuracy(np.zeros(6), weights)
    assert np.isnan(accuracy)
    assert np.isnan(majority)
    assert edges == 0


def test_auroc_by_target_is_a_mean_over_columns():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    scores = np.array([[3.0, 1.0, 1.0], [2.0, 2.0, 1.0], [1.0, 3.0, 1.0]])
    mask = np.ones((3, 3), bool)
    assert metrics.auroc_by_target(truth, scores, mask) == pytest.approx((1.0 + 0.5) / 2)
    mask[2, 1] = False  # the candidate that beat the true one
    assert metrics.auroc_by_target(truth, scores, mask) == pytest.approx(1.0)
    assert np.isnan(metrics.auroc_by_target(np.zeros((3, 3), bool), scores, mask))


def test_auroc_by_target_gives_nothing_for_knowing_the_targets():
    rng = np.random.default_rng(0)
    truth = rng.random((30, 20)) < np.linspace(0.05, 0.9, 20)
    in_degree = np.tile(truth.sum(axis=0), (30, 1)).astype(float)
    assert metrics.auroc(truth.ravel(), in_degree.ravel()) > 0.7
    assert metrics.auroc_by_target(truth, in_degree, np.ones_like(truth)) == pytest.approx(0.5)


def test_bad_arrays_are_refused():
    with pytest.raises(InputError, match="one value of each per candidate"):
        metrics.auroc(np.ones(2, bool), np.ones(3))
    with pytest.raises(InputError, match="1 scores are NaN"):
        metrics.average_precision(np.ones(2, bool), np.array([1, np.nan]))


def test_sign_auroc_by_hand_and_with_scikit_learn():
    signs = np.array([1, 1, -1, -1, 0, 1])
    weights = np.array([0.5, -0.2, -0.3, 0.1, 9.0, 0.0])
    # Pairs of an activating and a repressing edge in order: 0.5 beats both, -0.2 one, 0.0 one.
    assert metrics.sign_auroc(signs, weights) == pytest.approx(4 / 6)
    known = signs != 0
    assert metrics.sign_auroc(signs, weights) == pytest.approx(roc_auc_score(signs[known] > 0, weights[known]))
    # A shift of all weights changes which signs are right, but not their order.
    assert metrics.sign_auroc(signs, weights + 5) == metrics.sign_auroc(signs, weights)
    assert np.isnan(metrics.sign_auroc(np.abs(signs), weights))
    assert metrics.sign_auroc(signs, np.zeros(6)) == 0.5


def test_levelled_targets_by_hand():
    scores = np.array([[1.0, 8.0, 0.0], [3.0, 4.0, 0.0], [5.0, 0.0, 0.0]])
    mask = np.array([[True, True, True], [True, True, True], [False, True, True]])
    expected = [[1 / 2, 2.0, 0.0], [3 / 2, 1.0, 0.0], [5 / 2, 0.0, 0.0]]
    np.testing.assert_allclose(metrics.level_targets(scores, mask), expected)


def test_levelling_takes_what_popularity_gave():
    rng = np.random.default_rng(0)
    truth = rng.random((30, 40)) < np.linspace(0.02, 0.8, 40)
    popularity = np.tile(truth.sum(axis=0), (30, 1)).astype(float)
    mask = np.ones_like(truth)
    assert metrics.average_precision(truth.ravel(), popularity.ravel()) > 1.3 * truth.mean()
    levelled = metrics.level_targets(popularity, mask)
    assert metrics.average_precision(truth.ravel(), levelled.ravel()) == pytest.approx(truth.mean())
