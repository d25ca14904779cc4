"""Mean maps against maps written out cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from grn.kernels import attention_maps, spherical_attention

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
PAIRS = (torch.tensor([0, 3, 3]), torch.tensor([1, 0, 5]))


@pytest.mark.parametrize("sink", [None, torch.tensor([0.5, 1.0, 0.0, 2.0, 0.1], dtype=torch.float64)])
@pytest.mark.parametrize("exclude", [None, PAIRS])
@pytest.mark.parametrize("groups", [None, [0, 0, 3, 1, 3, 0]], ids=["one", "empty in the middle"])
def test_mean_of_maps_written_out(
    sink: Tensor | None,
    exclude: tuple[Tensor, Tensor] | None,
    groups: list[int] | None,
    inputs: Inputs,
    definition: Callable[..., Any],
) -> None:
    q, k, _ = inputs(batch=6)
    rows, _ = definition(q, k, sink=sink, exclude=exclude, eps=1e-3)
    cells = torch.tensor(groups or [0] * 6)
    expected = [
        rows[cells == group].mean(0) if bool((cells == group).any()) else torch.zeros_like(rows[0])
        for group in range(int(cells.max()) + 1)
    ]
    found = attention_maps(q, k, groups=None if groups is None else cells, exclude=exclude, sink=sink, eps=1e-3)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=1e-12)
    if groups is not None:
        assert found.shape[0] == 4
        assert not found[2].any()


def test_excluded_pairs_are_exactly_zero(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=3, dtype=torch.float32)
    assert not attention_maps(q, k, exclude=PAIRS)[..., PAIRS[0], PAIRS[1]].any()


def test_keys_and_queries_that_cells_share(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=4)
    shared = k[:1].expand(4, -1, -1, -1)
    torch.testing.assert_close(attention_maps(q, shared), attention_maps(q, shared.contiguous()))
    both = attention_maps(q[:1].expand(4, -1, -1, -1), shared)
    torch.testing.assert_close(both, attention_maps(q[:1], k[:1]))


def test_map_times_values_is_the_attention(inputs: Inputs) -> None:
    """With one cell, the map and the two forms of the attention are one and the same."""
    q, k, v = inputs(batch=1)
    sink = torch.full((5,), 0.3, dtype=torch.float64)
    output = spherical_attention(q, k, v, sink=sink, exclude=PAIRS, backend="linear")
    torch.testing.assert_close(attention_maps(q, k, sink=sink, exclude=PAIRS) @ v, output)


def test_half_precision_and_autocast(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=3, d=16, dtype=torch.bfloat16)
    found = attention_maps(q, k + 30)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), attention_maps(q.double(), (k + 30).double()), rtol=1e-3, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = attention_maps(q.float(), k.float())
    torch.testing.assert_close(mixed, attention_maps(q.float(), k.float()), rtol=0, atol=0)


def test_cells_of_opposite_sign_cancel(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=1)
    noisy = torch.cat([q, -q, q])
    found = attention_maps(noisy, k.expand(3, -1, -1, -1), eps=0.0)
    torch.testing.assert_close(found, attention_maps(q, k, eps=0.0) / 3)
