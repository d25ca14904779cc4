"""The one public attention function, and the choice between its exact forms."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from grn.kernels._inputs import check_inputs, widened
from grn.kernels.linear import linear_attention
from grn.kernels.reference import reference_attention

Backend = Literal["auto", "linear", "reference"]
BACKENDS = {"linear": linear_attention, "reference": reference_attention}


@overload
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
    return_norm: Literal[False] = False,
    backend: Backend = "auto",
) -> Tensor: ...
@overload
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
    return_norm: Literal[True],
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]: ...
def spherical_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
    return_norm: bool = False,
    backend: Backend = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention whose rows lie on the unit sphere: signed weights, no exponential.

    With scores s_ij = w_j q_i . k_j, rows are divided by their Euclidean norm instead of passing a softmax::

        r_i = (sum_j s_ij^2 + sink_i^2 + eps')^(-1/2)      A_ij = s_ij r_i      o_i = sum_j A_ij v_j

    Abbott et al. 2025 (arXiv 2505.09326), extended by key weights, excluded pairs and a sink.

    Parameters
    ----------
    q
        Queries, (batch, heads, n, head_dim), floating point.
    k
        Keys, (batch, heads, m, head_dim). The number of keys m need not be n.
    v
        Values, (batch, heads, m, dv). dv need not be head_dim.
    key_weights
        Real factor w_j of each key, broadcastable to (batch, heads, m); 0 removes a padded key.
    exclude
        Pair of int64 vectors (queries, keys) of equal length: score s_ij is 0 for each pair listed (once),
        in every batch entry and head. A gene's own key is left out this way.
    sink
        Mass outside the keys, broadcastable to (batch, heads, n): "unexplained". Rows then have norm below 1.
    eps
        Added to the mean over keys of (q.k)^2 / head_dim, so that it is relative to unit-variance inputs;
        0 gives NaN for a row without any score.
    return_norm
        Also return r, (batch, heads, n); differentiable.
    backend
        "linear" (factorised, O(n + m)), "reference" (materialised, O(n m)) or "auto", the one with fewer
        operations at these shapes. Both are exact.

    Returns
    -------
    Output (batch, heads, n, dv), and r if asked for. Half-precision inputs are computed in float32, autocast or not:
    the output has their type, r is float32.

    Raises
    ------
    TypeError, ValueError
        Before any computation, where shapes, dtypes or devices do not fit, or a backend is unknown.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import spherical_attention
    >>> q, k, v = (torch.randn(2, 4, 100, 16) for _ in range(3))
    >>> spherical_attention(q, k, v).shape
    torch.Size([2, 4, 100, 16])
    """
    pairs = check_inputs(q, k, v, key_weights, exclude, sink, eps)
    form: str = choose_backend(q.shape[-2], k.shape[-2], k.shape[-1]) if backend == "auto" else backend
    if form not in BACKENDS:
        raise ValueError(f"Unknown backend {backend!r}; choose one of 'auto', {', '.join(map(repr, BACKENDS))}.")
    dtype, (q, k, v) = q.dtype, (widened(tensor) for tensor in (q, k, v))
    # Autocast would take the products to half precision, inside the form that must not see it.
    with torch.autocast(q.device.type, enabled=False):
        if key_weights is not None:
            k = k * key_weights.to(k.dtype).unsqueeze(-1)
        sink = None if sink is None else sink.to(q.dtype)
        output, inverse_norm = BACKENDS[form](q, k, v, exclude=pairs, sink=sink, eps=eps)
    output = output.to(dtype)
    return (output, inverse_norm) if return_norm else output


def choose_backend(n: int, m: int, head_dim: int) -> str:
    """Form with fewer multiplications: n m (d + dv) written out, (n + m) d (d + dv) factorised."""
    return "linear" if (n + m) * head_dim < n * m else "reference"


def explain_backend(device: str = "cpu") -> tuple[str, str]:
    """Backend that long sequences take on `device`, and why, for `grn doctor`."""
    return "linear", (
        f"exact factorised form in PyTorch operations on {device}; cost grows with genes, not genes squared "
        "(short sequences are materialised where that takes fewer operations)"
    )
