"""The Triton kernels of the factorised form against the definition in float64, on a GPU or in Triton's interpreter.

No number may be further off than the arithmetic allows: see `rounding` and `attention_rounding`.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from attention_rounding import factorised, precision
from rounding import assert_rounded
from torch import Tensor

NAMES = ("output", "inverse_norm", "d_q", "d_k", "d_v", "d_square")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
EPS = 1e-3


def normal(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def problem(
    n: int, m: int, d: int, dv: int, dtype: torch.dtype, options: bool = True, batch: int = 1, heads: int = 2
) -> dict[str, Any]:
    """Inputs, upstream gradients and, with options, everything that is added to sums of squares and inner products."""
    axes = batch, heads
    given: dict[str, Any] = {
        "q": normal(*axes, n, d, seed=1, dtype=dtype),
        "k": normal(*axes, m, d, seed=2, dtype=dtype),
        "v": normal(*axes, m, dv, seed=3, dtype=dtype),
        "d_output": normal(*axes, n, dv, seed=4, dtype=dtype),
        "mass": None,
        "correction": None,
        "d_inverse_norm": None,
        "dot": None,
    }
    if options:
        given["mass"] = normal(*axes, n, seed=5, dtype=torch.float32).square() * m
        given["correction"] = normal(*axes, n, seed=6, dtype=torch.float32)
        given["d_inverse_norm"] = normal(*axes, n, seed=7, dtype=torch.float32) * m**0.5
        given["dot"] = normal(*axes, n, seed=8, dtype=torch.float32)
    return given


def truth(given: dict[str, Any], eps: float = EPS) -> dict[str, Tensor]:
    """The definition, with a score for every pair of query and key, in float64."""
    q, k, v, upstream, mass, correction, d_norm, dot = (
        None if given[name] is None else given[name].cpu().double()
        for name in ("q", "k", "v", "d_output", "mass", "correction", "d_inverse_norm", "dot")
    )
    scores = q @ k.mT
    square = scores.square().sum(-1)
    square = (square if correction is None else (square + correction).clamp(min=0)) + eps
    norm = (square if mass is None else square + mass).rsqrt()
    d_scores = upstream @ v.mT * norm.unsqueeze(-1)
    slope = (d_scores * scores).sum(-1)
    slope = slope if dot is None else slope + norm * dot
    slope = slope if d_norm is None else slope + norm * d_norm
    d_square = -0.5 * norm.square() * slope
    d_scores = d_scores + 2 * d_square.unsqueeze(-1) * scores
    rows = scores * norm.unsqueeze(-1)
    found = (rows @ v, norm, d_scores @ k, d_scores.mT @ q, rows.mT @ upstream, d_square)
    return dict(zip(NAMES, found, strict=True))


def run(given: dict[str, Any], device: torch.device, eps: float = EPS) -> dict[str, Tensor]:
    from grn.kernels.gpu.linear import core_backward, core_forward

    # An expanded tensor would be laid out by `to`.
    there = {
        name: tensor if tensor is None or tensor.device == device else tensor.to(device)
        for name, tensor in given.items()
    }
    q, k, v = there["q"], there["k"], there["v"]
    output, norm, states = core_forward(q, k, v, there["mass"], there["correction"], eps)
    d_q, d_k, d_v, d_square = core_backward(
        there["d_output"], there["d_inverse_norm"], q, k, v, norm, states, there["dot"]
    )
    return {name: tensor.cpu() for name, tensor in zip(NAMES, (output, norm, d_q, d_k, d_v, d_square), strict=True)}


@pytest.fixture
def hopper(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, the launches that a Hopper card would get."""
    from grn.kernels.gpu import linear

    if device.type != "cuda":
        monkeypatch.setattr(linear, "architecture", lambda _: 90)


def check(given: dict[str, Any], device: torch.device, eps: float = EPS) -> dict[str, Tensor]:
    """What the kernels return, every entry of it within its bound."""
    found, expected = run(given, device, eps), truth(given, eps)
    additions = {name: given[name] for name in ("mass", "correction", "d_inverse_norm", "dot")}
    how = precision(given["q"].dtype, device, triton=True)
    inputs = [given[name] for name in ("q", "k", "v", "d_output")]
    assert_rounded(
        *(found, expected),
        lambda arithmetic: factorised(*inputs, how._replace(arithmetic=arithmetic), eps=eps, **additions),
        how.arithmetic,
    )
    return found


SHAPES = [
    # n, m, d, dv
    (1, 1, 16, 16),
    (63, 127, 16, 24),
    (130, 63, 32, 32),
    (300, 130, 64, 64),
    (127, 300, 64, 24),
    (33, 70, 20, 100),
    (70, 40, 128, 128),
]


@DTYPES
@pytest.mark.parametrize(("n", "m", "d", "dv"), SHAPES)
def test_agrees_with_the_definition(n: int, m: int, d: int, dv: int, dtype: torch.dtype, device: torch.device) -> None:
    given = problem(n, m, d, dv, dtype)
    found = check(given, device)
    # With a correction, the output is corrected in float32 before it is rounded.
    assert found["output"].dtype == (dtype if given.get("correction") is None else torch.float32)
    for name in ("d_q", "d_k", "d_v"):
        assert found[name].dtype == dtype
    assert found["inverse_norm"].dtype == found["d_square"].dtype == torch.float32


# Widths of keys and values that a compiler got wrong on Hopper: two sums of products of different widths in one loop.
UNEQUAL = [(64, 8), (64, 24), (40, 16), (128, 32)]
# On a GPU all widths and lengths; the interpreter compiles nothing, and runs those with launches of their own.
SIZES = (8, 16, 24, 32, 40, 48, 64, 72, 96, 128)
WIDTHS = list(itertools.product(SIZES, SIZES)) if torch.cuda.is_available() else UNEQUAL
LENGTHS = (1, 63, 127, 130, 300, 1000) if torch.cuda.is_available() else (1, 63)


@pytest.mark.usefixtures("hopper")
@DTYPES
@pytest.mark.parametrize(("d", "dv"), WIDTHS)
def test_every_width(d: int, dv: int, dtype: torch.dtype, device: torch.device) -> None:
    check(problem(130, 127, d, dv, dtype), device)


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("d", "dv"), UNEQUAL if torch.cuda.is_available() else UNEQUAL[:1])
def test_every_length(d: int, dv: int, length: int, dtype: torch.dtype, device: torch.device) -> None:
    check(problem(length, 131 - length if length < 131 else length // 2, d, dv, dtype), device)


def test_sums_of_squares_and_inner_products_without_additions(device: torch.device) -> None:
    check(problem(70, 50, 32, 16, torch.float32, options=False), device)


@pytest.mark.parametrize("option", ["mass", "correction", "d_inverse_norm", "dot"])
def test_each_addition_counts(option: str, device: torch.device) -> None:
    given = problem(40, 50, 16, 16, torch.float32)
    without = {**given, option: None}
    found, other = check(without, device)["d_square"].double(), truth(given)["d_square"]
    assert float((found - other).abs().max()) > 1e-3 * float(other.abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_strides_of_any_layout(dtype: torch.dtype, device: torch.device) -> None:
    """Heads inside rows, features that are not contiguous, keys that all cells share, an upstream number for all."""
    given = problem(40, 50, 32, 32, dtype, batch=2)
    given["k"] = given["k"][:1].expand(2, -1, -1, -1)
    given["d_output"] = given["d_output"][:1, :1, :1, :1].expand(2, 2, 40, 32)
    there = {name: tensor.to(device) for name, tensor in given.items()}
    there["q"] = there["q"].transpose(1, 2).contiguous().transpose(1, 2)
    there["v"] = there["v"].mT.contiguous().mT
    there["k"] = there["k"][:1].expand(2, -1, -1, -1)
    there["d_output"] = there["d_output"][:1, :1, :1, :1].expand(2, 2, 40, 32)
    check(there, device)


def test_two_runs_agree_bit_by_bit(device: torch.device) -> None:
    given = problem(300, 280, 32, 32, torch.float32, heads=1)
    one, two = run(given, device), run(given, device)
    assert all(torch.equal(one[name], two[name]) for name in NAMES)


def hard(name: str, dtype: torch.dtype) -> dict[str, Any]:
    given = problem(130, 127, 32, 9, torch.float64, options=False, heads=1)
    if name == "mean 3":
        given["k"] += 3
    elif name == "mean 30":
        given["k"] += 30
    elif name == "mean 30 out of sight":  # scores of ordinary size from keys of size 30
        given["k"], given["q"] = given["k"] + 30, given["q"] - given["q"].mean(-1, keepdim=True)
    elif name == "condition 1e4":
        given["k"] *= torch.logspace(0, -4, 32, dtype=torch.float64)
    elif name == "zero rows":
        given["q"][:, :, ::3] = 0
        given["k"][:, :, ::2] = 0
    elif name == "no keys":
        given["k"] *= 0
    return {key: None if tensor is None else tensor.to(dtype) for key, tensor in given.items()}


HARD = ("mean 3", "mean 30", "mean 30 out of sight", "condition 1e4", "zero rows", "no keys")


@DTYPES
@pytest.mark.parametrize("name", HARD)
def test_hard_data(name: str, dtype: torch.dtype, device: torch.device) -> None:
    # As the public function would have it: 1e-6 relative to 127 keys of 32 features.
    check(hard(name, dtype), device, eps=1e-6 * 127 * 32)


def test_float16_states_beyond_its_range(device: torch.device) -> None:
    """Sums of 100 squares of 40 leave float16, and gradients of 1e-6 times a norm of 1e-4 fall below it."""
    given = problem(40, 100, 16, 16, torch.float16, options=False)
    given["k"], given["v"], given["d_output"] = given["k"] * 40, given["v"] * 40, given["d_output"] * 1e-3
    assert float((given["k"].double().mT @ given["k"].double()).abs().max()) > 65504
    check(given, device)


@pytest.mark.parametrize("kind", [80, 90, 100])
def test_every_table_computes_the_same(kind: int, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels, ranges and fused sums of another architecture's tables, which may not launch on a GPU that is smaller."""
    from grn.kernels.gpu import linear
    from grn.kernels.gpu.launch import architecture

    if device.type == "cuda" and kind != architecture(device):
        pytest.skip("tiles of another architecture")
    monkeypatch.setattr(linear, "architecture", lambda _: kind)
    # Of 96 columns, the last panel of 32 lies outside: in the memory of the next row, or behind the last one.
    for dtype, d, dv in ((torch.float32, 40, 40), (torch.bfloat16, 24, 70), (torch.float32, 96, 96)):
        check(problem(40, 50, d, dv, dtype, heads=1), device)


@pytest.mark.parametrize("heads", [1, 8, 128, 1000])
@pytest.mark.parametrize("rows", [1, 64, 65, 2048, 20000])
def test_ranges_cover_all_rows_once(rows: int, heads: int) -> None:
    from grn.kernels.gpu.linear_configs import split_rows

    splits, length = split_rows(heads, rows, 64, 264, 256)
    assert length % 64 == 0
    assert (splits - 1) * length < rows <= splits * length


def test_few_heads_are_cut_and_many_are_not() -> None:
    from grn.kernels.gpu.linear_configs import split_rows

    assert split_rows(1, 20000, 64, 264, 256)[0] > 50
    assert split_rows(128, 20000, 64, 264, 256)[0] == 2
    assert split_rows(1056, 2048, 64, 264, 256)[0] == 1
