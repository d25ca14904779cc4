"""Which form and which implementation a call takes."""

from __future__ import annotations

import pytest
import torch

from grn.kernels import chunked, dispatch, linear, spherical_attention
from grn.kernels.dispatch import choose_form, explain_backend, implementation, why_not_triton


def rows(n: int, d: int, heads: int = 8) -> torch.Tensor:
    return torch.empty(1, heads, n, d)


@pytest.mark.parametrize(
    ("n", "d", "dense", "form"),
    [
        (5000, 64, False, "linear"),
        (5000, 64, True, "flashsign"),
        (200, 256, False, "flashsign"),
        (11, 11, False, "reference"),
        (11, 11, True, "reference"),
    ],
)
def test_auto(n: int, d: int, dense: bool, form: str) -> None:
    q = rows(n, d)
    assert choose_form("auto", q, q, q, dense=dense, backward=True) == form


@pytest.mark.parametrize("backend", ["linear", "flashsign", "reference"])
def test_what_is_asked_for_is_taken(backend: str) -> None:
    q = rows(100, 16)
    assert choose_form(backend, q, q, q, dense=False, backward=True) == backend


def test_modules_of_a_processor() -> None:
    q = rows(5, 4)
    assert implementation("linear", q, q) is linear
    assert implementation("flashsign", q, q, dense=True) is chunked


@pytest.mark.parametrize(
    ("form", "device", "dtype", "dim", "dense", "reason"),
    [
        ("linear", "cpu", torch.float32, 64, False, "on cpu"),
        ("linear", "mps", torch.float32, 64, False, "on mps"),
        ("linear", "cuda", torch.float64, 64, False, "double precision"),
        ("linear", "cuda", torch.bfloat16, 129, False, "128 at most, not 129"),
        ("linear", "cuda", torch.float32, 128, False, None),
        ("flashsign", "cuda", torch.bfloat16, 128, True, None),
        ("flashsign", "cuda", torch.float32, 64, False, None),
        ("flashsign", "cuda", torch.float32, 65, False, "64 at most, not 65"),
        ("flashsign", "cuda", torch.float32, 64, True, "half precision only"),
    ],
)
def test_why_a_gpu_runs_pytorch_operations(
    form: str,
    device: str,
    dtype: torch.dtype,
    dim: int,
    dense: bool,
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "_triton_is_there", lambda: True)
    found = why_not_triton(form, device, dtype, dim, dense=dense)
    assert found is None if reason is None else reason in str(found)


def test_the_limits_are_those_of_the_kernels() -> None:
    pytest.importorskip("triton", reason="the kernels' tables import Triton")
    from grn.kernels.gpu.flashsign import supports

    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for dim in (16, 64, 65, 128, 129):
            for dense in (False, True):
                q = torch.empty(1, 1, 2, dim, dtype=dtype)
                assert supports(q, q, pairs=dense) == (_runs("flashsign", dtype, dim, dense)), (dtype, dim, dense)


def _runs(form: str, dtype: torch.dtype, dim: int, dense: bool) -> bool:
    return why_not_triton(form, "cuda", dtype, dim, dense=dense) is None


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_triton_is_there", lambda: False)
    assert "not installed" in str(why_not_triton("linear", "cuda", torch.float32, 64))


def test_the_modelled_choice_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask takes `auto` away from the linear form, which would refuse it."""
    q = torch.randn(1, 4, 400, 16)
    mask = torch.rand(400, 400) < 0.5
    seen = []
    monkeypatch.setattr(chunked, "forward", lambda *a, run=chunked.forward, **o: (seen.append(1), run(*a, **o))[1])
    spherical_attention(q, q, q)
    assert not seen
    spherical_attention(q, q, q, pair_mask=mask)
    assert seen


def test_explanation() -> None:
    form, reason = explain_backend("cpu")
    assert form == "linear"
    assert "PyTorch operations on cpu" in reason
    assert "times less than quadratic" in reason
