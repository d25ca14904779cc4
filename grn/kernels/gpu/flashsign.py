"""The quadratic form on a GPU, with every option: launches and their configurations.

Scores live in tiles only, so memory is O(n d). The tables below say which tile each kernel takes; `variants` lists
them all for `grn.kernels.gpu.offline`, which compiles them and fails where registers spill.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from grn.kernels.gpu.flashsign_configs import SHIPPED, head_dims
from grn.kernels.gpu.flashsign_launches import (
    common_arguments,
    forward_launch,
    key_launch,
    may_be_atomic,
    prepare_launch,
    prior_launch,
    query_launch,
)
from grn.kernels.gpu.launch import architecture
from grn.kernels.gpu.offline import Variant


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    own: Tensor | None,
    mask: Tensor | None,
    prior: Tensor | None,
    mass: Tensor | None,
    eps: float,
    dropout_p: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Output and inverse row norm.

    Parameters
    ----------
    q, k, v
        (batch, heads, n, d), (batch, key heads, m, d), (batch, key heads, m, dv); float32, float16 or bfloat16.
    own
        int32 (n,): the one key that each query may not see, -1 for none.
    mask
        bool (batch or 1, heads or 1, n, m), True for a pair that may attend.
    prior
        Floating point (batch or 1, heads or 1, n, m), added to the scores.
    mass
        float32 (batch, heads, n), added to the sum of squares.
    eps
        Likewise, absolute.
    dropout_p, seed
        Share of the attention that is dropped, and int64 (1,) that says which.

    Returns
    -------
    Output (batch, heads, n, dv), in the type of q, and r (batch, heads, n), float32.
    """
    output = q.new_empty((*q.shape[:3], v.shape[-1]))
    inverse_norm = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    common = common_arguments(q, k, v, own, mask, prior, dropout_p, seed)
    bound = _score_bound(common["k"], prior) if q.dtype == torch.float16 else None
    with torch.cuda.device_of(q):
        forward_launch(architecture(q.device), common, output, inverse_norm, mass, bound, eps, dropout_p).run()
    return output, inverse_norm


def backward(
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    inverse_norm: Tensor,
    *,
    own: Tensor | None,
    mask: Tensor | None,
    prior: Tensor | None,
    dropout_p: float,
    seed: Tensor | None,
    deterministic: bool,
    prior_gradient: bool,
    value_gradient: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor]:
    """Gradients of q, k, v, of the prior if asked for (in its shape, summed over shared axes), and of the square.

    `deterministic` runs two kernels, 7 products of a tile. Without it one kernel with 5 products adds to dq by atomic
    operations, for bfloat16 without options over pairs; the others have the deterministic kernels alone. The prior's
    gradient is one more pass over the pairs. The gradient of the sum of squares (batch, heads, n), float32, is what a
    sink needs. Without `value_gradient` that of v is None; one kernel writes it beside d_k, so nothing is saved.
    """
    kind = architecture(q.device)
    d_inverse_norm = torch.zeros_like(inverse_norm) if d_inverse_norm is None else d_inverse_norm
    common = common_arguments(q, k, v, own, mask, prior, dropout_p, seed)
    atomic = not deterministic and may_be_atomic(common)
    weighted = torch.empty(output.shape, dtype=output.dtype, device=q.device)
    d_square = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    d_k, d_v = (
        torch.empty(k.shape, dtype=k.dtype, device=q.device),
        torch.empty(v.shape, dtype=v.dtype, device=q.device),
    )
    if atomic:
        d_q = torch.zeros(q.shape, dtype=torch.float32, device=q.device)
    else:
        d_q = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    d_prior = (
        torch.empty(prior.shape, dtype=prior.dtype, device=q.device) if prior_gradient and prior is not None else None
    )
    d_inverse_norm, inverse_norm = d_inverse_norm.contiguous(), inverse_norm.contiguous()
    with torch.cuda.device_of(q):
        launch, own_ranges = prepare_launch(
            kind,
            common,
            d_output,
            d_inverse_norm,
            output.contiguous(),
            inverse_norm,
            weighted,
            d_square,
            dropout_p,
            atomic,
        )
        launch.run()
        rows = {"weighted": weighted, "d_square": d_square, "factor": None, "slope": None, "unscale": None}
        normal = None
        if q.dtype == torch.float16:
            rows |= _half_range(common, weighted, output, inverse_norm, d_inverse_norm, d_square, dropout_p)
            normal = inverse_norm
        if not atomic:
            query_launch(kind, common, rows, d_q).run()
        key_launch(kind, common, rows, own_ranges, normal, d_q if atomic else None, d_k, d_v, dropout_p).run()
        if d_prior is not None:
            prior_launch(kind, common, rows, d_prior).run()
    return d_q.to(q.dtype), d_k, d_v if value_gradient else None, d_prior, d_square


def _score_bound(k: Tensor, prior: Tensor | None) -> Tensor:
    """Largest norm of a key, for each key head in turn, and at the end the largest prior; float32."""
    norms = torch.linalg.vector_norm(k, dim=-1, dtype=torch.float32).amax(-1).flatten()
    largest = norms.new_zeros(1) if prior is None else prior.abs().amax().to(torch.float32).reshape(1)
    return torch.cat((norms, largest))


def _half_range(
    common: dict[str, Any],
    weighted: Tensor,
    output: Tensor,
    inverse_norm: Tensor,
    d_inverse_norm: Tensor,
    d_square: Tensor,
    dropout_p: float,
) -> dict[str, Tensor]:
    """Factors of each row that bring the gradients of all scores of a key head below 2^14, for float16.

    |dS_ij| <= r_i (|do_i| (max_j |v_j| / (1 - p) + |o_i|) + |dr_i r_i|), because |A_ij| <= 1.
    """
    batch, heads, n = inverse_norm.shape
    grouped = (batch, heads // common["group"], common["group"], n)
    largest_value = torch.linalg.vector_norm(common["v"], dim=-1, dtype=torch.float32).amax(-1)[:, :, None, None]
    d_length, length = (
        torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float32).view(grouped) for rows in (weighted, output)
    )
    r = inverse_norm.view(grouped)
    bound = r * (d_length * (largest_value / (1 - dropout_p) + length) + (d_inverse_norm.view(grouped) * r).abs())
    peak = bound.amax((2, 3), keepdim=True)
    power = torch.where(peak > 0, torch.exp2((14 - peak.log2().ceil()).clamp(-100, 100)), 1.0)
    return {
        "factor": (power * r / (1 - dropout_p)).contiguous(),
        "slope": (power * 2 * d_square.view(grouped)).contiguous(),
        "unscale": power.reciprocal().contiguous(),
    }


def supports(q: Tensor, v: Tensor, *, pairs: bool) -> bool:
    """Whether there are kernels for this type and these head dims, with mask, prior or dropout if `pairs`."""
    if (q.element_size(), pairs) not in SHIPPED or q.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return False
    return max(q.shape[-1], v.shape[-1]) <= head_dims(q.element_size(), pairs)[-1]


def variants(capability: int) -> Iterator[Variant]:
    """Every shipped configuration for compute capability 80, 90 or 100, with the largest program that takes it.

    That is a length no tile divides, so that bounds are checked; an own key in the plain kernels, all options at once
    in the others. Kernels for float16 hold the factors of `_half_range` besides.
    """
    for width, pairs in SHIPPED:
        for dtype in (torch.float32,) if width == 4 else (torch.float16, torch.bfloat16):
            for d in head_dims(width, pairs):
                yield from _variants(capability, dtype, d, pairs)


def _variants(capability: int, dtype: torch.dtype, d: int, pairs: bool) -> Iterator[Variant]:
    n, heads = 1000, 4

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    q, k, v, output, weighted = (empty(2, heads, n, d, dtype=dtype) for _ in range(5))
    own, each = empty(n, dtype=torch.int32), empty(2, heads, n)
    mask, prior, seed = empty(1, 1, n, n, dtype=torch.bool), empty(1, 1, n, n), empty(1, dtype=torch.int64)
    p = 0.1 if pairs else 0.0
    common = common_arguments(q, k, v, own, *((mask, prior, p, seed) if pairs else (None, None, p, None)))
    half = each if dtype == torch.float16 else None
    rows = {"weighted": weighted, "d_square": each, "factor": half, "slope": half, "unscale": half}
    prepare, ranges = prepare_launch(capability, common, output, each, output, each, weighted, each, p, atomic=False)
    launches = {
        "forward": forward_launch(capability, common, output, each, each if pairs else None, half, 1.0, p),
        "query": query_launch(capability, common, rows, q),
        "key": key_launch(capability, common, rows, ranges, half, None, k, v, p),
    }
    if pairs:
        launches["prior"] = prior_launch(capability, common, rows, prior)
    if may_be_atomic(common):
        launches["atomic"] = key_launch(capability, common, rows, ranges, half, empty(2, heads, n, d), k, v, p)
    end = f"{str(dtype).removeprefix('torch.')}-d{d}-{'pairs' if pairs else 'plain'}"
    for name, launch in launches.items():
        yield launch.variant(f"{name}-{end}")
    if not pairs:
        yield prepare.variant(f"prepare-{end}", tensor_cores=False)
