from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from grn.models import Moments, NoiseChoice, RidgePath, choose_noise, effect
from grn.models.closed_form import NOISE_GRID

REGULATORS = torch.tensor([0, 2, 5, 6])


def data(cells: int = 60, channels: int = 1, genes: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Values (channels x regulators, cells) and standardised expression (cells, genes), correlated, mean 0."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(genes, genes, generator=generator, dtype=torch.float64)
    z = torch.randn(cells, genes, generator=generator, dtype=torch.float64) @ mixing
    z = (z - z.mean(0)) / z.std(0, correction=0)
    values = [z[:, REGULATORS]]
    if channels == 2:
        seen = (z[:, REGULATORS] > 0.3).double()
        values.append((seen - seen.mean(0)) / seen.std(0, correction=0))
    return torch.cat(values, 1).T, z


@pytest.mark.parametrize("noise", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_weights_are_ridge_regressions(channels: int, noise: float) -> None:
    """scikit-learn penalises the sum over cells, so that its alpha is cells x noise^2."""
    values, z = data(channels=channels)
    found = RidgePath(Moments.of(values, z, REGULATORS)).weights(noise)
    assert found.shape == (9, channels, 4)
    for gene in range(9):
        allowed = np.tile(REGULATORS.numpy() != gene, channels)
        ridge = Ridge(alpha=values.shape[1] * noise**2, fit_intercept=False, solver="cholesky", tol=1e-12)
        ridge.fit(values.numpy().T[:, allowed], z[:, gene].numpy())
        expected = np.zeros(channels * 4)
        expected[allowed] = ridge.coef_
        np.testing.assert_allclose(found[gene].flatten().numpy(), expected, rtol=1e-8, atol=1e-10)


def test_more_regulators_than_cells() -> None:
    values, z = data(cells=3)
    found = RidgePath(Moments.of(values, z, REGULATORS)).weights(0.5)
    ridge = Ridge(alpha=3 * 0.25, fit_intercept=False).fit(values.numpy().T, z[:, 1].numpy())
    np.testing.assert_allclose(found[1, 0].numpy(), ridge.coef_, rtol=1e-8)


def test_moments_of_parts_add_up() -> None:
    values, z = data(channels=2)
    whole = Moments.of(values, z, REGULATORS)
    parts = Moments.of(values[:, :17], z[:17], REGULATORS) + Moments.of(values[:, 17:], z[17:], REGULATORS)
    assert (parts.cells, parts.channels) == (60, 2)
    torch.testing.assert_close(parts.values, whole.values)
    torch.testing.assert_close(parts.targets, whole.targets)
    torch.testing.assert_close(RidgePath(parts).weights(0.3), RidgePath(whole).weights(0.3))


def test_moments_are_in_double_precision() -> None:
    values, z = data()
    moments = Moments.of(values.float(), z.float(), REGULATORS)
    assert moments.values.dtype == moments.targets.dtype == torch.float64


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan")])
def test_noise_must_be_positive(noise: float) -> None:
    path = RidgePath(Moments.of(*data(), REGULATORS))
    with pytest.raises(ValueError, match="input noise must be positive, but is"):
        path.weights(noise)


@pytest.mark.parametrize("channels", [1, 2])
def test_effect_is_the_spread_of_a_contribution_with_its_direction(channels: int) -> None:
    values, z = data(channels=channels)
    moments = Moments.of(values, z, REGULATORS)
    weights = torch.randn(9, channels, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = effect(weights, moments.channel_blocks())
    by_channel = values.unflatten(0, (channels, 4))
    for gene in range(9):
        for regulator in range(4):
            contribution = (weights[gene, :, regulator].unsqueeze(1) * by_channel[:, regulator]).sum(0)
            sign = (contribution * by_channel[0, regulator]).mean().sign()
            expected = contribution.square().mean().sqrt() * sign
            torch.testing.assert_close(found[gene, regulator], expected)


def test_effect_of_one_standardised_channel_is_its_weight() -> None:
    moments = Moments.of(*data(), REGULATORS)
    weights = torch.randn(2, 9, 1, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    torch.testing.assert_close(effect(weights, moments.channel_blocks()), weights[:, :, 0])


def test_effect_of_channels_that_oppose_each_other() -> None:
    """Detection pulls harder than level: together they repress, though the level's own weight is positive."""
    block = torch.tensor([[[1.0, 0.8], [0.8, 1.0]]])
    weights = torch.tensor([[[1.0], [-2.0]]])
    torch.testing.assert_close(effect(weights, block), torch.tensor([[-((1 - 3.2 + 4) ** 0.5)]]))


def planted(noise: float, cells: int = 100, seed: int = 0) -> tuple[Moments, Moments]:
    """Moments of two halves: 10 regulators, 40 targets of 2 regulators each and noise.

    Four fifths of each regulator's variance are one factor that all share. Half of the cells tells such regulators
    apart by chance alone, and the less so the less they are trusted: reliability rises steeply with the input noise.
    """
    generator = torch.Generator().manual_seed(seed)
    regulators = torch.randn(cells, 10, generator=generator, dtype=torch.float64)
    regulators = regulators + 2 * torch.randn(cells, 1, generator=generator, dtype=torch.float64)
    weights = torch.zeros(10, 40, dtype=torch.float64)
    for target in range(40):
        weights[torch.randperm(10, generator=generator)[:2], target] = 1.0
    targets = regulators @ weights
    targets = targets + noise * torch.randn(cells, 40, generator=generator, dtype=torch.float64)
    z = torch.cat([regulators, targets], 1)
    z = (z - z.mean(0)) / z.std(0)
    half = cells // 2
    one, other = (Moments.of(part[:, :10].T, part, torch.arange(10)) for part in (z[:half], z[half:]))
    return one, other


def reliability(halves: tuple[Moments, Moments], noise: float) -> float:
    """Spearman-Brown from the cosine, written out anew."""
    first, second = (effect(RidgePath(half).weights(noise), half.channel_blocks()).flatten() for half in halves)
    cosine = float(first @ second / (first @ first * (second @ second)) ** 0.5)
    return 2 * cosine / (1 + cosine)


def test_grid_rises_in_half_decades_of_the_penalty() -> None:
    assert list(NOISE_GRID) == sorted(NOISE_GRID)
    np.testing.assert_allclose(np.diff(np.log10(np.square(NOISE_GRID))), 0.5, atol=2e-3)
    np.testing.assert_allclose([NOISE_GRID[0] ** 2, NOISE_GRID[-1] ** 2], [0.01, 10], rtol=1e-3)


def test_the_smallest_noise_that_is_reliable_enough_is_taken() -> None:
    halves = planted(noise=3.0)
    truth = {noise: reliability(halves, noise) for noise in NOISE_GRID}
    # Between the reliabilities of neighbours in the grid, so that the choice is in its middle.
    target = (truth[NOISE_GRID[2]] + truth[NOISE_GRID[3]]) / 2
    assert max(truth[noise] for noise in NOISE_GRID[:3]) < target < truth[NOISE_GRID[3]]
    choice = choose_noise(*halves, target=target)
    assert choice.noise == NOISE_GRID[3]
    assert list(choice.reliability) == list(NOISE_GRID[:4])
    for noise, found in choice.reliability.items():
        assert found == pytest.approx(truth[noise], abs=1e-9)
    assert choice.reason == f"smallest noise with a reliability of {target:g} between halves of the cells"


def test_the_most_reliable_noise_is_taken_where_none_is_reliable_enough() -> None:
    halves = planted(noise=5.0)
    truth = {noise: reliability(halves, noise) for noise in NOISE_GRID}
    choice = choose_noise(*halves, target=0.9999)
    assert list(choice.reliability) == list(NOISE_GRID)
    assert choice.noise == max(truth, key=lambda noise: truth[noise])
    assert choice.reason.startswith("no noise reaches a reliability of 0.9999")
    assert isinstance(choice, NoiseChoice)


def test_cleaner_data_take_less_noise() -> None:
    clean, noisy = choose_noise(*planted(noise=0.2)), choose_noise(*planted(noise=4.0))
    assert clean.noise < noisy.noise
    assert clean.reliability[clean.noise] >= 0.9


def test_halves_that_disagree_have_no_reliability() -> None:
    half, _ = planted(noise=0.5)
    opposite = Moments(half.values, half.targets.clone(), half.cells, half.regulators)
    opposite.targets[:, 10:] *= -3
    assert set(choose_noise(half, opposite).reliability.values()) == {0.0}
