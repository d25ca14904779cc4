"""The streaming quadratic form against the definition in float64: outputs and every gradient, every option."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from attention_rounding import precision, quadratic
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import Arithmetic, Computed, arithmetic_of, assert_rounded
from torch import Tensor

from grn.kernels.dropout import keep_mask
from grn.kernels.gpu.flashsign import backward, forward, supports

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
HALF = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
P = 0.3


class Case(NamedTuple):
    """What one call of the form gets."""

    q: Tensor
    k: Tensor
    v: Tensor
    d_output: Tensor
    d_inverse_norm: Tensor
    options: dict[str, Any]
    mass: Tensor | None
    eps: float


def case(
    dtype: torch.dtype,
    device: torch.device,
    options: tuple[str, ...] = (),
    *,
    batch: int = 1,
    heads: int = 2,
    key_heads: int = 2,
    n: int = 70,
    m: int = 67,
    d: int = 16,
    dv: int = 16,
    shared: bool = False,
    seed: int = 0,
) -> Case:
    """Standard normal data; prior and mask broadcast over heads or batch in turn if `shared`, the other way if not."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    masked = normal(1 if shared else batch, heads if shared else 1, n, m) > -0.5
    chosen = {
        "own": (torch.randperm(max(n, m), generator=generator)[:n] % (m + 1) - 1).int() if "own" in options else None,
        "mask": masked if "mask" in options else None,
        "prior": 3 * normal(batch if shared else 1, 1 if shared else heads, n, m) if "prior" in options else None,
        "dropout_p": P if "dropout" in options else 0.0,
        "seed": torch.tensor([2**40 + 12345]) if "dropout" in options else None,
    }
    return Case(
        normal(batch, heads, n, d).to(device, dtype),
        normal(batch, key_heads, m, d).to(device, dtype),
        normal(batch, key_heads, m, dv).to(device, dtype),
        normal(batch, heads, n, dv).to(device, dtype),
        3 * normal(batch, heads, n).to(device),
        {name: value.to(device) if isinstance(value, Tensor) else value for name, value in chosen.items()},
        20 * normal(batch, heads, n).square().to(device) if "mass" in options else None,
        1e-6 * m * d,
    )


def definition(given_case: Case) -> dict[str, Tensor]:
    """Outputs and gradients by automatic differentiation of the formulas, in float64 on the CPU."""
    q, k, v = (tensor.detach().cpu().double().requires_grad_() for tensor in given_case[:3])
    (batch, heads, n, _), (_, key_heads, m, _) = q.shape, k.shape
    own, mask, prior = (given_case.options[name] for name in ("own", "mask", "prior"))
    leaves = {"d_q": q, "d_k": k, "d_v": v}
    scores = q @ k.repeat_interleave(heads // key_heads, 1).transpose(-1, -2)
    if prior is not None:
        leaves["d_prior"] = prior.detach().cpu().double().requires_grad_()
        scores = scores + leaves["d_prior"]
    if mask is not None:
        scores = scores * mask.cpu()
    if own is not None:
        scores = scores * (own.cpu()[:, None] != torch.arange(m))
    leaves["d_square"] = torch.zeros(batch, heads, n, dtype=torch.float64).requires_grad_()
    square = scores.square().sum(-1) + given_case.eps + leaves["d_square"]
    if given_case.mass is not None:
        square = square + given_case.mass.cpu().double()
    r = square.rsqrt()
    attention = scores * r.unsqueeze(-1)
    if given_case.options["seed"] is not None:
        indices = torch.arange(batch * heads), torch.arange(n), torch.arange(m)
        keep = keep_mask(given_case.options["seed"].cpu(), *indices, P)
        attention = attention * keep.view(batch, heads, n, m) / (1 - P)
    output = attention @ v.repeat_interleave(heads // key_heads, 1)
    total = (output * given_case.d_output.cpu().double()).sum() + (r * given_case.d_inverse_norm.cpu().double()).sum()
    gradients = torch.autograd.grad(total, tuple(leaves.values()))
    return {"output": output.detach(), "r": r.detach(), **dict(zip(leaves, gradients, strict=True))}


def found(given_case: Case, deterministic: bool = True, prior_gradient: bool = True) -> dict[str, Tensor]:
    q, k, v, d_output, d_inverse_norm, options, mass, eps = given_case
    output, r = forward(q, k, v, **options, mass=mass, eps=eps)
    gradients = backward(
        d_output,
        d_inverse_norm,
        q,
        k,
        v,
        output,
        r,
        **options,
        deterministic=deterministic,
        prior_gradient=prior_gradient,
    )
    names = ("d_q", "d_k", "d_v", "d_prior", "d_square")
    result = {"output": output, "r": r, **dict(zip(names, gradients, strict=True))}
    return {name: value for name, value in result.items() if value is not None}


def bounds(given_case: Case, arithmetic: Arithmetic) -> dict[str, Computed]:
    """What rounding may do to each result."""
    q, k, v, d_output, d_inverse_norm, options, mass, eps = given_case
    (batch, heads, n, _), m = q.shape, k.shape[2]
    allowed, kept = torch.ones(1, 1, n, m, dtype=torch.bool), None
    if options["mask"] is not None:
        allowed = allowed & options["mask"].cpu()
    if options["own"] is not None:
        allowed = allowed & (options["own"].cpu()[:, None] != torch.arange(m))
    if options["seed"] is not None:
        indices = torch.arange(batch * heads), torch.arange(n), torch.arange(m)
        kept = keep_mask(options["seed"].cpu(), *indices, P).view(batch, heads, n, m)
    how = precision(q.dtype, q.device, triton=True)._replace(arithmetic=arithmetic)
    given = {"allowed": allowed, "kept": kept, "prior": options["prior"], "dropout_p": options["dropout_p"]}
    result = quadratic(q, k, v, d_output, how, eps=eps, mass=mass, d_inverse_norm=d_inverse_norm, **given)
    return {"r" if name == "inverse_norm" else name: bound for name, bound in result.items()}


def check(given_case: Case, deterministic: bool = True, likely: bool = True) -> None:
    truth, result = definition(given_case), found(given_case, deterministic)
    assert truth.keys() == result.keys()
    for name, value in result.items():
        of_rows = name in ("r", "d_square")
        assert value.dtype == (torch.float32 if of_rows or name == "d_prior" else given_case.q.dtype), name
    arithmetic = arithmetic_of(given_case.q.dtype, given_case.q.device)
    assert_rounded(result, truth, partial(bounds, given_case), arithmetic, likely=likely)


ALL = ("own", "mask", "prior", "mass", "dropout")


@DTYPES
@pytest.mark.parametrize("options", [(), ("own",), ("mass",), ("own", "mass")], ids="+".join)
def test_agrees_with_the_definition(dtype: torch.dtype, options: tuple[str, ...], device: torch.device) -> None:
    check(case(dtype, device, options))


@HALF
@pytest.mark.parametrize(
    "options", [("mask",), ("prior",), ("dropout",), ("own", "mask"), ("prior", "dropout"), ALL], ids="+".join
)
def test_options_over_pairs(dtype: torch.dtype, options: tuple[str, ...], device: torch.device) -> None:
    check(case(dtype, device, options))


@DTYPES
@pytest.mark.parametrize("options", [(), ("own", "mass")], ids="+".join)
def test_atomic_backward(dtype: torch.dtype, options: tuple[str, ...], device: torch.device) -> None:
    check(case(dtype, device, options, n=130, m=129), deterministic=False)


def test_backward_that_may_be_atomic_is_right_with_options_over_pairs(device: torch.device) -> None:
    check(case(torch.float16, device, ALL), deterministic=False)


@DTYPES
@pytest.mark.parametrize(
    "shape",
    [
        {"n": 1, "m": 70},
        {"n": 63, "m": 300, "dv": 24},
        {"n": 300, "m": 127, "d": 48, "dv": 32},
        {"n": 130, "m": 130, "d": 64, "dv": 20},
        {"n": 128, "m": 128, "d": 64, "dv": 64},
        {"n": 33, "m": 65, "d": 17, "dv": 50},
        {"n": 127, "m": 3, "d": 32, "dv": 1},
    ],
    ids=str,
)
def test_any_size(dtype: torch.dtype, shape: dict[str, int], device: torch.device) -> None:
    check(case(dtype, device, ("own",), heads=1, key_heads=1, **shape))


@HALF
@pytest.mark.parametrize(("d", "dv"), [(128, 128), (100, 20), (16, 65)])
@pytest.mark.parametrize("options", [("own",), ALL], ids="+".join)
def test_large_heads(dtype: torch.dtype, d: int, dv: int, options: tuple[str, ...], device: torch.device) -> None:
    check(case(dtype, device, options, heads=1, key_heads=1, d=d, dv=dv))


def test_what_has_no_kernel(device: torch.device) -> None:
    wide, masked = case(torch.float32, device, d=65), case(torch.float32, device, ("mask",))
    assert not supports(wide.q, wide.v, pairs=False)
    assert supports(wide.q[..., :64], wide.v, pairs=False)
    assert not supports(masked.q, masked.v, pairs=True)
    assert supports(masked.q.half(), masked.v, pairs=True)
    assert not supports(masked.q.double(), masked.v, pairs=False)
    for given_case in (wide, masked):
        with pytest.raises(ValueError, match="No Triton kernel of the quadratic form"):
            found(given_case)


@DTYPES
def test_one_pair(dtype: torch.dtype, device: torch.device) -> None:
    """The output is v or -v whatever the score: what do.v adds to dq cancels, and leaves its rounding."""
    check(case(dtype, device, heads=1, key_heads=1, n=1, m=1), likely=False)
    check(case(dtype, device, heads=1, key_heads=1, n=1, m=1), deterministic=False, likely=False)


@pytest.mark.parametrize("key_heads", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_grouped_query_heads_and_broadcast_options(
    key_heads: int, shared: bool, deterministic: bool, device: torch.device
) -> None:
    options = ALL if deterministic else ("own", "mass")
    dtype = torch.float16 if deterministic else torch.float32
    given_case = case(dtype, device, options, batch=2, heads=4, key_heads=key_heads, n=40, m=35, shared=shared)
    check(given_case, deterministic)


@HALF
def test_atomic_backward_of_grouped_query_heads(dtype: torch.dtype, device: torch.device) -> None:
    check(case(dtype, device, ("own",), batch=2, heads=4, n=40, m=35), deterministic=False)


def test_a_query_head_reads_its_own_group(device: torch.device) -> None:
    """Keys of the second head are zero: only queries 2 and 3 of 4 see nothing."""
    q, k, v, *_ = case(torch.float32, device, heads=4, key_heads=2)
    k[:, 1] = 0
    output, _ = forward(q, k, v, own=None, mask=None, prior=None, mass=None, eps=1.0, dropout_p=0.0, seed=None)
    assert output.abs().amax((0, 2, 3)).gt(0).tolist() == [True, True, False, False]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    options=st.sets(st.sampled_from(ALL)),
    n=st.integers(1, 70),
    m=st.integers(1, 70),
    d=st.integers(1, 40),
    dv=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_any_combination(options: set[str], n: int, m: int, d: int, dv: int, seed: int, device: torch.device) -> None:
    given_case = case(torch.float16, device, tuple(options), heads=1, key_heads=1, n=n, m=m, d=d, dv=dv, seed=seed)
    check(given_case, likely=False)


def test_strides(device: torch.device) -> None:
    """Transposed heads, expanded cells, a transposed prior, a key mask shared by queries, gradients of one number."""
    base = case(torch.float16, device, ALL, batch=2, n=40, m=40, d=24, dv=24)
    q = base.q.transpose(1, 2).contiguous().transpose(1, 2)
    k, v = (tensor[:1].expand(2, -1, -1, -1) for tensor in (base.k, base.v))
    strided = {"mask": base.options["mask"][:, :, :1].expand(-1, -1, 40, -1), "prior": base.options["prior"].mT}
    one = torch.tensor(2.0, device=device, dtype=torch.float16)
    changed = base._replace(
        q=q,
        k=k,
        v=v,
        d_output=one.expand_as(base.d_output),
        d_inverse_norm=one.float().expand_as(base.d_inverse_norm),
        options={**base.options, **strided},
    )
    check(changed)
    check(changed._replace(options=case(torch.float16, device).options), deterministic=False)


def test_inputs_are_not_written(device: torch.device) -> None:
    given_case = case(torch.float16, device, ALL)
    tensors = [*given_case[:5], *(value for value in given_case.options.values() if isinstance(value, Tensor))]
    before = [tensor.clone() for tensor in tensors]
    found(given_case)
    for tensor, copy in zip(tensors, before, strict=True):
        assert torch.equal(tensor, copy)


def test_two_runs_are_equal(device: torch.device) -> None:
    given_case = case(torch.float16, device, ALL, heads=4)
    first, second = found(given_case), found(given_case)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_no_gradient_of_the_prior_unless_asked_for(device: torch.device) -> None:
    assert "d_prior" not in found(case(torch.float16, device, ("prior",)), prior_gradient=False)


def test_another_seed_drops_other_pairs(device: torch.device) -> None:
    given_case = case(torch.float16, device, ("dropout",))
    other = given_case._replace(options={**given_case.options, "seed": torch.tensor([7], device=device)})
    assert not torch.equal(found(given_case)["output"], found(other)["output"])
    assert torch.equal(found(given_case)["r"], found(other)["r"])


HARD = {
    "mean of 3": lambda c: c._replace(k=c.k + 3),
    "mean of 30": lambda c: c._replace(k=c.k + 30),
    "condition 1e4": lambda c: c._replace(k=c.k * torch.logspace(0, -4, c.k.shape[-1]).to(c.k)),
    "zero rows": lambda c: c._replace(q=c.q * (torch.arange(c.q.shape[2]) % 3 > 0).to(c.q)[:, None]),
    "zero keys": lambda c: c._replace(k=torch.zeros_like(c.k)),
    "large": lambda c: c._replace(q=c.q * 300, k=c.k * 300),
    "small": lambda c: c._replace(q=c.q * 1e-3, k=c.k * 1e-3),
    "large gradients": lambda c: c._replace(d_output=c.d_output * 1e4),
    "small gradients": lambda c: c._replace(d_output=c.d_output * 1e-3),
}


@DTYPES
@pytest.mark.parametrize("options", [("own",), ALL], ids="+".join)
@pytest.mark.parametrize("name", HARD)
def test_hard_data(dtype: torch.dtype, options: tuple[str, ...], name: str, device: torch.device) -> None:
    if options == ALL and dtype == torch.float32:
        options = ("own", "mass")
    given_case = HARD[name](case(dtype, device, options))
    truth, result = definition(given_case), found(given_case)
    limits = bounds(given_case, arithmetic_of(dtype, device))
    limit = torch.finfo(dtype).max
    for key, value in result.items():
        if value.dtype == dtype and float(truth[key].abs().max()) > 0.9 * limit:
            continue  # the type of the inputs cannot hold the gradient
        assert bool(torch.isfinite(value).all()), key
        assert limits[key].share(value, truth[key]) <= 1, key


@HALF
def test_rows_without_any_pair_are_zero(dtype: torch.dtype, device: torch.device) -> None:
    given_case = case(dtype, device, ("mask",))
    given_case.options["mask"][:, :, ::2] = False
    result = found(given_case)
    assert not result["output"][:, :, ::2].any()
    assert not result["d_q"][:, :, ::2].any()
    assert all(bool(torch.isfinite(value).all()) for value in result.values())
