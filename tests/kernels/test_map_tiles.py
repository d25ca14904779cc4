"""The two functions that the Triton kernels of maps share; most is tested through `attention_maps`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from grn.kernels.map_tiles import accumulate, accumulate_top

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
ORDER, OFFSETS = torch.tensor([2, 0, 1]), torch.tensor([0, 1, 1, 3])
NAMES = ("mean", "abs", "square")


def test_groups_are_runs_of_the_order(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=3)
    norm = torch.rand(3, 2, 5, dtype=torch.float64)
    rows = (q @ k.mT) * norm.unsqueeze(-1)
    found = accumulate(q, k, norm, ORDER, OFFSETS, own=None, statistics=NAMES)
    expected = torch.stack([rows[2], torch.zeros_like(rows[0]), rows[:2].mean(0)])
    torch.testing.assert_close(found["mean"], expected, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(found["abs"][2], rows[:2].abs().mean(0), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(found["square"][2], rows[:2].square().mean(0), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("statistics", [NAMES, ("square",)], ids=str)
def test_own_key_is_zero_and_not_among_the_strongest(statistics: tuple[str, ...], inputs: Inputs) -> None:
    q, k, _ = inputs(batch=3)
    norm = torch.ones(3, 2, 5, dtype=torch.float64)
    own = torch.tensor([3, -1, 0, 0, 5], dtype=torch.int32)
    plain = accumulate(q, k, norm, ORDER, OFFSETS, own=None, statistics=("mean", *statistics))
    for values in plain.values():
        for i, j in enumerate(own.tolist()):
            if j >= 0:
                values[:, :, i, j] = 0
    found = accumulate(q, k, norm, ORDER, OFFSETS, own=own, statistics=statistics)
    keys, top = accumulate_top(q, k, norm, ORDER, OFFSETS, own=own, statistics=statistics, top_k=4)
    order = plain["mean"].abs().argsort(-1, descending=True)[..., :4]
    assert torch.equal(keys[[0, 2]], order[[0, 2]])  # group 1 has no cells
    assert set(found) == set(top) == set(statistics)
    for name in statistics:
        torch.testing.assert_close(found[name], plain[name], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(top[name], plain[name].gather(-1, keys), rtol=1e-13, atol=1e-13)
