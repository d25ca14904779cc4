"""The Triton kernels of the factorised form against the definition in float64, on a GPU or in Triton's interpreter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

NAMES = ("output", "inverse_norm", "d_q", "d_k", "d_v", "d_square")
BOUNDS = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}
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
        None if given[name] is None else given[name].double()
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


def run(given: dict[str, Any], device: str, eps: float = EPS) -> dict[str, Tensor]:
    from grn.kernels.gpu.linear import core_backward, core_forward

    there = {name: None if tensor is None else tensor.to(device) for name, tensor in given.items()}
    q, k, v = there["q"], there["k"], there["v"]
    output, norm, states = core_forward(q, k, v, there["mass"], there["correction"], eps)
    d_q, d_k, d_v, d_square = core_backward(
        there["d_output"], there["d_inverse_norm"], q, k, v, norm, states, there["dot"]
    )
    return {name: tensor.cpu() for name, tensor in zip(NAMES, (output, norm, d_q, d_k, d_v, d_square), strict=True)}


def errors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest error of each tensor, relative to its largest entry."""
    return {
        name: float((found[name].double() - expected[name]).abs().max() / expected[name].abs().max()) for name in NAMES
    }


SHAPES = [
    # n, m, d, dv
    (1, 1, 16, 16),
    (63, 127, 16, 24),
    (130, 63, 32, 32),
    (300, 130, 64, 64),
    (127, 300, 64, 24),
    (65, 130, 20, 100),
    (130, 70, 128, 128),
]


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize(("n", "m", "d", "dv"), SHAPES)
def test_agrees_with_the_definition(n: int, m: int, d: int, dv: int, dtype: torch.dtype, device: str) -> None:
    given = problem(n, m, d, dv, dtype)
    found = run(given, device)
    wrong = {name: error for name, error in errors(found, truth(given)).items() if not error <= BOUNDS[dtype]}
    assert not wrong
    for name in ("output", "d_q", "d_k", "d_v"):
        assert found[name].dtype == dtype
    assert found["inverse_norm"].dtype == found["d_square"].dtype == torch.float32
