"""Launches of the quadratic form's kernels: arguments, tiles and constants from tensors of any device.

Meta tensors will do, so that what is compiled offline is what is launched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import triton
from torch import Tensor

from grn.kernels.dropout import threshold
from grn.kernels.gpu.flashsign_backward import key_kernel, prepare_kernel, query_kernel
from grn.kernels.gpu.flashsign_configs import CONFIGS, SHIPPED, head_dims
from grn.kernels.gpu.flashsign_forward import forward_kernel
from grn.kernels.gpu.flashsign_prior import prior_kernel
from grn.kernels.gpu.launch import Config, Launch, dense_rows, pair_arguments, row_arguments


def common_arguments(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    own: Tensor | None,
    mask: Tensor | None,
    prior: Tensor | None,
    dropout_p: float,
    seed: Tensor | None,
) -> dict[str, Any]:
    """Arguments that every kernel takes."""
    limit = threshold(dropout_p)
    return {
        **row_arguments("q", dense_rows(q)),
        **row_arguments("k", dense_rows(k)),
        **row_arguments("v", dense_rows(v)),
        **pair_arguments("mask", mask),
        **pair_arguments("prior", prior),
        "own": own,
        "seed": seed if dropout_p > 0 else None,
        # As a signed number, so that the argument is 32 bits wide for any probability.
        "threshold": limit if limit < 2**31 else limit - 2**32,
        "heads": q.shape[1],
        "group": q.shape[1] // k.shape[1],
        "n": q.shape[2],
        "m": k.shape[2],
        "d": q.shape[3],
        "dv": v.shape[3],
    }


def has_pairs(common: dict[str, Any]) -> bool:
    """Whether an option holds a further tile over pairs in registers, for which there are smaller tiles."""
    return any(common[name] is not None for name in ("mask", "prior", "seed"))


def may_be_atomic(common: dict[str, Any]) -> bool:
    """Whether the kernel that adds to dq by atomic operations fits in registers: bfloat16 without pair options.

    float16 needs two more factors for each query, which spill at head dims 64 and 128 on Hopper.
    """
    return common["q"].dtype == torch.bfloat16 and not has_pairs(common)


def _padded(d: int, common: dict[str, Any]) -> int:
    width, pairs = common["q"].element_size(), has_pairs(common)
    sizes = head_dims(width, pairs)
    fitting = [size for size in sizes if size >= d]
    if not fitting or (width, pairs) not in SHIPPED:
        options = "with mask, prior or dropout" if pairs else "without options over pairs"
        raise ValueError(
            f"No Triton kernel of the quadratic form takes a head dim of {d} in {common['q'].dtype} {options}; "
            "ask `supports` first, and take the chunked form."
        )
    return fitting[0]


def _config(kernel: str, kind: int, common: dict[str, Any]) -> Config:
    size = _padded(max(common["d"], common["dv"]), common)
    return CONFIGS[kernel, kind, size, common["q"].element_size(), has_pairs(common)]


def _sizes(config: Config, common: dict[str, Any]) -> dict[str, Any]:
    block_d, block_v = _padded(common["d"], common), _padded(common["dv"], common)
    return {
        "BLOCK_N": config.queries,
        "BLOCK_M": config.keys,
        "BLOCK_D": block_d,
        "BLOCK_V": block_v,
        "CHECK_N": common["n"] % config.queries != 0,
        "CHECK_M": common["m"] % config.keys != 0,
        "CHECK_D": common["d"] != block_d,
        "CHECK_V": common["dv"] != block_v,
        # Triton's default for float32 is one tf32 product, with 10 bits of mantissa.
        "PRECISION": "tf32x3" if common["q"].dtype == torch.float32 else "tf32",
    }


def _launch(kernel: Any, tiles_of: str, name: str, kind: int, common: dict[str, Any], extra: dict[str, Any]) -> Launch:
    config = _config(name, kind, common)
    batch, heads = common["q"].shape[:2]
    programs = {
        "queries": batch * heads * triton.cdiv(common["n"], config.queries),
        "keys": batch * heads // common["group"] * triton.cdiv(common["m"], config.keys),
        "pairs": triton.cdiv(common["n"], config.queries) * triton.cdiv(common["m"], config.keys),
    }[tiles_of]
    arguments = {**common, **extra, **_sizes(config, common)}
    return Launch(kernel, programs, arguments, config)


def forward_launch(
    kind: int,
    common: dict[str, Any],
    output: Tensor,
    inverse_norm: Tensor,
    mass: Tensor | None,
    bound: Tensor | None,
    eps: float,
    dropout_p: float,
) -> Launch:
    """`bound` as in `forward_kernel`, for float16."""
    extra = {
        "output": output,
        "inverse_norm": inverse_norm,
        "mass": None if mass is None else mass.contiguous(),
        "bound": bound,
        "eps": float(eps),
        "output_scale": 1 / (1 - dropout_p),
    }
    return _launch(forward_kernel, "queries", "forward", kind, common, extra)


def prepare_launch(
    kind: int,
    common: dict[str, Any],
    d_output: Tensor,
    d_inverse_norm: Tensor,
    output: Tensor,
    inverse_norm: Tensor,
    weighted: Tensor,
    d_square: Tensor,
    dropout_p: float,
    atomic: bool,
) -> tuple[Launch, Tensor | None]:
    """Launch, and the tensor for the ranges of keys that the query tiles of `key_kernel` may not see."""
    queries = _config("atomic" if atomic else "key", kind, common).queries
    own, n = common["own"], common["n"]
    tiles = triton.cdiv(n, queries)
    ranges = None if own is None else torch.empty((tiles, 2), dtype=torch.int32, device=own.device)
    batch, head, row, column = d_output.stride()
    arguments = {
        "d_output": d_output,
        "d_inverse_norm": d_inverse_norm,
        "output": output,
        "inverse_norm": inverse_norm,
        "own": own,
        "weighted": weighted,
        "d_square": d_square,
        "own_ranges": ranges,
        "d_output_batch": batch,
        "d_output_head": head,
        "d_output_row": row,
        "d_output_column": column,
        "heads": common["heads"],
        "n": n,
        "dv": common["dv"],
        "kept_scale": 1 / (1 - dropout_p),
        "NORMALISE": weighted.dtype != torch.float16,
        "BLOCK_N": queries,
        "BLOCK_V": _padded(common["dv"], common),
    }
    programs = d_output.shape[0] * common["heads"] * tiles
    return Launch(prepare_kernel, programs, arguments, Config(queries, 0, num_warps=4, num_stages=1)), ranges


def query_launch(kind: int, common: dict[str, Any], rows: dict[str, Tensor | None], d_q: Tensor) -> Launch:
    """`rows`: what belongs to each query: weighted, d_square, and for float16 factor, slope and unscale."""
    return _launch(query_kernel, "queries", "query", kind, common, {**rows, "d_q": d_q})


def key_launch(
    kind: int,
    common: dict[str, Any],
    rows: dict[str, Tensor | None],
    own_ranges: Tensor | None,
    normal: Tensor | None,
    d_q: Tensor | None,
    d_k: Tensor,
    d_v: Tensor,
    dropout_p: float,
) -> Launch:
    """With `d_q` the kernel that adds to it by atomic operations, without it the deterministic one."""
    extra = {
        **rows,
        "own_ranges": own_ranges,
        "normal": normal,
        "d_q": d_q,
        "d_k": d_k,
        "d_v": d_v,
        "value_scale": 1.0 if normal is None else 1 / (1 - dropout_p),
    }
    return _launch(key_kernel, "keys", "key" if d_q is None else "atomic", kind, common, extra)


def prior_launch(kind: int, common: dict[str, Any], rows: dict[str, Tensor | None], d_prior: Tensor) -> Launch:
    """One program for each tile of `d_prior`."""
    batches, prior_heads = common["q"].shape[0] // d_prior.shape[0], d_prior.shape[1]
    extra = {**rows, "d_prior": d_prior, "batches": batches, "prior_heads": prior_heads}
    launch = _launch(prior_kernel, "pairs", "prior", kind, common, extra)
    return replace(launch, programs=launch.programs * d_prior.shape[0] * prior_heads)
