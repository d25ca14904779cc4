from __future__ import annotations

import numpy as np
import pytest

from grn.data.simulator.kinetics import DECAY, Conditions, master_rates, simulate_cells
from grn.data.simulator.random_network import PlantedNetwork

CHAIN = PlantedNetwork(np.array([[0, 2.0, 0], [0, 0, -3.0]], dtype=np.float32), masters=1)
RATES = np.array([[0.8, 2.4]])


def cells(network, conditions, types, states, *, hill=2.0, noise=0.0, seed=0):
    return simulate_cells(
        network,
        conditions,
        np.asarray(types),
        np.asarray(states),
        hill=hill,
        noise=noise,
        seed=np.random.SeedSequence(seed),
    )


def test_steady_state_of_a_chain_by_hand():
    x = cells(CHAIN, Conditions(RATES, np.array([-1]), 0.1), [0, 1], [0, 0])
    first = np.array([1.0, 3.0])  # rate / decay; the half-response is their mean, 2
    second = 2.0 * first**2 / (4 + first**2) / DECAY
    half = second.mean()
    third = 3.0 * half**2 / (half**2 + second**2) / DECAY
    np.testing.assert_allclose(x, np.stack([first, second, third], axis=1), rtol=1e-6)


def test_a_knockdown_keeps_the_half_responses_of_the_wild_type():
    conditions = Conditions(RATES, np.array([-1, 0]), 0.5)
    x = cells(CHAIN, conditions, [0, 0, 1], [0, 1, 0])
    wild = cells(CHAIN, Conditions(RATES, np.array([-1]), 0.5), [0, 1], [0, 0])
    np.testing.assert_array_equal(x[[0, 2]], wild)
    assert x[1, 0] == pytest.approx(0.5)
    assert x[1, 1] == pytest.approx(2.0 * 0.25 / 4.25 / DECAY)


def test_noise_leaves_the_mean_of_a_master_and_blocks_do_not_matter():
    conditions = Conditions(RATES, np.array([-1]), 0.1)
    many = cells(CHAIN, conditions, [1] * 4000, [0] * 4000, noise=0.5, seed=1)
    assert many[:, 0].mean() == pytest.approx(3.0, rel=0.02)
    assert many[:, 0].var() == pytest.approx(0.25 * 3.0, rel=0.1)
    fewer = cells(CHAIN, conditions, [1] * 1024, [0] * 1024, noise=0.5, seed=1)
    np.testing.assert_array_equal(fewer, many[:1024])


@pytest.mark.parametrize("hill", [0.5, 40.0])
def test_extreme_hill_coefficients_stay_finite(hill):
    rates = np.array([[0.2, 4.0]])
    x = cells(CHAIN, Conditions(rates, np.array([-1, 0]), 0.0), [0, 1, 0, 1], [0, 0, 1, 1], hill=hill, noise=1.0)
    assert np.isfinite(x).all()


def test_every_master_is_high_in_one_type_and_low_in_another():
    for types in (2, 5):
        rates = master_rates(np.random.default_rng(0), 50, types)
        assert rates.shape == (50, types)
        assert (rates.max(axis=1) > 2).all()
        assert (rates.min(axis=1) < 2).all()
        assert rates.min() >= 0.2
        assert rates.max() <= 4.0
    assert master_rates(np.random.default_rng(0), 3, 1).shape == (3, 1)
