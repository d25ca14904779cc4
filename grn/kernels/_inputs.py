"""What every form of the attention agrees on: argument checks, listed pairs, and the meaning of eps."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

HEAD_DIM_LIMIT = 128
"""Largest head_dim and dv that the Triton kernels take; beyond it a GPU runs the same form in PyTorch operations."""
FLASHSIGN_SINGLE_LIMIT = 64
"""The same for the quadratic form in float32."""
LARGEST_HEAD_DIM = 256
"""Largest head_dim of every form but the reference: the factorised states hold its square."""


class Exclusions(NamedTuple):
    """Pairs that may not attend: query `queries[p]` never sees key `keys[p]` (both int64, shape (pairs,))."""

    queries: Tensor
    keys: Tensor


class SparsePrior(NamedTuple):
    """Numbers added to listed scores: `values[p]` to that of query `queries[p]` and key `keys[p]`, shape (pairs,)."""

    queries: Tensor
    keys: Tensor
    values: Tensor


class Checked(NamedTuple):
    """Arguments in the shapes that the forms take."""

    exclude: Exclusions | None
    mask: Tensor | None
    prior: Tensor | SparsePrior | None


def absolute_eps(eps: float, k: Tensor) -> float:
    """Term added to a row's sum of squared scores.

    `eps` itself is relative: it is added to the mean over keys of the squared score q.k / sqrt(head_dim),
    which is about one for unit-variance queries and keys, whatever the number of keys and the head size.
    """
    return eps * k.shape[-2] * k.shape[-1]


def widened(tensor: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are.

    A sum of squared scores overflows float16 and, factorised, squares the condition number of the keys.
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def check_inputs(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    pair_mask: Tensor | None = None,
    prior: Tensor | None = None,
    sink: Tensor | None = None,
    dropout_p: float = 0.0,
    eps: float = 0.0,
) -> Checked:
    """Raise before any computation where shapes, types, devices or values do not fit; return what was checked."""
    _check_tensors(q, k, v)
    (batch, heads, n, _), m = q.shape, k.shape[2]
    if not (isinstance(eps, (int, float)) and 0 <= eps < float("inf")):
        raise ValueError(f"eps must be a finite number and not negative, but is {eps!r}.")
    if not (isinstance(dropout_p, (int, float)) and 0 <= dropout_p < 1):
        raise ValueError(f"dropout_p must be at least 0 and below 1, but is {dropout_p!r}.")
    _check_broadcast("key_weights", key_weights, (batch, k.shape[1], m), k)
    _check_broadcast("sink", sink, (batch, heads, n), q)
    excluded = None if exclude is None else _check_pairs(exclude, q, k)
    if pair_mask is not None:
        _check_broadcast("pair_mask", pair_mask, (batch, heads, n, m), q, boolean=True)
        pair_mask = _four_axes(pair_mask, n, m)
    return Checked(excluded, pair_mask, _check_prior(prior, excluded, q, k))


def _check_tensors(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, tensor in {"q": q, "k": k, "v": v}.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, but is {type(tensor).__name__}.")
        if tensor.dim() != 4:
            raise ValueError(
                f"{name} must have four axes (batch, heads, genes, head_dim), but has shape {tuple(tensor.shape)}."
            )
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating point, but is {tensor.dtype}; call {name}.float() first.")
        if tensor.dtype != q.dtype:
            raise TypeError(f"q, k and v must have one dtype, but q is {q.dtype} and {name} is {tensor.dtype}.")
        if tensor.device != q.device:
            raise ValueError(f"q, k and v must be on one device, but q is on {q.device}, {name} on {tensor.device}.")
    if q.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise TypeError(f"q, k and v must be float16, bfloat16, float32 or float64, but are {q.dtype}.")
    if k.shape[-1] != q.shape[-1]:
        raise ValueError(f"q and k must share head_dim, but have {q.shape[-1]} and {k.shape[-1]}.")
    if v.shape[-2] != k.shape[-2]:
        raise ValueError(f"k and v must share the number of keys, but have {k.shape[-2]} and {v.shape[-2]}.")
    if min(k.shape[-1], k.shape[-2]) == 0:
        raise ValueError(f"There must be at least one key and one feature, but k has shape {tuple(k.shape)}.")
    if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0] or not k.shape[1] or q.shape[1] % k.shape[1]:
        raise ValueError(
            "q, k and v must share batch and heads (use expand for shared ones; k and v may have a divisor of q's "
            f"heads), but have {tuple(q.shape[:2])}, {tuple(k.shape[:2])} and {tuple(v.shape[:2])}."
        )


def _check_broadcast(
    name: str, tensor: Tensor | None, shape: tuple[int, ...], like: Tensor, *, boolean: bool = False
) -> None:
    if tensor is None:
        return
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, but is {type(tensor).__name__}.")
    if tensor.layout != torch.strided:
        sparse = " A sparse prior must be in the COO layout." if name == "prior" else ""
        raise TypeError(f"{name} must be a dense tensor, but has the layout {tensor.layout}.{sparse}")
    if tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}, but q, k and v are on {like.device}.")
    if boolean and tensor.dtype != torch.bool:
        raise TypeError(f"{name} must be bool (True: may attend), but is {tensor.dtype}.")
    if not boolean and not tensor.is_floating_point():
        raise TypeError(f"{name} must be floating point, but is {tensor.dtype}.")
    try:
        broadcast = torch.broadcast_shapes(tensor.shape, shape)
    except RuntimeError:
        broadcast = None
    if broadcast != torch.Size(shape):
        raise ValueError(f"{name} must broadcast to {shape}, but has shape {tuple(tensor.shape)}.")


def _four_axes(tensor: Tensor, n: int, m: int) -> Tensor:
    """(1 or batch, 1 or heads, n, m), a view."""
    tensor = tensor[(None,) * (4 - tensor.dim())]
    return tensor.expand(*tensor.shape[:2], n, m)


def _check_prior(prior: Any, exclude: Exclusions | None, q: Tensor, k: Tensor) -> Tensor | SparsePrior | None:
    if prior is None:
        return None
    n, m = q.shape[2], k.shape[2]
    if not (isinstance(prior, Tensor) and prior.is_sparse):
        _check_broadcast("prior", prior, (*q.shape[:2], n, m), q)
        return _four_axes(prior, n, m)
    if prior.shape != (n, m) or prior.sparse_dim() != 2:
        raise ValueError(f"A sparse prior must have shape {(n, m)} and two sparse axes, but has {tuple(prior.shape)}.")
    if prior.device != q.device:
        raise ValueError(f"prior is on {prior.device}, but q, k and v are on {q.device}.")
    if not prior.is_floating_point():
        raise TypeError(f"prior must be floating point, but is {prior.dtype}.")
    prior = prior.coalesce()
    queries, keys = prior.indices()
    if not torch.compiler.is_compiling():
        _check_apart(queries, keys, exclude, m)
    return SparsePrior(queries, keys, prior.values())


def _check_apart(queries: Tensor, keys: Tensor, exclude: Exclusions | None, m: int) -> None:
    if exclude is None:
        return
    both = torch.isin(queries * m + keys, exclude.queries * m + exclude.keys).nonzero()
    if len(both):
        at = int(both[0])
        raise ValueError(
            f"query {int(queries[at])} and key {int(keys[at])} are excluded and have a prior; leave one of them."
        )


def _check_pairs(pairs: tuple[Tensor, Tensor], q: Tensor, k: Tensor) -> Exclusions:
    if isinstance(pairs, Tensor) or not isinstance(pairs, (tuple, list)) or len(pairs) != 2:
        raise TypeError(f"exclude must be a pair of index vectors (queries, keys), but is {type(pairs).__name__}.")
    queries, keys = pairs
    for axis, index in (("queries", queries), ("keys", keys)):
        if not isinstance(index, Tensor):
            raise TypeError(f"exclude needs one int64 index vector of {axis}, not {type(index).__name__}.")
        if index.dtype != torch.int64 or index.dim() != 1:
            raise TypeError(f"exclude needs one int64 index vector of {axis}, not {index.dtype} {tuple(index.shape)}.")
        if index.device != q.device:
            raise ValueError(f"exclude's {axis} are on {index.device}, but q, k and v are on {q.device}.")
    if queries.shape != keys.shape:
        raise ValueError(f"exclude must list pairs, but has {len(queries)} queries and {len(keys)} keys.")
    # What follows looks at numbers, which a compiler that traces shapes cannot: there the operator does.
    if not torch.compiler.is_compiling():
        check_listed(queries, keys, None, None, q.shape[2], k.shape[2])
    return Exclusions(queries, keys)


def check_listed(
    queries: Tensor | None,
    keys: Tensor | None,
    prior_queries: Tensor | None,
    prior_keys: Tensor | None,
    n: int,
    m: int,
) -> None:
    """Raise ValueError where excluded pairs are out of range, listed twice, or have a prior as well."""
    if queries is None or keys is None or not len(queries):
        return
    for axis, index, size in (("queries", queries, n), ("keys", keys, m)):
        if not (int(index.min()) >= 0 and int(index.max()) < size):
            raise ValueError(f"exclude names {axis} outside 0..{size - 1}.")
    found, counts = (queries * m + keys).unique(return_counts=True)
    if len(found) < len(queries):
        # The linear form subtracts every pair listed, so a pair listed twice would be subtracted twice.
        query, key = divmod(int(found[counts > 1][0]), m)
        raise ValueError(f"exclude lists query {query} and key {key} more than once; list every pair once.")
    if prior_queries is not None and prior_keys is not None:
        _check_apart(prior_queries, prior_keys, Exclusions(queries, keys), m)
