"""Strengths and similarities of networks against maps written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from rounding import gamma, unit_roundoff
from torch import Tensor

from grn.kernels.summaries import attention_strengths, network_similarity

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
Definition = Callable[..., Any]
PAIRS = (torch.tensor([0, 3, 3]), torch.tensor([1, 0, 5]))
OPTIONS = {
    "none": {},
    "excluded": {"exclude": PAIRS},
    "all": {
        "exclude": PAIRS,
        "sink": torch.tensor([0.5, 1.0, 0.0, 2.0, 0.1]).double(),
        "key_weights": torch.linspace(-1, 2, 6).double(),
    },
}


@pytest.mark.parametrize("key_heads", [2, 1])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_strengths_of_maps_written_out(
    options: dict[str, Any], key_heads: int, inputs: Inputs, definition: Definition
) -> None:
    q, k, _ = inputs(batch=3, key_heads=key_heads)
    rows, _ = definition(q, k, **options, eps=1e-3)
    found = attention_strengths(q, k, **options, eps=1e-3)
    expected = (rows.sum(-1), rows.sum(-2), rows.square().sum(-2))
    torch.testing.assert_close(tuple(found), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key_heads", [2, 1])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_similarity_of_maps_written_out(
    options: dict[str, Any], key_heads: int, inputs: Inputs, definition: Definition
) -> None:
    q, k, _ = inputs(batch=4, key_heads=key_heads)
    rows, _ = definition(q, k, **options, eps=1e-3)
    inner = torch.einsum("bhij,chij->hbc", rows, rows)
    found = network_similarity(q, k, **options, eps=1e-3, cosine=False)
    torch.testing.assert_close(found, inner, rtol=1e-12, atol=1e-12)
    flat = rows.transpose(0, 1).flatten(2)
    cosine = torch.nn.functional.cosine_similarity(flat.unsqueeze(1), flat.unsqueeze(2), dim=-1)
    torch.testing.assert_close(network_similarity(q, k, **options, eps=1e-3), cosine, rtol=1e-10, atol=1e-10)


def test_scale_and_sign_of_a_network(inputs: Inputs) -> None:
    """A factor on the queries changes no network, a negative one flips its signs, and 0 leaves none."""
    q, k, _ = inputs(batch=1)
    factors = torch.tensor([1.0, 7.0, -0.5, 0.0]).double().view(4, 1, 1, 1)
    found = network_similarity(q * factors, k.expand(4, -1, -1, -1), eps=1e-30)
    expected = torch.tensor([[1.0, 1, -1, 0], [1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 0]]).double()
    torch.testing.assert_close(found, expected.expand(2, 4, 4), rtol=1e-10, atol=1e-10)


def test_rows_have_unit_length_without_a_sink(inputs: Inputs) -> None:
    q, k, _ = inputs(batch=3)
    assert torch.allclose(attention_strengths(q, k, eps=0.0).out_square.sum(-1), torch.tensor(5.0).double())
    same = network_similarity(q, k, eps=0.0, cosine=False).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(same, torch.full_like(same, 5.0))


def test_a_key_that_nobody_may_see_regulates_nothing(inputs: Inputs, definition: Definition) -> None:
    """What is left is rounding: sums of n and of 2 d + n products, as many taken off again (`rounding.gamma`)."""
    q, k, _ = inputs(dtype=torch.float32)
    k = k + 30
    (n, d), key = q.shape[-2:], 2
    everyone = (torch.arange(n), torch.full((n,), key))
    _, inverse_norms = definition(q.double(), k.double(), exclude=everyone)
    queries, keys = (q * inverse_norms.unsqueeze(-1)).abs().double(), k[:, :, key].abs().double()
    strength = (queries.sum(2) * keys).sum(-1)
    square = torch.einsum("bhx,bhix,bhiy,bhy->bh", keys, queries, queries, keys)
    found = attention_strengths(q, k, exclude=everyone)
    unit = unit_roundoff(torch.float32)
    # 4 more for the scaling of the queries, the square and the subtraction itself.
    assert (found.out_square[..., key] >= 0).all()
    assert (found.out_square[..., key] <= gamma(2 * (2 * d + n) + 4, unit) * square).all()
    assert (found.out_strength[..., key].abs() <= gamma(2 * (d + n) + 4, unit) * strength).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, inputs: Inputs) -> None:
    q, k, _ = inputs(dtype=dtype)
    weights = torch.linspace(-1, 2, 6)
    for found, truth in (
        (attention_strengths(q, k), attention_strengths(q.double(), k.double())),
        ([network_similarity(q, k)], [network_similarity(q.double(), k.double())]),
    ):
        for ours, theirs in zip(found, truth, strict=True):
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)
    weighted = (k.float() * weights.unsqueeze(-1)).to(dtype)
    torch.testing.assert_close(attention_strengths(q, k, key_weights=weights), attention_strengths(q, weighted))
