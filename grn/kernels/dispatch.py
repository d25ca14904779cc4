"""Which form of the attention runs, and whether as a Triton kernel or in PyTorch operations; always with the reason."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from grn.kernels import chunked, linear
from grn.kernels._inputs import FLASHSIGN_SINGLE_LIMIT, HEAD_DIM_LIMIT, LARGEST_HEAD_DIM
from grn.kernels.costs import Shapes, choose, explain, find_device

Backend = Literal["auto", "linear", "flashsign", "reference"]
Form = Literal["linear", "flashsign", "reference"]
BACKENDS: tuple[Form, ...] = ("linear", "flashsign", "reference")

_IN_PYTORCH = {"linear": linear, "flashsign": chunked}
_IN_TRITON = {"linear": "grn.kernels.gpu.linear", "flashsign": "grn.kernels.gpu.flashsign"}


def choose_form(backend: str, q: Tensor, k: Tensor, v: Tensor, *, dense: bool, backward: bool) -> Form:
    """The form that a call takes.

    Parameters
    ----------
    backend
        A form, or "auto": the cheaper one by `grn.kernels.costs`; traced by a compiler, that of fewer multiplications.
    q, k, v
        The call's tensors.
    dense
        Whether it has a dense pair mask, a dense prior or dropout.
    backward
        Whether gradients will be asked for.

    Raises
    ------
    ValueError
        If there is no such backend, if the linear form is asked for what does not factorise, or if head_dim is larger
        than any form but the reference takes.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"Unknown backend {backend!r}; choose one of 'auto', {', '.join(map(repr, BACKENDS))}.")
    if backend == "linear" and dense:
        raise ValueError(
            "backend='linear' cannot take a dense pair_mask, a dense prior or dropout: they do not factorise. Use "
            "backend='auto' or 'flashsign', or list the pairs in exclude and in a sparse prior."
        )
    if backend != "reference" and q.shape[-1] > LARGEST_HEAD_DIM:
        raise ValueError(
            f"head_dim is {q.shape[-1]}, but at most {LARGEST_HEAD_DIM} is supported; use more heads, or "
            "backend='reference' for a small problem."
        )
    if backend == "auto" and torch.compiler.is_compiling():
        # Sizes may be symbols: the form of fewer multiplications, which takes whole numbers alone.
        n, m = q.shape[2], k.shape[2]
        return "linear" if not dense and (n + m) * q.shape[-1] < n * m else "flashsign"
    if backend == "auto":
        device, _ = find_device(q.device.type, _name(q.device))
        form: Form = choose(_shapes(q, k, v), device, dense=dense, backward=backward).form
        return form
    return backend  # type: ignore[return-value]


def implementation(form: Literal["linear", "flashsign"], q: Tensor, v: Tensor, *, dense: bool = False) -> ModuleType:
    """Module that computes a form for these tensors: Triton kernels on a GPU, PyTorch operations elsewhere.

    A GPU too runs PyTorch operations where `why_not_triton` has a reason. `dense`: as in `choose_form`.
    """
    reason = why_not_triton(form, q.device.type, q.dtype, max(q.shape[-1], v.shape[-1]), dense=dense)
    # There is no launch of no programs.
    return _IN_PYTORCH[form] if reason or not q.numel() or not v.numel() else import_module(_IN_TRITON[form])


def why_not_triton(form: str, device: str, dtype: torch.dtype, dim: int, *, dense: bool = False) -> str | None:
    """Reason against the Triton kernels of a form; None if they run.

    The limits are those of the configurations that compile without spilled registers (`grn.kernels.gpu.offline`).
    """
    if device != "cuda":
        return f"PyTorch operations on {device}"
    if not _triton_is_there():
        return "PyTorch operations, since Triton is not installed"
    if dtype == torch.float64:
        return "PyTorch operations, since the kernels do not compute in double precision"
    single = form == "flashsign" and dtype == torch.float32
    if single and dense:
        return "PyTorch operations, since dense masks, priors and dropout have kernels in half precision only"
    limit = FLASHSIGN_SINGLE_LIMIT if single else HEAD_DIM_LIMIT
    if dim > limit:
        return f"PyTorch operations, since the {dtype} kernels take a head_dim and dv of {limit} at most, not {dim}"
    return None


def explain_backend(device: str = "cpu") -> tuple[str, str]:
    """Form that long sequences take on `device`, and why, for `grn doctor`."""
    kind = device.partition(":")[0]
    figures, note = find_device(kind, _name(torch.device(device)))
    where = why_not_triton("linear", kind, torch.float32, HEAD_DIM_LIMIT) or "Triton kernels"
    return "linear", f"{where}; {explain(figures, note)}"


def _shapes(q: Tensor, k: Tensor, v: Tensor) -> Shapes:
    (batch, heads, n, d), m = q.shape, k.shape[2]
    # A processor computes half precision in float32.
    width = max(q.element_size(), 4) if q.device.type == "cpu" else q.element_size()
    return Shapes(batch, heads, k.shape[1], n, m, d, v.shape[-1], width)


@cache
def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None
