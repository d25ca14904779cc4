"""Kernels run on the GPU where there is one, and in Triton's interpreter elsewhere: the same tests for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

HAS_CUDA = torch.cuda.is_available()

if find_spec("triton") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs for real, so that `-m gpu` selects it on a machine with CUDA."""
    for item in items:
        if HAS_CUDA and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if HAS_CUDA else "cpu")


@pytest.fixture(scope="session", autouse=True)
def _bfloat16_in_the_interpreter() -> Iterator[None]:
    """The interpreter multiplies bfloat16 as if its bits were integers, and truncates where GPUs round to nearest."""
    if HAS_CUDA:
        yield
        return
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    dot, cast = InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl

    def rounding_cast(self: Any, source: Any, target: Any) -> Any:
        if source.dtype.scalar == tl.float32 and target.scalar == tl.bfloat16:
            # Through int16: numpy has no bfloat16 to hand over.
            rounded = torch.from_numpy(np.ascontiguousarray(source.data)).to(torch.bfloat16).view(torch.int16)
            return TensorHandle(rounded.numpy().view(np.uint16), tl.bfloat16)
        return cast(self, source, target)

    def exact_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        a, b = (x if x.dtype.scalar != tl.bfloat16 else cast(self, x, tl.float32) for x in (a, b))
        return dot(self, a, b, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InterpreterBuilder, "create_dot", exact_dot)
        for name in ("cast_impl", "create_fp_trunc"):
            patch.setattr(InterpreterBuilder, name, rounding_cast)
        yield


@pytest.fixture(autouse=True)
def _poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory holds NaN, so that what a kernel forgets to write is seen."""
    empty = torch.empty

    def poisoned(*args: Any, **kwargs: Any) -> Tensor:
        tensor = empty(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    def new_empty(self: Tensor, *size: Any, **kwargs: Any) -> Tensor:
        return poisoned(*size, dtype=kwargs.get("dtype", self.dtype), device=kwargs.get("device", self.device))

    monkeypatch.setattr(torch, "empty", poisoned)
    monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)
    monkeypatch.setattr(torch, "empty_like", lambda x, **kwargs: poisoned(x.shape, dtype=x.dtype, device=x.device))


@pytest.fixture(scope="session")
def error() -> Callable[[Tensor, Tensor], float]:
    """Largest error relative to the largest entry of the truth; infinite where a number is NaN."""

    def measure(found: Tensor, truth: Tensor) -> float:
        found, truth = found.double().cpu(), truth.double().cpu()
        assert found.shape == truth.shape
        if not bool(torch.isfinite(found).all()):
            return float("inf")
        return float((found - truth).abs().max() / truth.abs().max().clamp(min=1e-30))

    return measure
