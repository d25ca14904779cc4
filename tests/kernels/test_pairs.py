"""Sums over listed pairs, and excluded pairs as the quadratic form takes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from grn.kernels import pairs as module
from grn.kernels.pairs import Pairs, dots, own_and_mask, spread

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
LISTED = Pairs(torch.tensor([4, 0, 4, 2, 1]), torch.tensor([1, 1, 5, 0, 3]), None)


@pytest.fixture(params=[0, 8], ids=["all heads at once", "head by head"], autouse=True)
def looped_heads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOPED_HEADS", request.param)


@pytest.fixture(params=[None, 2], ids=["one cut", "cuts of 2"])
def cuts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(
            module, "_cuts", lambda like, pairs: (slice(i, i + request.param) for i in range(0, pairs, request.param))
        )


@pytest.mark.usefixtures("cuts")
def test_dots_and_spread_pair_by_pair(inputs: Inputs) -> None:
    q, k, _ = inputs()
    before = (q.clone(), k.clone())
    found = dots(q, k, LISTED)
    target = torch.ones_like(q)
    expected = target.clone()
    spread(target, LISTED.queries, found, k, LISTED.keys)
    for p, (i, j) in enumerate(zip(LISTED.queries.tolist(), LISTED.keys.tolist(), strict=True)):
        scores = torch.linalg.vecdot(q[:, :, i], k[:, :, j])
        torch.testing.assert_close(found[:, :, p], scores, rtol=1e-14, atol=1e-14)
        expected[:, :, i] += scores.unsqueeze(-1) * k[:, :, j]
    torch.testing.assert_close(target, expected, rtol=1e-14, atol=1e-14)
    assert torch.equal(q, before[0])
    assert torch.equal(k, before[1])


def test_a_cut_holds_a_bounded_number_of_rows() -> None:
    cuts = list(module._cuts(torch.empty(16, 8, 1, 64), 100))
    assert [len(range(100)[cut]) for cut in cuts] == [32, 32, 32, 4]


def test_half_precision_is_summed_in_float32(inputs: Inputs) -> None:
    q, k, _ = inputs(d=64, dtype=torch.bfloat16)
    torch.testing.assert_close(dots(q, k, LISTED), dots(q.float(), k.float(), LISTED), rtol=0, atol=0)


def test_change_of_the_score() -> None:
    scores = torch.randn(2, 3, 5)
    torch.testing.assert_close(LISTED.change(scores), -scores)
    prior = torch.arange(5.0)
    torch.testing.assert_close(LISTED._replace(prior=prior).change(scores), prior.expand(2, 3, 5))


def test_one_excluded_key_each_is_a_vector() -> None:
    mask = torch.rand(1, 1, 5, 6) < 0.5
    own, same = own_and_mask(torch.tensor([3, 0]), torch.tensor([5, 5]), mask, 5, 6)
    assert own is not None
    assert own.dtype == torch.int32
    assert own.tolist() == [5, -1, -1, 5, -1]
    assert same is mask


@pytest.mark.parametrize("masked", [False, True])
def test_several_excluded_keys_are_a_mask(masked: bool) -> None:
    given = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0)) < 0.5 if masked else None
    before = None if given is None else given.clone()
    own, mask = own_and_mask(LISTED.queries, LISTED.keys, given, 5, 6)
    assert own is None
    assert mask is not None
    listed = set(zip(LISTED.queries.tolist(), LISTED.keys.tolist(), strict=True))
    for i in range(5):
        for j in range(6):
            allowed = (i, j) not in listed
            for b in range(len(mask)):
                assert bool(mask[b, 0, i, j]) == (allowed and (given is None or bool(given[b, 0, i, j])))
    assert before is None or torch.equal(before, given)


def test_nothing_excluded() -> None:
    nothing = torch.empty(0, dtype=torch.int64)
    assert own_and_mask(None, None, None, 5, 6) == (None, None)
    assert own_and_mask(nothing, nothing, None, 5, 6) == (None, None)
