"""What every form of the attention agrees on: argument checks, excluded pairs, and the meaning of eps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Exclusions(NamedTuple):
    """Pairs that may not attend: query `queries[p]` never sees key `keys[p]` (both int64, shape (pairs,))."""

    queries: Tensor
    keys: Tensor


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
    key_weights: Tensor | None,
    exclude: tuple[Tensor, Tensor] | None,
    sink: Tensor | None,
    eps: float,
) -> Exclusions | None:
    """Raise before any computation where shapes, types or devices do not fit; return checked exclusions."""
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
    if k.shape[-1] != q.shape[-1]:
        raise ValueError(f"q and k must share head_dim, but have {q.shape[-1]} and {k.shape[-1]}.")
    if v.shape[-2] != k.shape[-2]:
        raise ValueError(f"k and v must share the number of keys, but have {k.shape[-2]} and {v.shape[-2]}.")
    if min(k.shape[-1], k.shape[-2]) == 0:
        raise ValueError(f"There must be at least one key and one feature, but k has shape {tuple(k.shape)}.")
    if not q.shape[:2] == k.shape[:2] == v.shape[:2]:
        raise ValueError(
            "q, k and v must share batch and heads (use expand for shared ones), but have "
            f"{tuple(q.shape[:2])}, {tuple(k.shape[:2])} and {tuple(v.shape[:2])}."
        )
    if not eps >= 0:
        raise ValueError(f"eps must not be negative, but is {eps}.")
    _check_broadcast("key_weights", key_weights, (*k.shape[:2], k.shape[2]), k)
    _check_broadcast("sink", sink, (*q.shape[:2], q.shape[2]), q)
    return None if exclude is None else _check_exclusions(exclude, q, k)


def _check_broadcast(name: str, tensor: Tensor | None, shape: tuple[int, ...], like: Tensor) -> None:
    if tensor is None:
        return
    if tensor.device != like.device:
        raise ValueError(f"{name} is on {tensor.device}, but q, k and v are on {like.device}.")
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must be floating point, but is {tensor.dtype}.")
    try:
        broadcast = torch.broadcast_shapes(tensor.shape, shape)
    except RuntimeError:
        broadcast = None
    if broadcast != torch.Size(shape):
        raise ValueError(f"{name} must broadcast to {shape}, but has shape {tuple(tensor.shape)}.")


def _check_exclusions(exclude: tuple[Tensor, Tensor], q: Tensor, k: Tensor) -> Exclusions:
    queries, keys = exclude
    for name, index, size in (("queries", queries, q.shape[2]), ("keys", keys, k.shape[2])):
        if not isinstance(index, Tensor):
            raise TypeError(f"exclude needs one int64 index vector of {name}, not {type(index).__name__}.")
        if index.dtype != torch.int64 or index.dim() != 1:
            raise TypeError(f"exclude needs one int64 index vector of {name}, not {index.dtype} {tuple(index.shape)}.")
        if index.device != q.device:
            raise ValueError(f"exclude's {name} are on {index.device}, but q, k and v are on {q.device}.")
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < size):
            raise ValueError(f"exclude names {name} outside 0..{size - 1}.")
    if queries.shape != keys.shape:
        raise ValueError(f"exclude must list pairs, but has {len(queries)} queries and {len(keys)} keys.")
    pairs, counts = (queries * k.shape[2] + keys).unique(return_counts=True)
    if len(pairs) < len(queries):
        # The linear form subtracts every pair listed, so a pair listed twice would be subtracted twice.
        query, key = divmod(int(pairs[counts > 1][0]), k.shape[2])
        raise ValueError(f"exclude lists query {query} and key {key} more than once; list every pair once.")
    return Exclusions(queries, keys)
