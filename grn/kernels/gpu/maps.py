"""Attention maps on a GPU: means over cells of A, |A| and A^2 in one pass, without a cells x n x m tensor.

A program owns a tile of pairs and walks over the cells of one group, so that cost depends on groups only through the
output. Where only the strongest keys of each query are asked for, no n x m tensor is stored either: each tile writes
its own strongest keys, and a sort over these candidates finds the strongest of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
import triton
from torch import Tensor

from grn.kernels.gpu.launch import Config, Launch, architecture, dense_rows, row_arguments
from grn.kernels.gpu.maps_kernel import maps_kernel
from grn.kernels.gpu.offline import Variant

STATISTICS = ("mean", "abs", "square")
INPUTS = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
HEAD_DIMS = (16, 32, 64, 128)
DEPTH = {2: 64, 4: 32}
"""Features that one product of tiles goes over, by bytes of an element."""

# By architecture and bytes of an element. Not timed on a GPU: three float32 tiles of sums and one of scores must stay
# in registers.
CONFIGS: dict[tuple[int, int], Config] = {
    (80, 2): Config(64, 32, 4, 2),
    (90, 2): Config(64, 64, 4, 2),
    (100, 2): Config(64, 64, 8, 2),
    (80, 4): Config(64, 32, 8, 2),
    (90, 4): Config(64, 32, 4, 2),
    (100, 4): Config(64, 32, 4, 2),
}


def accumulate(
    q: Tensor,
    k: Tensor,
    inverse_norm: Tensor,
    order: Tensor,
    offsets: Tensor,
    *,
    own: Tensor | None,
    statistics: Sequence[str],
) -> dict[str, Tensor]:
    """Statistics of A over the cells of each group.

    Parameters
    ----------
    q, k
        (cells, heads, n, d) and (cells, heads, m, d), float32, float16 or bfloat16, d at most 128; keys that all cells
        share are expanded.
    inverse_norm
        r of each row, float32 (cells, heads, n).
    order, offsets
        Cells sorted by group, integer (cells,), and where each group begins in it, integer (groups + 1,).
    own
        int32 (n,): the one key whose entry is 0 in each query's row, -1 for none; or None.
    statistics
        Which of "mean" (of A), "abs" (mean of |A|) and "square" (mean of A^2).

    Returns
    -------
    Each statistic by name, float32 (groups, heads, n, m); zero for a group without cells.

    Raises
    ------
    ValueError
        For an unknown statistic.
    """
    shape = len(offsets) - 1, q.shape[1], q.shape[2], k.shape[2]
    found = {name: torch.empty(shape, dtype=torch.float32, device=q.device) for name in _checked(statistics)}
    with torch.cuda.device_of(q):
        _launch(architecture(q.device), q, k, inverse_norm, order, offsets, own, found, None, 0).run()
    return found


def accumulate_top(
    q: Tensor,
    k: Tensor,
    inverse_norm: Tensor,
    order: Tensor,
    offsets: Tensor,
    *,
    own: Tensor | None,
    statistics: Sequence[str],
    top_k: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The `top_k` keys of largest |mean of A| for each group, head and query, strongest first, and their statistics.

    Parameters are those of `accumulate`. Of keys of equal size the lower comes first.

    Returns
    -------
    Keys, int64 (groups, heads, n, top_k), and each statistic by name, float32 of the same shape.

    Raises
    ------
    ValueError
        For an unknown statistic, or a `top_k` that is not within 1 and the number of keys.
    """
    if not 1 <= top_k <= k.shape[2]:
        raise ValueError(f"top_k must be between 1 and the number of keys, {k.shape[2]}, but is {top_k}.")
    kind = architecture(q.device)
    tile = CONFIGS[kind, q.element_size()].keys
    keep = min(top_k, tile)
    shape = len(offsets) - 1, q.shape[1], q.shape[2], -(-k.shape[2] // tile), keep
    # The mean says which keys are strongest, asked for or not.
    names = dict.fromkeys(("mean", *_checked(statistics)))
    found = {name: torch.empty(shape, dtype=torch.float32, device=q.device) for name in names}
    index = torch.empty(shape, dtype=torch.int32, device=q.device)
    with torch.cuda.device_of(q):
        _launch(kind, q, k, inverse_norm, order, offsets, own, found, index, keep).run()
    index = index.flatten(-2)
    candidates = {name: tensor.flatten(-2) for name, tensor in found.items()}
    size = candidates["mean"].abs().masked_fill_(index < 0, -1)
    # Candidates of equal size stand in the order of their keys, which a stable sort keeps.
    best = torch.sort(size, dim=-1, descending=True, stable=True).indices[..., :top_k]
    return index.gather(-1, best).long(), {name: candidates[name].gather(-1, best) for name in statistics}


def _checked(statistics: Sequence[str]) -> Sequence[str]:
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown or not statistics:
        raise ValueError(f"statistics must name some of {', '.join(STATISTICS)}, but is {list(statistics)}.")
    return statistics


def _launch(
    kind: int,
    q: Tensor,
    k: Tensor,
    inverse_norm: Tensor,
    order: Tensor,
    offsets: Tensor,
    own: Tensor | None,
    found: dict[str, Tensor],
    index: Tensor | None,
    keep: int,
) -> Launch:
    config = CONFIGS[kind, q.element_size()]
    heads, (n, d), m = q.shape[1], q.shape[2:], k.shape[2]
    arguments: dict[str, Any] = {
        **row_arguments("q", dense_rows(q)),
        **row_arguments("k", dense_rows(k)),
        "inverse_norm": inverse_norm.to(torch.float32).contiguous(),
        "order": order,
        "offsets": offsets,
        "own": own,
        "mean": found.get("mean"),
        "absolute": found.get("abs"),
        "square": found.get("square"),
        "index": index,
        "heads": heads,
        "n": n,
        "m": m,
        "D": d,
        "DEPTH": min(DEPTH[q.element_size()], max(HEAD_DIMS[0], triton.next_power_of_2(d))),
        "BLOCK_N": config.queries,
        "BLOCK_M": config.keys,
        "ABSOLUTE": "abs" in found,
        "SQUARE": "square" in found,
        "KEEP": keep,
        "INPUT": INPUTS[q.dtype],
    }
    programs = (len(offsets) - 1) * heads * -(-n // config.queries) * -(-m // config.keys)
    return Launch(maps_kernel, programs, arguments, config)


def variants(capability: int) -> Iterator[Variant]:
    """Every shipped configuration on an architecture (80, 90 or 100): all maps, the strongest keys, the mean alone."""
    for d, (dtype, name) in product(HEAD_DIMS, INPUTS.items()):
        rows = torch.empty(16, 4, 1024, d, dtype=dtype, device="meta")
        norm = torch.empty(16, 4, 1024, device="meta")
        order, offsets = (
            torch.empty(16, dtype=torch.int64, device="meta"),
            torch.empty(4, dtype=torch.int64, device="meta"),
        )
        own = torch.empty(1024, dtype=torch.int32, device="meta")
        maps = dict.fromkeys(STATISTICS, torch.empty(3, 4, 1024, 1024, device="meta"))
        setting = capability, rows, rows, norm, order, offsets, own
        yield _launch(*setting, maps, None, 0).variant(f"maps d{d} {name}")
        yield _launch(*setting, {"mean": maps["mean"]}, None, 0).variant(f"maps of the mean d{d} {name}")
        yield _launch(*setting, maps, own, 10).variant(f"maps of the strongest d{d} {name}")
