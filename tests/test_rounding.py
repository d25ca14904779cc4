"""Bounds of rounding errors: arithmetic stays within them, faults of the kinds that kernels have do not.

A bound so wide that a dropped key passes would hold everywhere and test nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attention_rounding import factorised, precision, quadratic
from rounding import FLOAT32, FLOAT64, Computed, assert_rounded, gamma, unit_roundoff
from torch import Tensor

EPS = 1e-3
Tensors = dict[str, Tensor]


def problem(n: int = 70, m: int = 90, d: int = 16, dv: int = 24, dtype: torch.dtype = torch.float32) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    shapes = {"q": (n, d), "k": (m, d), "v": (m, dv), "d_output": (n, dv)}
    return {
        name: torch.randn(1, 2, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in shapes.items()
    }


def attention(given: Tensors, dtype: torch.dtype, fault: Callable[[Tensor], Tensor] = lambda states: states) -> Tensors:
    """The factorised form in a type, with its states K^T K and K^T V after a fault."""
    q, k, v, upstream = (given[name].to(dtype) for name in ("q", "k", "v", "d_output"))
    gram, mixing = fault(k.mT @ k), k.mT @ v
    norm = ((q @ gram * q).sum(-1) + EPS).rsqrt()
    column = norm.unsqueeze(-1)
    mixed = upstream @ mixing.mT
    slope = -((mixed * q).sum(-1) * norm.pow(3)).unsqueeze(-1)
    d_gram, d_mixing = q.mT @ (q * slope), q.mT @ (upstream * column)
    found = {"output": q @ mixing * column, "inverse_norm": norm, "d_q": mixed * column + q @ gram * slope}
    return found | {"d_k": v @ d_mixing.mT + k @ d_gram, "d_v": k @ d_mixing}


def check(found: Tensors, given: Tensors, form: Callable[..., dict[str, Computed]] = factorised) -> None:
    how = precision(torch.float32)
    assert_rounded(
        found,
        attention(given, torch.float64),
        lambda arithmetic: form(*given.values(), how._replace(arithmetic=arithmetic), eps=EPS),
        how.arithmetic,
    )


@pytest.mark.parametrize("form", [factorised, quadratic])
def test_float32_arithmetic_is_within_the_bounds_of_both_forms(form: Callable[..., dict[str, Computed]]) -> None:
    given = problem()
    check(attention(given, torch.float32), given, form)


def _without_a_key(given: Tensors) -> Tensors:
    return attention({**given, "k": given["k"][:, :, :-1], "v": given["v"][:, :, :-1]}, torch.float32)


def _without_a_feature(given: Tensors) -> Tensors:
    q, k = given["q"].clone(), given["k"].clone()
    q[..., -1] = k[..., -1] = 0
    return attention({**given, "q": q, "k": k}, torch.float32)


def _without_an_entry(states: Tensor) -> Tensor:
    states = states.clone()
    states[0, 0, 0, 1] = 0
    return states


FAULTS: dict[str, Callable[[Tensors], Tensors]] = {
    "one key of 90 dropped": _without_a_key,
    "one feature of 16 dropped": _without_a_feature,
    "states in bfloat16": lambda given: attention(given, torch.float32, lambda x: x.bfloat16().float()),
    "states in tf32": lambda given: attention(
        given, torch.float32, lambda x: x + x.abs() * 2.0**-11 * torch.tensor([1.0, -1.0]).repeat(x.shape[-1] // 2)
    ),
    "a factor of 2": lambda given: attention(given, torch.float32, lambda x: 2 * x),
    "states not symmetric": lambda given: attention(given, torch.float32, lambda x: x.triu()),
    "one entry of a state": lambda given: attention(given, torch.float32, _without_an_entry),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_exceed_the_bounds(fault: Callable[[Tensors], Tensors]) -> None:
    given = problem()
    found = fault(given)
    if found["d_k"].shape != given["k"].shape:
        found = {**found, **{name: torch.nn.functional.pad(found[name], (0, 0, 0, 1)) for name in ("d_k", "d_v")}}
    with pytest.raises(AssertionError, match=r"bounds|likely"):
        check(found, given)


@pytest.mark.parametrize("name", ["output", "inverse_norm", "d_q", "d_k", "d_v"])
def test_every_result_is_looked_at(name: str) -> None:
    given = problem()
    found = attention(given, torch.float32)
    wrong = found[name].clone()
    wrong[0, 1, -1] *= 1 + 1e-2
    with pytest.raises(AssertionError, match=name):
        check({**found, name: wrong}, given)
    wrong[0, 1, -1] = float("nan")
    with pytest.raises(AssertionError, match=name):
        check({**found, name: wrong}, given)


@pytest.mark.parametrize(("dtype", "arithmetic"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)], ids=str)
def test_sums_in_any_order_are_within_their_bound(dtype: torch.dtype, arithmetic: object) -> None:
    """Forwards, backwards, by pairs and by the library: each is a sum of n numbers, each within gamma_n of it."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(1000, generator=generator, dtype=torch.float64).to(dtype)
    exact = Computed.of(values, arithmetic).sum()  # type: ignore[arg-type]
    forwards = backwards = torch.zeros((), dtype=dtype)
    for value in values:
        forwards = forwards + value
    for value in values.flip(0):
        backwards = backwards + value
    pairs = torch.nn.functional.pad(values, (0, 24))
    while len(pairs) > 1:
        pairs = pairs[::2] + pairs[1::2]
    for found in (forwards, backwards, pairs[0], values.sum()):
        assert exact.share(found) <= 1
    # The bound of a sum of absolute values is exactly n - 1 roundings of it.
    size = Computed.of(values.abs(), arithmetic).sum()  # type: ignore[arg-type]
    assert float(size.error) == pytest.approx(gamma(999, unit_roundoff(dtype)) * float(size.value), rel=1e-9)


def test_no_digit_is_left_after_too_many_roundings() -> None:
    with pytest.raises(ValueError, match="leave no digit"):
        gamma(300, unit_roundoff(torch.bfloat16))
