"""The keep mask: a function of place and seed alone, fair, and without structure along rows, columns or heads."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from grn.kernels.dropout import keep_mask, new_seed, threshold

SEED = torch.tensor([123456789])


def mask(p: float, batch_heads: int = 4, n: int = 200, m: int = 200, seed: Tensor = SEED) -> Tensor:
    return keep_mask(seed, torch.arange(batch_heads), torch.arange(n), torch.arange(m), p)


def test_known_bits() -> None:
    """Written down once with Python integers: a run that is resumed elsewhere drops the same pairs."""

    def mix(x: int) -> int:
        x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
        x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
        return x ^ (x >> 16)

    seed = -3 * 2**40 + 17
    key = mix((seed % 2**32) ^ mix((seed >> 32) % 2**32))
    expected = [
        [
            [mix(mix((mix((key + b) % 2**32) + i) % 2**32) ^ mix(j)) >= 0.3 * 2**32 for j in (0, 5, 2**31 - 1)]
            for i in (7, 8)
        ]
        for b in (0, 2**20)
    ]
    found = keep_mask(
        torch.tensor([seed]), torch.tensor([0, 2**20]), torch.tensor([7, 8]), torch.tensor([0, 5, 2**31 - 1]), 0.3
    )
    assert found.tolist() == expected


def test_a_part_of_the_mask_is_the_mask_of_the_part() -> None:
    part = keep_mask(SEED, torch.tensor([2]), torch.arange(30, 70), torch.arange(100, 150), 0.4)
    assert torch.equal(part[0], mask(0.4)[2, 30:70, 100:150])


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_share_kept(p: float) -> None:
    """Within five standard deviations, over all pairs and over each row, column and head."""
    kept = mask(p).double()
    for axes in ((0, 1, 2), (0, 1), (0, 2), (1, 2)):
        share = kept.mean(axes)
        sigma = math.sqrt(p * (1 - p) * share.numel() / kept.numel())
        assert float((share - (1 - p)).abs().max()) <= 5 * sigma, axes


@pytest.mark.parametrize("shift", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 1, -1), (0, 2, 0), (0, 0, 16)])
def test_neighbours_are_independent(shift: tuple[int, int, int]) -> None:
    centred = mask(0.5).double() - 0.5
    moved = centred.roll(shift, (0, 1, 2))
    assert abs(float((centred * moved).mean()) * 4) <= 5 / math.sqrt(centred.numel())


def test_neighbouring_seeds_are_independent() -> None:
    one, other = (mask(0.5, seed=torch.tensor([seed])).double() - 0.5 for seed in (1, 2))
    assert abs(float((one * other).mean()) * 4) <= 5 / math.sqrt(one.numel())
    high = mask(0.5, seed=torch.tensor([1 + 2**32])).double() - 0.5
    assert abs(float((one * high).mean()) * 4) <= 5 / math.sqrt(one.numel())


def test_rows_differ() -> None:
    """Counters that only add up would repeat a row, shifted, as another one."""
    rows = mask(0.5, batch_heads=1, n=64, m=256)[0].double() - 0.5
    spectrum = torch.fft.rfft(rows)
    # Circular cross-correlations of all pairs of rows, at every shift, relative to a row with itself.
    correlation = torch.fft.irfft(spectrum[:, None] * spectrum[None].conj(), n=256) * 4 / 256
    correlation[torch.arange(64), torch.arange(64), 0] = 0
    assert float(correlation.abs().max()) < 0.45


def test_threshold() -> None:
    assert threshold(0.0) == 0
    assert threshold(0.5) == 2**31
    assert threshold(1 - 1e-12) == 2**32 - 1


def test_seeds_follow_the_generator() -> None:
    torch.manual_seed(1)
    first, second = new_seed(torch.device("cpu")), new_seed(torch.device("cpu"))
    assert first.dtype == torch.int64
    assert first.shape == (1,)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(new_seed(torch.device("cpu")), first)
