"""What attention maps say in sum, with no map: strengths of genes, and how similar cells' networks are.

A cell's map is A = diag(r) Q K^T, so sums over queries or keys and inner products of two maps are products of small
states. Excluded pairs are subtracted, O(pairs) each. Cost: O(n d^2) for each cell, or for each pair of cells.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from grn.kernels._inputs import widened
from grn.kernels.maps import row_norms, weighted_keys
from grn.kernels.pairs import Pairs, dots


class Strengths(NamedTuple):
    """Sums over one axis of each cell's map.

    Attributes
    ----------
    in_strength
        sum_j A_ij: how far a target's regulators pull one way, (cells, heads, n).
    out_strength
        sum_i A_ij: how far a regulator's targets go one way, (cells, heads, m).
    out_square
        sum_i A_ij^2: how much a regulator regulates, of whatever sign, (cells, heads, m).
    """

    in_strength: Tensor
    out_strength: Tensor
    out_square: Tensor


class _Factors(NamedTuple):
    """A = queries keys^T without excluded pairs; `excluded` and what that product has there, (cells, heads, pairs)."""

    queries: Tensor
    keys: Tensor
    excluded: Pairs | None
    entries: Tensor


@torch.no_grad()
def attention_strengths(
    q: Tensor,
    k: Tensor,
    *,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
) -> Strengths:
    """In-strength, out-strength and squared out-strength of every gene in every cell, not differentiable.

    Parameters
    ----------
    q, k, key_weights, exclude, sink, eps
        As in `grn.kernels.attention_maps`.

    Returns
    -------
    float32 (float64 for float64 inputs). The squared in-strength is 1 - (sink_i^2 + eps') r_i^2, see `return_norm` of
    `grn.kernels.spherical_attention`.

    Raises
    ------
    TypeError, ValueError
        As `grn.kernels.spherical_attention`.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import attention_strengths
    >>> attention_strengths(torch.randn(8, 2, 50, 16), torch.randn(8, 2, 30, 16)).out_square.shape
    torch.Size([8, 2, 30])
    """
    with torch.autocast(q.device.type, enabled=False):
        queries, keys, excluded, entries = _factors(q, k, key_weights, exclude, sink, eps)
        into = (queries @ keys.sum(2).unsqueeze(-1)).squeeze(-1)
        out = (keys @ queries.sum(2).unsqueeze(-1)).squeeze(-1)
        square = (keys @ (queries.mT @ queries)).mul_(keys).sum(-1)
    if excluded is not None:
        into.index_add_(2, excluded.queries, entries, alpha=-1)
        out.index_add_(2, excluded.keys, entries, alpha=-1)
        square.index_add_(2, excluded.keys, entries.square(), alpha=-1)
    # Rounding can leave a small negative number where the exact sum of squares is zero.
    return Strengths(into, out, square.clamp_(min=0))


@torch.no_grad()
def network_similarity(
    q: Tensor,
    k: Tensor,
    *,
    cosine: bool = True,
    key_weights: Tensor | None = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    sink: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor:
    """Similarity of the cells' networks: inner products <A_b, A_c> = sum_ij A_bij A_cij, not differentiable.

    They equal sum_xy (Q_b^T R_b R_c Q_c)_xy (K_b^T K_c)_xy: two d x d matrices for each pair of cells.

    Parameters
    ----------
    q, k, key_weights, exclude, sink, eps
        As in `grn.kernels.attention_maps`.
    cosine
        Divide by the norms of the two maps (1: proportional maps, -1: all signs flipped; 0 where a map is all zero).
        Without, a map's product with itself is its number of rows, less what sink and eps take.

    Returns
    -------
    (heads, cells, cells), float32 (float64 for float64 inputs).

    Raises
    ------
    TypeError, ValueError
        As `grn.kernels.spherical_attention`.

    Examples
    --------
    >>> import torch
    >>> from grn.kernels import network_similarity
    >>> network_similarity(torch.randn(8, 2, 50, 16), torch.randn(8, 2, 30, 16)).shape
    torch.Size([2, 8, 8])
    """
    cells, heads = q.shape[:2]
    with torch.autocast(q.device.type, enabled=False):
        queries, keys, _, entries = _factors(q, k, key_weights, exclude, sink, eps)
        inner = queries.new_empty(heads, cells, cells)
        for cell in range(cells):
            # Symmetric: this cell with itself and those after it.
            of_queries = queries[cell].mT @ queries[cell:]
            of_keys = keys[cell].mT @ keys[cell:]
            products = of_queries.mul_(of_keys).sum((-2, -1)) - (entries[cell] * entries[cell:]).sum(-1)
            inner[:, cell, cell:] = inner[:, cell:, cell] = products.mT
    if cosine:
        norm = inner.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        scale = norm.unsqueeze(1) * norm.unsqueeze(2)
        inner = torch.where(scale > 0, inner / scale, 0.0)
    return inner


def _factors(
    q: Tensor,
    k: Tensor,
    key_weights: Tensor | None,
    exclude: tuple[Tensor, Tensor] | None,
    sink: Tensor | None,
    eps: float,
) -> _Factors:
    inverse_norm = row_norms(q, k, key_weights, exclude, sink, eps)
    keys = widened(weighted_keys(k, key_weights))
    keys = keys.repeat_interleave(q.shape[1] // k.shape[1], dim=1) if k.shape[1] < q.shape[1] else keys
    queries = widened(q) * inverse_norm.unsqueeze(-1)
    if exclude is None:
        return _Factors(queries, keys, None, queries.new_zeros(*q.shape[:2], 0))
    excluded = Pairs(*exclude, None)
    return _Factors(queries, keys, excluded, dots(queries, keys, excluded))
