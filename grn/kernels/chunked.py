"""The quadratic form in chunks of rows: every option of the attention, memory O(n + m), any device.

Scores of some rows of some heads are computed, used and overwritten; the backward pass computes them again. Chunks run
one after another and their sums are added in that order, so results are deterministic. It serves where no Triton kernel
does: on processors, in float64 and for a head_dim above 128.

With dA = D do v^T (D: dropout, keep / (1 - p)) and dsq_i = -1/2 r_i^2 (do_i . o_i + dr_i r_i)::

    dS = mask (r dA + 2 s dsq)      dq = dS k      dk = dS^T q      dv = (D A)^T do      dprior = dS
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from grn.kernels._inputs import widened
from grn.kernels.dropout import keep_mask

SCORES = 2**20
"""Scores of a chunk on a processor: 4 MB of float32. 1 to 8 MB were equally fast at 512 to 8,192 keys."""
SCORES_ELSEWHERE = 2**23
"""Scores of a chunk on a GPU: 32 MB of float32. Up to four tensors of this size are alive at a time."""
LEAST_ROWS = 128
"""Rows of a chunk, if there are so many: with 32 rows of 20,000 keys the products took twice the time."""


class Chunk(NamedTuple):
    """Indices of the batch entries, query heads, key heads and rows that are worked on together."""

    batch: range
    heads: range
    key_heads: range
    rows: range

    def of_queries(self, tensor: Tensor) -> Tensor:
        """Part (batch, heads, rows, ...) of a tensor (batch, heads, n, ...), a view."""
        return tensor[_slice(self.batch), _slice(self.heads), _slice(self.rows)]

    def of_keys(self, tensor: Tensor) -> Tensor:
        """Part (batch x key heads, m, ...) of a tensor; a view if that is contiguous."""
        return tensor[_slice(self.batch), _slice(self.key_heads)].flatten(0, 1)

    def of_pairs(self, tensor: Tensor) -> Tensor:
        """Part of a tensor (batch or 1, heads or 1, n, m), a view."""
        batch = _slice(self.batch) if tensor.shape[0] > 1 else slice(None)
        heads = _slice(self.heads) if tensor.shape[1] > 1 else slice(None)
        return tensor[batch, heads, _slice(self.rows)]

    def folded(self, part: Tensor) -> Tensor:
        """Part (batch, heads, rows, ...) as (batch x key heads, rows of all heads that share these keys, ...)."""
        return part.reshape(len(self.batch) * len(self.key_heads), -1, part.shape[-1])


def _slice(part: range) -> slice:
    return slice(part.start, part.stop)


def chunks(q: Tensor, k: Tensor) -> Iterator[Chunk]:
    """Chunks of all rows: rows of one head, or all rows of several heads where those are few."""
    (batch, heads, n, _), (key_heads, m) = q.shape, k.shape[1:3]
    group, budget = heads // key_heads, SCORES if q.device.type == "cpu" else SCORES_ELSEWHERE
    rows = min(max(budget // (group * m), LEAST_ROWS), max(n, 1))
    together = max(budget // (group * m * rows), 1)
    for entries in _cut(batch, together // key_heads):
        for some in _cut(key_heads, together):
            for part in _cut(n, rows):
                yield Chunk(entries, range(some.start * group, some.stop * group), some, part)


def _cut(size: int, step: int) -> Iterator[range]:
    step = max(step, 1)
    return (range(start, min(start + step, size)) for start in range(0, size, step))


class PairTerms(NamedTuple):
    """What acts on single pairs; see `forward`."""

    own: Tensor | None
    mask: Tensor | None
    prior: Tensor | None
    dropout_p: float
    seed: Tensor | None

    def hide(self, scores: Tensor, chunk: Chunk) -> None:
        """Zeros where a pair may not attend, in scores or their gradients (batch, heads, rows, m), in place."""
        if self.mask is not None:
            scores.mul_(chunk.of_pairs(self.mask))
        if self.own is not None:
            own = self.own[_slice(chunk.rows)].long()
            rows = (own >= 0).nonzero().squeeze(1)
            scores[:, :, rows, own[rows]] = 0

    def scores(self, rows: Tensor, keys: Tensor, chunk: Chunk) -> Tensor:
        """Scores (batch, heads, rows, m) of queries (batch, heads, rows, d) and keys (batch x key heads, m, d)."""
        scores = torch.bmm(chunk.folded(rows), keys.mT).view(*rows.shape[:3], -1)
        if self.prior is not None:
            scores.add_(chunk.of_pairs(self.prior))
        self.hide(scores, chunk)
        return scores

    def kept(self, scores: Tensor, chunk: Chunk, heads: int) -> Tensor | None:
        """Where dropout keeps a pair, bool (batch, heads, rows, m); None without dropout."""
        if self.seed is None:
            return None
        batch, some, rows = (torch.arange(part.start, part.stop, device=scores.device) for part in _queries(chunk))
        columns = torch.arange(scores.shape[-1], device=scores.device)
        places = (batch.unsqueeze(1) * heads + some).flatten()
        return keep_mask(self.seed, places, rows, columns, self.dropout_p).view_as(scores)


def _queries(chunk: Chunk) -> tuple[range, range, range]:
    return chunk.batch, chunk.heads, chunk.rows


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
    """Output (batch, heads, n, dv), dtype of `q`, and inverse norm (batch, heads, n), float32 or float64.

    Parameters
    ----------
    q, k, v
        (batch, heads, n, d), (batch, key heads, m, d), (batch, key heads, m, dv); heads is a multiple of key heads.
    own
        The one key that each query may not see, int32 (n,), -1 for none.
    mask
        True where a pair may attend, bool (batch or 1, heads or 1, n, m).
    prior
        Added to the scores, (batch or 1, heads or 1, n, m).
    mass
        Squared sink, (batch, heads, n).
    eps
        Absolute term added to each row's sum of squared scores.
    dropout_p, seed
        Probability that a pair is dropped after normalisation, and the seed of `grn.kernels.dropout`, int64 (1,);
        without a seed there is no dropout.
    """
    terms = PairTerms(own, mask, prior, dropout_p, seed)
    dtype, (q, k, v) = q.dtype, (widened(tensor) for tensor in (q, k, v))
    output = q.new_empty(*q.shape[:3], v.shape[-1])
    inverse_norm = q.new_empty(q.shape[:3])
    for chunk in chunks(q, k):
        scores = terms.scores(chunk.of_queries(q), chunk.of_keys(k), chunk)
        square = scores.square().sum(-1).add_(eps)
        if mass is not None:
            square.add_(chunk.of_queries(mass))
        norm = square.rsqrt_().unsqueeze(-1)
        keep = terms.kept(scores, chunk, q.shape[1])
        scale = norm
        if keep is not None:
            scores.mul_(keep)
            scale = norm / (1 - dropout_p)
        mixed = torch.bmm(chunk.folded(scores), chunk.of_keys(v)).view(*norm.shape[:3], -1)
        torch.mul(mixed, scale, out=chunk.of_queries(output))
        chunk.of_queries(inverse_norm).copy_(norm.squeeze(-1))
    return output.to(dtype), inverse_norm


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
    deterministic: bool = True,
    prior_gradient: bool = True,
    value_gradient: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor]:
    """Gradients of q, k, v and the prior, in their shapes and dtypes, and of each row's sum of squared scores.

    Parameters
    ----------
    d_output, d_inverse_norm
        Gradients of the output and of the inverse norm (None: zero).
    output, inverse_norm
        Results of `forward`.
    q, k, v, own, mask, prior, dropout_p, seed
        As given to `forward`.
    deterministic
        For the Triton kernels, which share this signature: here sums are always added in one order.
    prior_gradient, value_gradient
        False: the gradient of the prior or of v is None, and its work is saved.
    """
    terms = PairTerms(own, mask, prior, dropout_p, seed)
    q_type, k_type, v_type = q.dtype, k.dtype, v.dtype
    q, k, v, d_output = (widened(tensor) for tensor in (q, k, v, d_output))
    d_square = (d_output * widened(output)).sum(-1)
    if d_inverse_norm is not None:
        d_square.addcmul_(d_inverse_norm, inverse_norm)
    d_square.mul_(inverse_norm).mul_(inverse_norm).mul_(-0.5)
    d_q, d_k = q.new_empty(q.shape), k.new_zeros(k.shape)
    d_v = v.new_zeros(v.shape) if value_gradient else None
    d_prior = None if prior is None or not prior_gradient else q.new_zeros(prior.shape)
    for chunk in chunks(q, k):
        rows, keys = chunk.of_queries(q), chunk.of_keys(k)
        scores = terms.scores(rows, keys, chunk)
        norm = chunk.of_queries(inverse_norm).unsqueeze(-1)
        keep = terms.kept(scores, chunk, q.shape[1])
        scale = norm if keep is None else norm / (1 - dropout_p)
        d_mixed = chunk.folded(chunk.of_queries(d_output) * scale)
        d_scores = torch.bmm(d_mixed, chunk.of_keys(v).mT).view_as(scores)
        if keep is not None:
            d_scores.mul_(keep)
        if d_v is not None:
            dropped = scores if keep is None else scores * keep
            chunk.of_keys(d_v).baddbmm_(chunk.folded(dropped).mT, d_mixed)
        terms.hide(d_scores, chunk)
        d_scores.addcmul_(scores, chunk.of_queries(d_square).unsqueeze(-1), value=2)
        folded = chunk.folded(d_scores)
        chunk.of_queries(d_q).copy_(torch.bmm(folded, keys).view_as(rows))
        chunk.of_keys(d_k).baddbmm_(folded.mT, chunk.folded(rows))
        if d_prior is not None:
            part = chunk.of_pairs(d_prior)
            part.add_(d_scores.sum_to_size(part.shape))
    of_v = None if d_v is None else d_v.to(v_type)
    of_prior = None if d_prior is None or prior is None else d_prior.to(prior.dtype)
    return d_q.to(q_type), d_k.to(k_type), of_v, of_prior, d_square
