"""The factorised form on a GPU: O((n + m) d (d + dv)) work, bounded by memory traffic for heads of up to 64 features.

Forward: the states [K^T K | K^T V] in one pass over keys and values, then norms and output in one over the queries.
Backward: the queries' gradients together with the gradients of the states, then those of keys and values.
Float32, float16 and bfloat16 inputs; `grn.kernels.gpu.linear_products` says how each keeps its precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from grn.kernels.gpu.launch import architecture, dense_rows
from grn.kernels.gpu.linear_configs import HEAD_DIMS
from grn.kernels.gpu.linear_launches import (
    INPUTS,
    add_ranges,
    concurrent_programs,
    keys_launches,
    queries_launches,
    rows_launches,
    states_launches,
)
from grn.kernels.gpu.offline import Variant


def core_forward(
    q: Tensor, k: Tensor, v: Tensor, mass: Tensor | None, correction: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, inverse row norms and states of the factorised form.

    Parameters
    ----------
    q, k, v
        (batch, heads, n, d), (batch, heads, m, d) and (batch, heads, m, dv): float32, float16 or bfloat16, any strides,
        d and dv at most 128.
    mass
        Squared sink, (batch, heads, n), or None.
    correction
        Added to each row's sum of squared scores before that is clamped at 0, (batch, heads, n), or None.
    eps
        Absolute term added to the sum.

    Returns
    -------
    Output (batch, heads, n, dv), dtype of `q` (float32 with a correction, to be corrected as well); r (batch, heads, n)
    and states [G | S] (batch, heads, d, d + dv), both float32. Two runs on one device agree bit by bit.
    """
    kind, programs = architecture(q.device), concurrent_programs(q.device)
    q, k, v = dense_rows(q), dense_rows(k), dense_rows(v)
    wide = q.dtype if correction is None else torch.float32
    output = torch.empty(*q.shape[:-1], v.shape[-1], dtype=wide, device=q.device)
    inverse_norm = torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device)
    with torch.cuda.device_of(q):
        states = _sum(*states_launches(kind, programs, k, v))
        for launch in rows_launches(
            kind, programs, q, states, _vector(mass), _vector(correction), output, inverse_norm, eps
        ):
            launch.run()
    return output, inverse_norm, states


def core_backward(
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    inverse_norm: Tensor,
    states: Tensor,
    dot: Tensor | None,
    *,
    value_gradient: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of q, k, v and of each row's sum of squared scores.

    Parameters
    ----------
    d_output, d_inverse_norm
        Gradients of the output and of the inverse norm (None: zero).
    q, k, v, inverse_norm, states
        Inputs and results of `core_forward`.
    dot
        do_i . (what listed pairs add to q_i S), (batch, heads, n), or None.
    value_gradient
        False: d_v is None. One kernel writes it beside d_k, so nothing is saved.

    Returns
    -------
    d_q, d_k, d_v in the shapes and the dtype of q, k, v; d_square (batch, heads, n), float32.
    """
    kind, programs = architecture(q.device), concurrent_programs(q.device)
    q, k, v, d_output = (dense_rows(tensor) for tensor in (q, k, v, d_output.to(q.dtype)))
    d_q, d_k, d_v = (torch.empty(tensor.shape, dtype=tensor.dtype, device=q.device) for tensor in (q, k, v))
    d_square = torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device)
    inverse_norm, states = inverse_norm.contiguous(), states.contiguous()
    with torch.cuda.device_of(q):
        launches, partial = queries_launches(
            kind, programs, d_output, _vector(d_inverse_norm), q, inverse_norm, states, _vector(dot), d_q, d_square
        )
        for launch in launches:
            launch.run()
        if partial is None:
            d_states = _sum(*states_launches(kind, programs, q, d_output, d_square, inverse_norm))
        else:
            d_states = add_ranges(partial)
        for launch in keys_launches(kind, programs, k, v, d_states, d_k, d_v):
            launch.run()
    return d_q, d_k, d_v if value_gradient else None, d_square


def _sum(launches: list[Any], partial: Tensor) -> Tensor:
    for launch in launches:
        launch.run()
    return add_ranges(partial)


def _vector(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.to(torch.float32).contiguous()


def variants(capability: int) -> Iterator[Variant]:
    """Every shipped configuration on an architecture (80, 90 or 100), with every option on."""
    shapes = [(d, d, dtype) for d, dtype in product(HEAD_DIMS, INPUTS)]
    if capability == 90:  # narrow values take other launches
        shapes += product((64, 128), (16, 32), (torch.bfloat16, torch.float16))
    for d, dv, dtype in shapes:
        name = INPUTS[dtype]
        rows = torch.empty(2, 4, 4096, d, dtype=dtype, device="meta")
        values = torch.empty(2, 4, 4096, dv, dtype=dtype, device="meta")
        vector = torch.empty(2, 4, 4096, device="meta")
        states = torch.empty(2, 4, d, d + dv, device="meta")
        setting = capability, 264
        queries, partial = queries_launches(*setting, values, vector, rows, vector, states, vector, rows, vector)
        launches = {
            "states": states_launches(*setting, rows, values)[0],
            "rows": rows_launches(*setting, rows, states, vector, vector, values, vector, 1e-3),
            "queries": queries,
            "keys": keys_launches(*setting, rows, values, states, rows, values),
        }
        if partial is None:
            launches["weighted states"] = states_launches(*setting, rows, values, vector, vector)[0]
        wide = f"d{d}" if d == dv else f"d{d} dv{dv}"
        for kernel, steps in launches.items():
            for step, launch in enumerate(steps):
                yield launch.variant(f"linear {kernel}{step or ''} {wide} {name}")
