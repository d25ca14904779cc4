"""All forms against the definition, against each other and against finite differences; laws that any form obeys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from grn.kernels import explain_backend, spherical_attention
from grn.kernels.dispatch import BACKENDS

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]

PAIRS = (torch.tensor([0, 3, 3]), torch.tensor([1, 0, 5]))
OWN = (torch.tensor([0, 2, 4]), torch.tensor([1, 5, 1]))
quick = settings(max_examples=20, deadline=None, derandomize=True)


def options(name: str, seed: int = 1) -> dict[str, Any]:
    """Options for inputs of batch 2, heads 2, n 5 and m 6, as leaves that take gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    def mask(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) < 0.7

    chosen: dict[str, dict[str, Any]] = {
        "plain": {},
        "key_weights": {"key_weights": normal(2, 2, 6)},
        "key_weights of all cells": {"key_weights": normal(6)},
        "exclude": {"exclude": PAIRS},
        "exclude one key each": {"exclude": OWN},
        "sparse prior": {"prior": sparse(normal(4))},
        "sink": {"sink": normal(2, 2, 5)},
        "sink of each head": {"sink": normal(2, 1)},
        "no eps": {"eps": 0.0},
        "large eps": {"eps": 0.5},
        "all that factorises": {
            **{"key_weights": normal(2, 1, 6), "exclude": PAIRS, "prior": sparse(normal(4))},
            **{"sink": normal(2, 5), "eps": 0.1},
        },
        "pair_mask": {"pair_mask": mask(2, 2, 5, 6)},
        "pair_mask of all cells": {"pair_mask": mask(5, 6), "exclude": PAIRS},
        "pair_mask of keys": {"pair_mask": mask(2, 1, 1, 6), "exclude": OWN},
        "prior": {"prior": normal(2, 2, 5, 6)},
        "prior of each head": {"prior": normal(2, 5, 6)},
        "prior of each key": {"prior": normal(6)},
        "all": {
            **{"key_weights": normal(2, 1, 6), "exclude": OWN, "pair_mask": mask(2, 1, 5, 6)},
            **{"prior": normal(2, 1, 5, 6), "sink": normal(2, 5), "eps": 0.1},
        },
    }
    return chosen[name]


def sparse(values: Tensor) -> Tensor:
    """Prior (5, 6) at four places that PAIRS leaves free; gradients reach `values`."""
    return torch.sparse_coo_tensor(torch.tensor([[0, 1, 3, 4], [0, 1, 2, 5]]), values, (5, 6), check_invariants=True)


def leaves_of(chosen: dict[str, Any]) -> dict[str, Tensor]:
    """Options that take gradients; of a sparse prior, its values."""
    floating = {key: value for key, value in chosen.items() if isinstance(value, Tensor) and value.is_floating_point()}
    return {key: value.coalesce().values() if value.is_sparse else value for key, value in floating.items()}


def with_leaves(chosen: dict[str, Any], leaves: dict[str, Tensor]) -> dict[str, Any]:
    """The options with these leaves in place."""
    was_sparse = {key for key, value in chosen.items() if isinstance(value, Tensor) and value.is_sparse}
    return {**chosen, **{key: sparse(value) if key in was_sparse else value for key, value in leaves.items()}}


FACTORISE = (
    "plain",
    "key_weights",
    "key_weights of all cells",
    "exclude",
    "exclude one key each",
    "sparse prior",
    "sink",
    "sink of each head",
    "no eps",
    "large eps",
    "all that factorises",
)
DENSE = (
    "pair_mask",
    "pair_mask of all cells",
    "pair_mask of keys",
    "prior",
    "prior of each head",
    "prior of each key",
    "all",
)
CHOICES = [(name, form) for name in FACTORISE for form in BACKENDS] + [
    (name, form) for name in DENSE for form in BACKENDS if form != "linear"
]


@pytest.mark.parametrize(("name", "backend"), CHOICES)
@pytest.mark.parametrize("key_heads", [2, 1])
def test_agrees_with_the_definition(
    name: str, backend: str, key_heads: int, inputs: Inputs, definition: Callable[..., Any]
) -> None:
    q, k, v = inputs(key_heads=key_heads)
    chosen = options(name)
    if key_heads == 1 and "key_weights" in chosen and chosen["key_weights"].dim() == 3:
        chosen["key_weights"] = chosen["key_weights"][:, :1]
    rows, inverse_norm = definition(q, k, **chosen)
    output, found = spherical_attention(q, k, v, **chosen, return_norm=True, backend=backend)
    torch.testing.assert_close(output, rows @ v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found, inverse_norm, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "backend"), CHOICES)
@pytest.mark.parametrize("shape", [{}, {"dv": 1}, {"d": 7, "dv": 4}, {"heads": 2, "key_heads": 1}], ids=str)
def test_gradients_agree_with_finite_differences(
    name: str, shape: dict[str, int], backend: str, inputs: Inputs
) -> None:
    chosen = options(name)
    if "key_heads" in shape and "key_weights" in chosen and chosen["key_weights"].dim() == 3:
        chosen["key_weights"] = chosen["key_weights"][:, :1].detach().requires_grad_()
    leaves = leaves_of(chosen)

    def attend(q: Tensor, k: Tensor, v: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        given_options = with_leaves(chosen, dict(zip(leaves, rest, strict=True)))
        return spherical_attention(q, k, v, **given_options, return_norm=True, backend=backend)

    tensors = [tensor.requires_grad_() for tensor in inputs(**shape)]
    # fast_mode projects the Jacobian on random vectors: a wrong entry shows as surely and costs far less.
    assert torch.autograd.gradcheck(attend, (*tensors, *leaves.values()), fast_mode=True)


@pytest.mark.parametrize("backend", ["flashsign", "reference"])
def test_gradients_under_dropout(backend: str, inputs: Inputs) -> None:
    """The backward pass draws the forward pass's mask again; the generator is set back before each call."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(4)
        return spherical_attention(q, k, v, dropout_p=0.4, exclude=PAIRS, return_norm=True, backend=backend)

    tensors = tuple(tensor.requires_grad_() for tensor in inputs())
    assert torch.autograd.gradcheck(attend, tensors, fast_mode=True)


def test_dropout_of_both_quadratic_forms_is_the_same(inputs: Inputs) -> None:
    found = []
    for form in ("flashsign", "reference"):
        torch.manual_seed(4)
        found.append(spherical_attention(*inputs(), dropout_p=0.4, backend=form))
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    assert not torch.equal(found[0], spherical_attention(*inputs(), dropout_p=0.4))


def test_dropout_keeps_the_mean_and_the_norm(inputs: Inputs) -> None:
    q, k, v = (tensor.expand(4000, -1, -1, -1) for tensor in inputs(batch=1))
    torch.manual_seed(0)
    plain, norm = spherical_attention(q, k, v, return_norm=True)
    dropped, same = spherical_attention(q, k, v, dropout_p=0.3, return_norm=True)
    torch.testing.assert_close(same, norm)
    # Four standard errors: the variance of a weight is its square times p / (1 - p).
    spread = 4 * (6 * 0.3 / 0.7 / 4000) ** 0.5 * float(v.abs().max())
    torch.testing.assert_close(dropped.mean(0), plain[0], rtol=0, atol=spread)


@pytest.mark.parametrize("fixed", ["q", "k", "v"])
def test_gradients_where_one_input_takes_none(fixed: str, backend: str, inputs: Inputs) -> None:
    tensors = dict(zip("qkv", inputs(), strict=True))
    for name, tensor in tensors.items():
        tensor.requires_grad_(name != fixed)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return spherical_attention(q, k, v, exclude=PAIRS, backend=backend)

    assert torch.autograd.gradcheck(attend, tuple(tensors.values()), fast_mode=True)


def test_gradients_of_inputs_that_cells_and_heads_share(backend: str, inputs: Inputs) -> None:
    """Expanded inputs have stride 0: in-place work on them, or on their gradients, would count entries twice."""
    generator = torch.Generator().manual_seed(3)
    shared = [torch.randn(1, 1, size, 3, generator=generator, dtype=torch.float64) for size in (5, 6, 6)]

    def attend(q: Tensor, k: Tensor, v: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (tensor.expand(2, 3, -1, -1) for tensor in (q, k, v))
        return spherical_attention(q, k, v, exclude=PAIRS, sink=sink.expand(2, 3, 5), return_norm=True, backend=backend)

    sink = torch.randn(1, 1, 5, generator=generator, dtype=torch.float64)
    leaves = tuple(tensor.requires_grad_() for tensor in (*shared, sink))
    assert torch.autograd.gradcheck(attend, leaves, fast_mode=True)
    before = [leaf.detach().clone() for leaf in leaves]
    spherical_attention(*(leaf.expand(2, 3, -1, -1) for leaf in leaves[:3]), backend=backend).sum().backward()
    for leaf, copy in zip(leaves, before, strict=True):
        torch.testing.assert_close(leaf.detach(), copy, rtol=0, atol=0)


def test_expanded_output_gradients(backend: str, inputs: Inputs) -> None:
    """A sum's gradient is one number with stride 0."""
    found = []
    for expanded in (True, False):
        q, k, v = (tensor.requires_grad_() for tensor in inputs())
        output = spherical_attention(q, k, v, exclude=PAIRS, backend=backend)
        upstream = torch.tensor(2.0, dtype=torch.float64).expand_as(output)
        output.backward(upstream if expanded else upstream.contiguous())
        found.append((q.grad, k.grad, v.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)


def _value_and_gradients(backend: str, tensors: tuple[Tensor, ...], name: str) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    dtype = tensors[0].dtype
    chosen = options(name)
    own = {key: value.detach().to(dtype).requires_grad_() for key, value in leaves_of(chosen).items()}
    output, norm = spherical_attention(*leaves, **with_leaves(chosen, own), return_norm=True, backend=backend)
    generator = torch.Generator().manual_seed(5)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(dtype)
    ((output * upstream).sum() + norm.sum()).backward()
    grads = [leaf.grad for leaf in (*leaves, *own.values())]
    return [output, norm, *grads]


@pytest.mark.parametrize("name", [*FACTORISE, *DENSE])
# float32: relative to the largest entry. Rounding is 6e-8; all forms stay below 3e-6 on these data.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_forms_agree(name: str, dtype: torch.dtype, tolerance: float, inputs: Inputs) -> None:
    tensors = inputs(dtype=dtype)
    truth = _value_and_gradients("reference", tensors, name)
    for form in ("linear", "flashsign") if name in FACTORISE else ("flashsign",):
        for one, other in zip(_value_and_gradients(form, tensors, name), truth, strict=True):
            assert float((one - other).detach().abs().max()) <= tolerance * float(other.detach().abs().max())


@pytest.mark.parametrize("n", [1, 63, 127, 130, 1000])
def test_forms_agree_at_odd_sizes(n: int, inputs: Inputs) -> None:
    q, k, v = inputs(batch=1, heads=2, n=n, m=n, d=16, dv=9)
    own = torch.arange(n)
    # One gene that does not see itself sees nothing: the row is zero, not NaN.
    truth, *others = (
        spherical_attention(q, k, v, exclude=(own, own), backend=form) for form in ("reference", "linear", "flashsign")
    )
    for other in others:
        torch.testing.assert_close(other, truth, rtol=1e-11, atol=1e-11)
        assert n > 1 or bool((other.abs() < 1e-9).all())


@quick
@given(seed=st.integers(0, 2**31), n=st.integers(1, 8), m=st.integers(1, 8), form=st.sampled_from(sorted(BACKENDS)))
def test_order_of_keys_and_queries_does_not_matter(seed: int, n: int, m: int, form: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(1, 2, n, 3, generator=generator, dtype=torch.float64)
    k, v = (torch.randn(1, 2, m, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    of_queries, of_keys = torch.randperm(n, generator=generator), torch.randperm(m, generator=generator)
    plain = spherical_attention(q, k, v, backend=form)
    moved = spherical_attention(q[:, :, of_queries], k[:, :, of_keys], v[:, :, of_keys], backend=form)
    torch.testing.assert_close(moved, plain[:, :, of_queries], rtol=1e-10, atol=1e-10)


@quick
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3),
    form=st.sampled_from(sorted(BACKENDS)),
)
def test_scale_of_a_query_leaves_its_row_and_its_sign_turns_it(seed: int, scale: float, form: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, 2, 5, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    plain = spherical_attention(q, k, v, eps=0.0, backend=form)
    scaled = spherical_attention(q * scale, k, v, eps=0.0, backend=form)
    torch.testing.assert_close(scaled, plain if scale > 0 else -plain, rtol=1e-9, atol=1e-9)


@quick
@given(
    seed=st.integers(0, 2**31),
    eps=st.floats(1e-6, 1.0),
    sink=st.floats(0.0, 3.0),
    form=st.sampled_from(sorted(BACKENDS)),
)
def test_gradient_along_a_query(seed: int, eps: float, sink: float, form: str) -> None:
    """q . dq = (eps' + sink^2) r^2 (do . o), eps' = eps m d: a row's scale matters only through eps and sink."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v, upstream = (torch.randn(2, 1, 6, 4, generator=generator, dtype=torch.float64) for _ in range(4))
    q.requires_grad_()
    output, inverse_norm = spherical_attention(
        q, k, v, sink=torch.tensor([sink], dtype=torch.float64), eps=eps, return_norm=True, backend=form
    )
    (gradient,) = torch.autograd.grad(output, q, upstream)
    expected = (eps * 6 * 4 + sink**2) * inverse_norm.square() * (upstream * output).sum(-1)
    torch.testing.assert_close((q * gradient).sum(-1), expected.detach(), rtol=1e-8, atol=1e-10)


@quick
@given(seed=st.integers(0, 2**31), m=st.integers(1, 9), form=st.sampled_from(sorted(BACKENDS)))
def test_rows_lie_on_the_unit_sphere(seed: int, m: int, form: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(1, 2, 5, 3, generator=generator, dtype=torch.float64)
    k = torch.randn(1, 2, m, 3, generator=generator, dtype=torch.float64)
    identity = torch.eye(m, dtype=torch.float64).expand(1, 2, m, m)
    rows = spherical_attention(q, k, identity, eps=0.0, backend=form)
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(1, 2, 5, dtype=torch.float64), rtol=1e-10, atol=1e-10)
    mass = torch.tensor(0.7, dtype=torch.float64)
    rows, norm = spherical_attention(q, k, identity, eps=0.0, sink=mass, return_norm=True, backend=form)
    torch.testing.assert_close(rows.square().sum(-1) + (mass * norm) ** 2, torch.ones(1, 2, 5, dtype=torch.float64))
    assert bool((rows.norm(dim=-1) < 1).all())


def test_eps_is_relative_to_the_number_of_keys_and_the_head_size(backend: str, inputs: Inputs) -> None:
    """Unit-variance data lose the share eps / (1 + eps) of their mass, whatever the sizes."""
    for n, d in ((50, 8), (200, 32)):
        q, k, v = inputs(n=n, m=n, d=d, dv=d)
        _, without = spherical_attention(q, k, v, eps=0.0, return_norm=True, backend=backend)
        _, norm = spherical_attention(q, k, v, eps=1.0, return_norm=True, backend=backend)
        assert float((norm / without).square().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_key_of_weight_zero_is_absent(backend: str, inputs: Inputs) -> None:
    q, k, v = inputs()
    kept = torch.tensor([1.0, 1, 0, 1, 0, 1], dtype=torch.float64)
    weighted = spherical_attention(q, k, v, key_weights=kept, eps=0.0, backend=backend)
    alone = spherical_attention(q, k[:, :, kept > 0], v[:, :, kept > 0], eps=0.0, backend=backend)
    torch.testing.assert_close(weighted, alone, rtol=1e-12, atol=1e-12)


def test_norm_is_returned_only_if_asked_for(inputs: Inputs) -> None:
    output, norm = spherical_attention(*inputs(), return_norm=True)
    assert (output.shape, norm.shape) == ((2, 2, 5, 3), (2, 2, 5))
    torch.testing.assert_close(spherical_attention(*inputs()), output)


@pytest.mark.parametrize("sizes", [{"batch": 0}, {"n": 0}])
def test_nothing_in_nothing_out(sizes: dict[str, int], backend: str, inputs: Inputs) -> None:
    q, k, v = (tensor.requires_grad_() for tensor in inputs(key_heads=1, **sizes))
    output, norm = spherical_attention(q, k, v, return_norm=True, backend=backend)
    assert output.shape == (*q.shape[:3], 3)
    assert norm.shape == q.shape[:3]
    output.sum().backward()
    assert not v.grad.any()


def test_explanation_names_a_backend_and_the_device() -> None:
    name, reason = explain_backend("cpu")
    assert name in BACKENDS
    assert "cpu" in reason
