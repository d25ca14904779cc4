"""Attention maps averaged over cells, without a cells x genes x genes tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor

from grn.kernels import map_tiles
from grn.kernels._inputs import check_inputs, widened
from grn.kernels.attention import spherical_attention
from grn.kernels.dispatch import why_not_triton
from grn.kernels.pairs import own_keys

Statistic = Literal["mean", "abs", "square"]
STATISTICS: tuple[Statistic, ...] = ("mean", "abs", "square")
Pairs = tuple[Tensor, Tensor] | None


@dataclass(frozen=True)
class AttentionMaps:
    """Statistics of A over the cells of each group, (groups, heads, n, m), or (groups, heads, n, top_k) at `keys`.

    Attributes
    ----------
    statistics
        The statistics that were asked for, by name. Reading another raises ValueError.
    keys
        The keys of largest |mean of A| for each query, strongest first, int64; None if all keys are there.
    """

    statistics: dict[str, Tensor]
    keys: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean of A."""
        return self._get("mean")

    @property
    def abs(self) -> Tensor:
        """Mean of |A|."""
        return self._get("abs")

    @property
    def square(self) -> Tensor:
        """Mean of A^2."""
        return self._get("square")

    @property
    def std(self) -> Tensor:
        """Standard deviation of A over the cells of a group (divisor: number of cells), from mean and square."""
        return (self.square - self.mean.square()).clamp_(min=0).sqrt_()

    @property
    def sign_consistency(self) -> Tensor:
        """Mean of A over mean of |A|: 1 or -1 if all cells agree on the sign, 0 if they cancel or A is 0 in all."""
        return torch.where(self.abs > 0, self.mean / self.abs, 0.0)

    def _get(self, name: str) -> Tensor:
        if name not in self.statistics:
            raise ValueError(f"These maps have no {name!r}; ask attention_maps for it in statistics.")
        return self.statistics[name]


def row_norms(
    q: Tensor, k: Tensor, key_weights: Tensor | None, exclude: Pairs, sink: Tensor | None, eps: float
) -> Tensor:
    """Inverse norm r of each cell's rows, (cells, heads, n), after the checks of `grn.kernels.spherical_attention`."""
    # Scores are taken of q and k as they are, so the norm must be too. One value column is the least to ask for.
    with torch.autocast(q.device.type, enabled=False):
        _, inverse_norm = spherical_attention(
            q, k, k[..., :1], key_weights=key_weights, exclude=exclude, sink=sink, eps=eps, return_norm=True
        )
    return inverse_norm


def weighted_keys(k: Tensor, key_weights: Tensor | None) -> Tensor:
    """Keys times their weights, rounded to the keys' type as in `grn.kernels.spherical_attention`."""
    if key_weights is None:
        return k
    wide = widened(k)
    return (wide * key_weights.to(wide.dtype).unsqueeze(-1)).to(k.dtype)


@torch.no_grad()
def attention_maps(
    q: Tensor,
    k: Tensor,
    *,
    groups: Tensor | None = None,
    statistics: Sequence[Statistic] = STATISTICS,
    top_k: int | None = None,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
) -> AttentionMaps:
    """Statistics of the attention map over the cells of each group, not differentiable.

    Memory is that of the result. With `top_k` no genes x genes tensor is held on a processor; on a GPU each tile of 32
    to 128 keys has its own `top_k` candidates first, which is less only where `top_k` is well below that. The mean
    alone costs one matrix product with inner dimension cells x head_dim, all three statistics less than twice that.

    Parameters
    ----------
    q
        Queries, (cells, heads, n, head_dim).
    k
        Keys, (cells, key heads, m, head_dim), where key heads divides heads; expand keys that all cells share.
    groups
        Group of each cell, int64 (cells,), 0 .. groups - 1; without it all cells are one group.
    statistics
        Which of "mean" (of A), "abs" (mean of |A|) and "square" (mean of A^2).
    top_k
        Keep only this number of keys for each query: those of largest |mean of A|.
    key_weights, exclude, sink, eps
        As in `grn.kernels.spherical_attention`. Excluded pairs are exactly 0 in all statistics.

    Returns
    -------
    The statistics, float32 (float64 for float64 inputs). A group without cells is zero.

    Raises
    ------
    TypeError, ValueError
        Before any computation, where arguments do not fit each other or a statistic is unknown.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import attention_maps
    >>> maps = attention_maps(torch.randn(8, 2, 50, 16), torch.randn(8, 2, 30, 16))
    >>> maps.mean.shape, maps.sign_consistency.shape
    (torch.Size([1, 2, 50, 30]), torch.Size([1, 2, 50, 30]))
    """
    statistics = _check_statistics(statistics)
    check_inputs(q, k, k, key_weights=key_weights, exclude=exclude, sink=sink, eps=eps)
    order, offsets = _sorted_by_group(groups, q)
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool)):
        raise TypeError(f"top_k must be a whole number of keys, but is {top_k!r}.")
    if top_k is not None and not 1 <= top_k <= k.shape[2]:
        raise ValueError(f"top_k must be between 1 and the number of keys, {k.shape[2]}, but is {top_k}.")
    inverse_norm = row_norms(q, k, key_weights, exclude, sink, eps)
    k = weighted_keys(k, key_weights)
    tiles: Any = map_tiles
    if why_not_triton("linear", q.device.type, q.dtype, q.shape[-1]) is None:
        tiles = import_module("grn.kernels.gpu.maps")
        k = k if k.shape[1] == q.shape[1] else k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    own = None if exclude is None else own_keys(*exclude, q.shape[2])
    listed = exclude if own is None else None
    arguments = (q, k, inverse_norm, order, offsets)
    with torch.autocast(q.device.type, enabled=False):
        if top_k is None:
            keys, found = None, tiles.accumulate(*arguments, own=own, statistics=statistics)
            if listed is not None:
                for full in found.values():
                    full[..., listed[0], listed[1]] = 0
        elif listed is None:
            keys, found = tiles.accumulate_top(*arguments, own=own, statistics=statistics, top_k=top_k)
        else:
            # Enough keys that top_k are left without the excluded ones.
            wanted = min(top_k + int(torch.bincount(listed[0]).max()), k.shape[2])
            names = ["mean", *(name for name in statistics if name != "mean")]
            keys, found = tiles.accumulate_top(*arguments, own=None, statistics=names, top_k=wanted)
            keys, found = _excluded_last(keys, found, listed, k.shape[2], top_k)
    return AttentionMaps({name: found[name] for name in statistics}, keys)


def _check_statistics(statistics: Sequence[Statistic]) -> tuple[Statistic, ...]:
    names: tuple[Any, ...] = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    unknown = [name for name in names if name not in STATISTICS]
    if unknown or not names:
        raise ValueError(f"statistics must be some of {', '.join(map(repr, STATISTICS))}, but is {statistics!r}.")
    return tuple(dict.fromkeys(names))


def _sorted_by_group(groups: Tensor | None, q: Tensor) -> tuple[Tensor, Tensor]:
    """Cells sorted by group, and where each group begins among them (one more entry than groups)."""
    if groups is None:
        groups = torch.zeros(len(q), dtype=torch.int64, device=q.device)
    if not isinstance(groups, Tensor):
        raise TypeError(f"groups must be an int64 tensor, but is {type(groups).__name__}.")
    if groups.device != q.device:
        raise ValueError(f"groups are on {groups.device}, but q and k are on {q.device}.")
    if groups.shape != (len(q),) or groups.dtype != torch.int64:
        raise ValueError(
            f"groups must be int64 with one entry for each of the {len(q)} cells, but is {groups.dtype} "
            f"{tuple(groups.shape)}."
        )
    if not len(groups) or int(groups.min()) < 0:
        raise ValueError("groups must name at least one cell's group, and none below 0.")
    return torch.argsort(groups, stable=True), torch.nn.functional.pad(torch.bincount(groups).cumsum(0), (1, 0))


def _excluded_last(
    keys: Tensor, found: dict[str, Tensor], listed: tuple[Tensor, Tensor], m: int, top_k: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The first `top_k` of the keys that are not excluded; then, with statistics of 0, of those that are."""
    rows = torch.arange(keys.shape[2], device=keys.device).unsqueeze(1)
    hidden = torch.isin(rows * m + keys, listed[0] * m + listed[1])
    size = found["mean"].abs().masked_fill_(hidden, -1)
    best = torch.sort(size, dim=-1, descending=True, stable=True).indices[..., :top_k]
    shown = {name: values.masked_fill(hidden, 0).gather(-1, best) for name, values in found.items()}
    return keys.gather(-1, best), shown
