from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from grn.models.other_attention import (
    softmax_attention,
    softmax_maps,
    unnormalised_attention,
    unnormalised_maps,
)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(4, 2, size, 3, generator=generator, dtype=torch.float64) for size in (5, 6, 6))
    return q, k, v


def test_agrees_with_torch() -> None:
    q, k, v = inputs()
    pairs = (torch.tensor([0, 2]), torch.tensor([1, 5]))
    allowed = torch.ones(5, 6, dtype=torch.bool)
    allowed[pairs] = False
    output, mass = softmax_attention(q, k, v, exclude=pairs)
    torch.testing.assert_close(output, scaled_dot_product_attention(q, k, v, attn_mask=allowed))
    identity = torch.eye(6, dtype=torch.float64).expand(4, 2, 6, 6)
    rows = scaled_dot_product_attention(q, k, identity, attn_mask=allowed)
    torch.testing.assert_close(mass, rows.square().sum(-1))
    maps = softmax_maps(q, k, exclude=pairs, groups=torch.tensor([0, 2, 0, 2]))
    expected = torch.stack([rows[[0, 2]].mean(0), torch.zeros(2, 5, 6, dtype=torch.float64), rows[[1, 3]].mean(0)])
    torch.testing.assert_close(maps, expected)
    torch.testing.assert_close(softmax_maps(q, k, exclude=None, groups=None).sum(-1).mean(), q.new_tensor(1.0))


def test_a_row_without_keys_is_zero() -> None:
    q, k, v = inputs()
    everything = (torch.full((6,), 1), torch.arange(6))
    output, mass = softmax_attention(q, k, v, exclude=everything)
    assert not output[:, :, 1].any()
    assert not mass[:, :, 1].any()
    assert bool(output.isfinite().all())


def test_without_a_norm_the_rows_are_the_scores() -> None:
    q, k, v = inputs()
    pairs = (torch.tensor([0, 2, 2]), torch.tensor([1, 5, 0]))
    rows = q @ k.transpose(-1, -2)
    rows[..., pairs[0], pairs[1]] = 0
    output, mass = unnormalised_attention(q, k, v, exclude=pairs)
    torch.testing.assert_close(output, rows @ v)
    torch.testing.assert_close(mass, rows.square().sum(-1))
    torch.testing.assert_close(unnormalised_maps(q, k, exclude=pairs, groups=None)[0], rows.mean(0))
    maps = unnormalised_maps(q, k, exclude=pairs, groups=torch.tensor([0, 2, 0, 2]))
    expected = torch.stack([rows[[0, 2]].mean(0), torch.zeros(2, 5, 6, dtype=torch.float64), rows[[1, 3]].mean(0)])
    torch.testing.assert_close(maps, expected)
