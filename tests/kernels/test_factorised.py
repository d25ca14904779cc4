"""Excluded pairs and sparse priors on the factorised form, against scores written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from grn.kernels import factorised, linear
from grn.kernels.pairs import Pairs

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
EPS = 0.1
EXCLUDED = (torch.tensor([4, 0, 4, 2]), torch.tensor([1, 1, 5, 0]))
PRIOR = (torch.tensor([3, 0, 4, 1]), torch.tensor([1, 2, 0, 1]))


def listed(names: str, prior: Tensor) -> list[Pairs]:
    lists = {"excluded": Pairs(*EXCLUDED, None), "prior": Pairs(*PRIOR, prior)}
    return [lists[name] for name in names.split()]


@pytest.mark.parametrize("mass", [False, True])
@pytest.mark.parametrize("names", ["", "excluded", "prior", "excluded prior"])
def test_against_the_definition(names: str, mass: bool, inputs: Inputs) -> None:
    q, k, v = (tensor.requires_grad_() for tensor in inputs())
    prior = torch.tensor([0.5, -2.0, 1.0, 3.0], dtype=q.dtype, requires_grad=True)
    outside = torch.rand(q.shape[:3], dtype=q.dtype, requires_grad=True) if mass else None
    scores = q @ k.mT
    if "excluded" in names:
        scores = scores * torch.ones(5, 6, dtype=q.dtype).index_put(EXCLUDED, scores.new_zeros(()))
    if "prior" in names:
        scores = scores + torch.zeros(5, 6, dtype=q.dtype).index_put(PRIOR, prior)
    true_norm = (scores.square().sum(-1) + EPS + (0 if outside is None else outside)).rsqrt()
    truth = (scores * true_norm.unsqueeze(-1)) @ v
    d_output, d_norm = torch.randn_like(truth), torch.randn_like(true_norm)
    wanted = {"q": q, "k": k, "v": v, "prior": prior, "mass": outside}
    wanted = {name: leaf for name, leaf in wanted.items() if leaf is not None and (name != "prior" or name in names)}
    loss = (truth * d_output).sum() + (true_norm * d_norm).sum()
    gradients = dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))

    with torch.no_grad():
        some = listed(names, prior)
        output, norm, states = factorised.forward(linear, q, k, v, outside, some, EPS)
        *found, d_square, d_prior = factorised.backward(linear, d_output, d_norm, q, k, v, norm, states, some)
    results = dict(zip(("q", "k", "v", "mass", "prior"), (*found, d_square, d_prior), strict=True))
    torch.testing.assert_close((output, norm), (truth.detach(), true_norm.detach()), rtol=1e-12, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(results[name], gradient, rtol=1e-12, atol=1e-12)
    assert (d_prior is None) == ("prior" not in names)


def test_gradient_of_values_only_if_asked_for(inputs: Inputs) -> None:
    q, k, v = inputs()
    for some in ([], listed("excluded", q)):
        output, norm, states = factorised.forward(linear, q, k, v, None, some, EPS)
        arguments = (linear, output, None, q, k, v, norm, states, some)
        with_values = factorised.backward(*arguments)
        without = factorised.backward(*arguments, value_gradient=False)
        assert with_values[2] is not None
        assert without[2] is None
        torch.testing.assert_close((without[:2], without[3]), (with_values[:2], with_values[3]), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype: torch.dtype, inputs: Inputs) -> None:
    half = inputs(dtype=dtype)
    prior = torch.tensor([0.5, -2.0, 1.0, 3.0])
    some = listed("excluded prior", prior)
    d_output = torch.randn(2, 2, 5, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    results = []
    for *tensors, gradient in ([*half, d_output], [tensor.double() for tensor in (*half, d_output)]):
        output, norm, states = factorised.forward(linear, *tensors, None, some, EPS)
        gradients = factorised.backward(linear, gradient, None, *tensors, norm, states, some)
        results.append((output, norm, *gradients))
    bound = 4 * torch.finfo(dtype).eps
    types = [dtype, torch.float32, dtype, dtype, dtype, torch.float32, torch.float32]
    for ours, truth, kind in zip(*results, types, strict=True):
        assert ours.dtype == kind
        assert float((ours - truth).abs().max()) < bound * float(truth.abs().max())


def test_no_self_edge_costs_less_than_the_form_itself(seconds_of: Callable[..., list[float]]) -> None:
    q, k, v = (torch.randn(1, 1, 20000, 64) for _ in range(3))
    own = [Pairs(torch.arange(20000), torch.arange(20000), None)]

    def step(some: list[Pairs]) -> None:
        output, norm, states = factorised.forward(linear, q, k, v, None, some, EPS)
        factorised.backward(linear, output, None, q, k, v, norm, states, some)

    without_self, plain = seconds_of(lambda: step(own), lambda: step([]))
    assert without_self < 3 * plain
