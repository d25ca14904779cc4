"""Bounds of the rounding errors of spherical attention, from its inputs, for both ways to compute it.

The factorised form sums squares of scores as q (K^T K) q^T, where all that cancels in q . k stays in the bound; the
quadratic one sums them one by one. See `rounding` for what the bounds are; they hold for any cut of the sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from rounding import Arithmetic, Computed, arithmetic_of
from torch import Tensor

Exact = Tensor | None


class Precision(NamedTuple):
    """What a form does beside sums in float32 (float64)."""

    arithmetic: Arithmetic
    stored: torch.dtype
    """Type of the output and of the gradients of q, k, v."""
    state: float = 0.0
    """Relative error of a state of the factorised form where it is multiplied."""
    weighted: float = 0.0
    """The same of a row times its weight, in the sums that make gradients of states."""
    pairs: torch.dtype | None = None
    """Type that scores and their gradients are rounded to before they are multiplied, in the quadratic form."""


def precision(dtype: torch.dtype, device: str | torch.device = "cpu", *, triton: bool = False) -> Precision:
    """That of the PyTorch operations, which widen half precision to float32; or of the Triton kernels.

    With bfloat16 inputs the kernels split a state into two bfloat16 numbers (2^-18 is left) and round weighted rows
    once (2^-9). With float16 both factors are split, and the product of the small parts is left out as well (2^-17).
    """
    arithmetic = arithmetic_of(dtype, device)
    if not triton or dtype not in (torch.float16, torch.bfloat16):
        return Precision(arithmetic, dtype)
    weighted = 2.0**-9 if dtype == torch.bfloat16 else 2.0**-17
    return Precision(arithmetic, dtype, 2.0**-17, weighted, dtype)


def _inputs(how: Precision, *tensors: Any) -> list[Computed]:
    """Queries, keys, values and the gradient of the output; keys and values once for each query head."""
    q, k, v, upstream = (x if isinstance(x, Computed) else Computed.of(x, how.arithmetic) for x in tensors)
    group = q.value.shape[1] // k.value.shape[1]
    return [q, *(x.each(lambda t: t.repeat_interleave(group, 1)) for x in (k, v)), upstream]


def _of_key_heads(gradient: Computed, key_heads: int) -> Computed:
    heads = gradient.value.shape[1]
    return gradient if heads == key_heads else gradient.each(lambda t: t.unflatten(1, (key_heads, -1))).sum(2)


def factorised(
    q: Tensor,
    k: Tensor | Computed,
    v: Tensor,
    d_output: Tensor,
    how: Precision,
    *,
    eps: float,
    mass: Any = None,
    correction: Exact = None,
    d_inverse_norm: Exact = None,
    dot: Exact = None,
    hidden: Exact = None,
    prior: Exact = None,
) -> dict[str, Computed]:
    """Output, inverse norm and gradients by `grn.kernels.factorised` and the cores below it.

    Parameters
    ----------
    mass, correction, d_inverse_norm, dot
        As the cores take them. `mass` may be `Computed`.
    hidden
        bool (n, m), True for an excluded pair.
    prior
        (n, m), 0 where no prior is listed. Gradients are those of all pairs, summed over batch and heads.
    """
    key_heads, terms = v.shape[1], 0
    of = lambda x: Computed.of(x, how.arithmetic)  # noqa: E731
    q, k, v, upstream = _inputs(how, q, k, v, d_output)
    listed = hidden is not None or prior is not None
    gram, mixing = k.mT @ k, k.mT @ v
    gram, mixing = gram.inexact(how.state), mixing.inexact(how.state)
    curved = q @ gram
    square = (curved * q).sum()
    change = weights = scores = None
    if listed:
        of_pairs = Computed.of  # dots of listed pairs are sums in float32 or float64, without matrix units
        scores = q @ k.mT
        weights = upstream @ v.mT
        change = -scores.where(torch.zeros(1) if hidden is None else hidden)
        if prior is not None:
            change = change + of_pairs(prior, how.arithmetic)
        terms = int((change.value != 0).sum(-1).max())
        square = square + (change * (scores * 2.0 + change)).sum(terms=terms + 1)
    if correction is not None:
        square = square + of(correction)
    outside = torch.as_tensor(eps, dtype=torch.float64)
    square = square.clamp_min(0) + outside
    if mass is not None:
        mass = mass if isinstance(mass, Computed) else of(mass)
        square, outside = square + mass, outside + mass.value
    norm = square.rsqrt(at_least=outside)
    column = norm.each(lambda x: x.unsqueeze(-1))
    output = (q @ mixing) * column
    if change is not None:
        output = output + (change * column) @ v
    if correction is None:  # with one, the output is to be corrected as well, and stays in float32
        output = output.rounded(how.stored)

    mixed = upstream @ mixing.mT
    slope = (mixed * q).sum() * norm
    if change is not None and weights is not None:
        slope = slope + (change * weights).sum(terms=terms + 1) * norm
    for added in (dot, d_inverse_norm):
        slope = slope if added is None else slope + of(added) * norm
    d_square = slope * norm * norm * -0.5
    weight = d_square.each(lambda x: x.unsqueeze(-1)) * 2.0
    d_q = mixed * column + curved * weight
    d_gram = (q.mT @ (q * weight).inexact(how.weighted)).inexact(how.state)
    d_mixing = (q.mT @ (upstream * column).inexact(how.weighted)).inexact(how.state)
    d_k, d_v = v @ d_mixing.mT + k @ d_gram, k @ d_mixing
    found = {"output": output, "inverse_norm": norm}
    gradients = {"d_q": d_q, "d_k": d_k, "d_v": d_v}
    gradients = {name: _of_key_heads(x, key_heads) if name != "d_q" else x for name, x in gradients.items()}
    if change is not None and scores is not None and weights is not None:
        score_gradient = weights * column + scores * weight
        rest = -score_gradient.where(torch.zeros(1) if hidden is None else hidden)
        if prior is not None:
            of_prior = change.where(prior != 0) * weight
            rest = rest + of_prior
            found["d_prior"] = (score_gradient + of_prior).sum((0, 1))
        added = {"d_q": rest @ k, "d_k": rest.mT @ q, "d_v": (change * column).mT @ upstream}
        for name, more in added.items():
            more = more if name == "d_q" else _of_key_heads(more, key_heads)
            gradients[name] = gradients[name].rounded(how.stored) + more
    return found | {name: x.rounded(how.stored) for name, x in gradients.items()} | {"d_square": d_square}


def quadratic(
    q: Tensor,
    k: Tensor | Computed,
    v: Tensor,
    d_output: Tensor,
    how: Precision,
    *,
    eps: float,
    mass: Any = None,
    d_inverse_norm: Exact = None,
    allowed: Exact = None,
    prior: Exact = None,
    kept: Exact = None,
    dropout_p: float = 0.0,
    written_out: bool = False,
) -> dict[str, Computed]:
    """Output, inverse norm and gradients by `grn.kernels.chunked` and the Triton kernels of the same form.

    Parameters
    ----------
    mass, d_inverse_norm
        As the form takes them. `mass` may be `Computed`.
    allowed
        bool, broadcastable to (batch, heads, n, m): False where a pair may not attend.
    prior
        (batch or 1, heads or 1, n, m).
    kept
        bool (batch, heads, n, m), False for a pair that dropout takes.
    written_out
        The reference form under automatic differentiation: do . o is summed over keys instead of values.
    """
    key_heads = v.shape[1]
    of = lambda x: Computed.of(x, how.arithmetic)  # noqa: E731
    q, k, v, upstream = _inputs(how, q, k, v, d_output)
    share = of(1 / (1 - dropout_p)).inexact(2 * how.arithmetic.unit)
    see = torch.ones(1, dtype=torch.bool) if allowed is None else allowed
    keep = torch.ones(1, dtype=torch.bool) if kept is None else kept
    half = how.pairs == torch.float16
    scores = q @ k.mT
    if prior is not None:
        scores = scores + of(prior)
    scores = scores.where(see)
    outside = torch.as_tensor(eps, dtype=torch.float64)
    square = scores.square().sum() + outside
    if mass is not None:
        mass = mass if isinstance(mass, Computed) else of(mass)
        square, outside = square + mass, outside + mass.value
    norm = square.rsqrt(at_least=outside)
    column = norm.each(lambda x: x.unsqueeze(-1))

    # float16 rows are scaled so that no score exceeds 2^14 times two roundings: 2^-25 is then 2^-39 of that bound.
    dropped = scores.where(keep)
    if how.pairs is not None:
        limit = q.value.norm(dim=-1, keepdim=True) * k.value.norm(dim=-1).amax(-1)[..., None, None]
        limit = limit + (0 if prior is None else float(prior.abs().max()))
        dropped = dropped.rounded(how.pairs, absolute=2.0**-38 * limit if half else 0.0).where(see & keep)
    output = ((dropped @ v) * (column * share)).rounded(how.stored)

    gradient = upstream * column * share
    if written_out:
        direction = (((upstream @ v.mT) * share).where(keep) * scores).sum() * norm
    else:
        direction = (upstream * output).sum()
    if d_inverse_norm is not None:
        direction = direction + of(d_inverse_norm) * norm
    d_square = direction * norm * norm * -0.5
    slope = d_square.each(lambda x: x.unsqueeze(-1)) * 2.0
    attention = (scores * column * share).where(keep)
    if half:
        attention, weighted = attention.rounded(torch.float16), upstream
    else:
        gradient = gradient if how.pairs is None else gradient.rounded(how.pairs)
        attention, weighted = scores.where(keep), gradient
        attention = attention if how.pairs is None else attention.rounded(how.pairs)
    attention = attention.where(see & keep)
    d_scores = (((gradient @ v.mT).where(keep) * 1.0) + scores * slope).where(see)
    d_pairs = d_scores
    if how.pairs is not None:
        peak = 0.0
        if half:
            length = v.value.norm(dim=-1).amax(-1)[..., None] / (1 - dropout_p)
            rest = 0.0 if d_inverse_norm is None else (of(d_inverse_norm).value * norm.value).abs()
            bound = norm.value * (upstream.value.norm(dim=-1) * (length + output.value.norm(dim=-1)) + rest)
            peak = bound.unflatten(1, (key_heads, -1)).amax((2, 3), keepdim=True).expand_as(
                bound.unflatten(1, (key_heads, -1))
            ).flatten(1, 2)[..., None] * 2.0**-37  # fmt: skip
        d_pairs = d_scores.rounded(how.pairs, absolute=peak).where(see)
    found = {"output": output, "inverse_norm": norm, "d_q": d_pairs @ k}
    found["d_k"] = _of_key_heads(d_pairs.mT @ q, key_heads)
    found["d_v"] = _of_key_heads(attention.mT @ weighted, key_heads)
    found |= {name: found[name].rounded(how.stored) for name in ("d_q", "d_k", "d_v")}
    if prior is not None:
        found["d_prior"] = d_scores.sum_to(prior.shape).rounded(prior.dtype)
    return found | {"d_square": d_square}


def public(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    d_output: Tensor,
    d_inverse_norm: Exact,
    form: str,
    *,
    how: Precision | None = None,
    key_weights: Exact = None,
    exclude: tuple[Tensor, Tensor] | None = None,
    pair_mask: Exact = None,
    prior: Exact = None,
    sink: Exact = None,
    eps: float = 1e-6,
) -> dict[str, Computed]:
    """Bounds for `grn.kernels.spherical_attention` and its gradients: output, norm, q, k, v and the options by name."""
    how = how or precision(q.dtype, q.device)
    (n, m, d), wide = (q.shape[2], *k.shape[2:]), torch.float64 if q.dtype == torch.float64 else torch.float32
    of = lambda x: Computed.of(x, how.arithmetic)  # noqa: E731
    keys = of(k)
    weights = None if key_weights is None else of(key_weights.expand(k.shape[:3]).unsqueeze(-1))
    if weights is not None:
        keys = (keys * weights).rounded(k.dtype)
    mass = None if sink is None else of(sink.expand(q.shape[:3])).square()
    given: dict[str, Any] = {"eps": eps * m * d, "mass": mass, "d_inverse_norm": d_inverse_norm}
    hidden = torch.zeros(n, m, dtype=torch.bool)
    if exclude is not None:
        hidden[exclude[0].cpu(), exclude[1].cpu()] = True
    dense = prior.to_dense() if prior is not None and prior.is_sparse else prior
    if form == "linear":
        found = factorised(q, keys, v, d_output, how, hidden=None if exclude is None else hidden, prior=dense, **given)
    else:
        allowed = ~hidden if pair_mask is None else ~hidden & pair_mask.cpu()
        dense = None if dense is None else dense[(None,) * (4 - dense.dim())].to(wide)
        dense = None if dense is None else dense.expand(*dense.shape[:2], n, m)
        written_out = form == "reference"
        found = quadratic(
            q, keys, v, d_output, how, allowed=allowed, prior=dense, written_out=written_out, **given
        )  # fmt: skip
    result = {"output": found["output"], "norm": found["inverse_norm"], "v": found["d_v"], "q": found["d_q"]}
    result["k"] = found["d_k"]
    if weights is not None and key_weights is not None:
        result["k"] = (found["d_k"] * weights).rounded(k.dtype)
        result["key_weights"] = (found["d_k"] * of(k)).sum().sum_to(key_weights.shape)
    if sink is not None:
        result["sink"] = (of(sink) * 2.0 * found["d_square"]).sum_to(sink.shape)
    if prior is not None:
        result["prior"] = found["d_prior"].sum_to(prior.shape)
    return result


def statistics_of_maps(entries: Computed, groups: Tensor) -> dict[str, Computed]:
    """Bounds of the statistics of maps A, (cells, heads, n, m), over the cells of each group."""
    found: dict[str, list[Computed]] = {"mean": [], "abs": [], "square": []}
    for group in range(int(groups.max()) + 1):
        cells = (groups.cpu() == group).nonzero().squeeze(1)
        chosen = entries.each(lambda x, cells=cells: x[cells])
        share = Computed.of(1 / max(len(cells), 1), entries.arithmetic).inexact(2 * entries.arithmetic.unit)
        for name, of in (("mean", chosen), ("abs", chosen.abs()), ("square", chosen.square())):
            found[name].append(of.sum(0) * share)
    return {
        name: Computed(
            torch.stack([part.value for part in parts]), torch.stack([part.error for part in parts]), entries.arithmetic
        )
        for name, parts in found.items()
    }
