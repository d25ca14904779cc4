"""Listed pairs: exclusions and sparse priors as corrections of the factorised form, O(pairs x d) on any device.

The factorised form sees every pair's plain score s = q_i . k_j. A listed pair has another score, s + c, with c = -s
where the pair is excluded and c = its prior otherwise. Everything that c changes is a sum over pairs of one of two
kinds: `dots` (one number for each pair) and `spread` (one row for each pair, added to its query's or key's row).
`grn.kernels.factorised` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from grn.kernels._inputs import widened

_LOOPED_HEADS = 8


class Pairs(NamedTuple):
    """Pairs of `queries[p]` and `keys[p]`, int64 (pairs,), each listed once; the same in all batch entries and heads.

    With `prior`, (pairs,), the score of pair p is q.k + prior[p]; without, the pairs are excluded: score 0.
    """

    queries: Tensor
    keys: Tensor
    prior: Tensor | None

    def change(self, scores: Tensor) -> Tensor:
        """What is added to the plain scores (batch, heads, pairs)."""
        return -scores if self.prior is None else self.prior.to(scores.dtype).expand_as(scores)


def dots(rows: Tensor, columns: Tensor, pairs: Pairs) -> Tensor:
    """Inner products of rows (batch, heads, n, d) and columns (batch, heads, m, d): (batch, heads, pairs)."""
    dtype = widened(rows[:0]).dtype
    products = rows.new_empty(*rows.shape[:2], len(pairs.queries), dtype=dtype)
    for cut in _cuts(rows, len(pairs.queries)):
        at_queries, at_keys = _take(rows, pairs.queries[cut]), _take(columns, pairs.keys[cut])
        torch.sum(at_queries.mul_(at_keys), -1, out=products[:, :, cut])
    return products


def spread(target: Tensor, into: Tensor, factors: Tensor, source: Tensor, taken: Tensor) -> None:
    """Add `factors[..., p] * source[..., taken[p], :]` to `target[..., into[p], :]` for every pair p, in place."""
    for cut in _cuts(source, len(into)):
        _add(target, into[cut], _take(source, taken[cut]).mul_(factors[:, :, cut].unsqueeze(-1)))


def own_keys(queries: Tensor, keys: Tensor, n: int) -> Tensor | None:
    """The one excluded key of each query, int32 (n,), -1 for none; None if some query has several."""
    if len(queries) and int(torch.bincount(queries, minlength=n).max()) > 1:
        return None
    own = torch.full((n,), -1, dtype=torch.int32, device=queries.device)
    own[queries] = keys.to(torch.int32)
    return own


def own_and_mask(
    queries: Tensor | None, keys: Tensor | None, mask: Tensor | None, n: int, m: int
) -> tuple[Tensor | None, Tensor | None]:
    """Excluded pairs as the quadratic form takes them.

    Returns
    -------
    own
        The one key that each query may not see, int32 (n,), -1 for none. None if nothing is excluded, or if some query
        has several such keys.
    mask
        `mask` (1 or batch, 1 or heads, n, m), with the excluded pairs taken out where `own` cannot say them.
    """
    if queries is None or keys is None or not len(queries):
        return None, mask
    own = own_keys(queries, keys, n)
    if own is not None:
        return own, mask
    allowed = torch.ones(1, 1, n, m, dtype=torch.bool, device=queries.device)
    allowed[:, :, queries, keys] = False
    return None, allowed if mask is None else mask & allowed


def _cuts(like: Tensor, pairs: int) -> Iterator[slice]:
    """Slices of the pairs: 1 MB of float32 rows on a processor, to stay in its cache, 128 MB elsewhere."""
    numbers = 2**18 if like.device.type == "cpu" else 2**25
    step = max(numbers // max(like.shape[0] * like.shape[1] * like.shape[3], 1), 1)
    return (slice(start, start + step) for start in range(0, pairs, step))


def _take(tensor: Tensor, index: Tensor) -> Tensor:
    return widened(tensor.index_select(2, index))


def _add(target: Tensor, index: Tensor, rows: Tensor) -> None:
    batch, heads = target.shape[:2]
    if target.device.type == "cpu" and batch * heads <= _LOOPED_HEADS:
        # PyTorch's index_add_ has a fast path for matrices: eight times as fast at 20,000 pairs and one head.
        for one, more in zip(target.flatten(0, 1), rows.flatten(0, 1), strict=True):
            one.index_add_(0, index, more)
    else:
        target.index_add_(2, index, rows)
