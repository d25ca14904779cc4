"""The registered operators under everything PyTorch does to a model: tracing, compiling, mapping, recomputing, DDP."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import grn
from grn.kernels import ops, spherical_attention

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
NONE = (None,) * 5
PAIRS = (torch.tensor([0, 3, 3]), torch.tensor([1, 0, 5]))
FREE = (torch.tensor([0, 1, 4]), torch.tensor([0, 2, 5]))


def leaf(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def linear_cases(inputs: Inputs) -> dict[str, tuple[Any, ...]]:
    q, k, v = (tensor.requires_grad_() for tensor in inputs())
    return {
        "plain": (q, k, v, None, *NONE, 1e-3, True),
        "pairs": (q, k, v, leaf(2, 2, 5), *PAIRS, *FREE, leaf(3), 1e-3, False),
        "values without gradient": (q, k, v.detach(), leaf(2, 2, 5), *PAIRS, None, None, None, 1e-3, True),
    }


def flashsign_cases(inputs: Inputs) -> dict[str, tuple[Any, ...]]:
    q, k, v = (tensor.requires_grad_() for tensor in inputs())
    mask, seed = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0)) < 0.7, torch.tensor([3])
    return {
        "plain": (q, k, v, None, None, None, None, None, None, 0.0, 1e-3, True, True),
        "all": (q, k, v, leaf(2, 2, 5), *PAIRS, mask, leaf(1, 2, 5, 6), seed, 0.3, 1e-3, True, False),
    }


@pytest.mark.parametrize("name", ["plain", "pairs", "values without gradient"])
def test_opcheck_linear(name: str, inputs: Inputs) -> None:
    torch.library.opcheck(ops.linear_forward, linear_cases(inputs)[name])


@pytest.mark.parametrize("name", ["plain", "all"])
def test_opcheck_flashsign(name: str, inputs: Inputs) -> None:
    torch.library.opcheck(ops.flashsign_forward, flashsign_cases(inputs)[name])


def test_opcheck_backward_operators(inputs: Inputs) -> None:
    """Their shapes under tracing: schema and fake kernels (they are not differentiable themselves)."""
    utilities = ("test_schema", "test_faketensor")
    q, k, v, sink, *pairs, eps, checked = (
        value.detach() if isinstance(value, Tensor) else value for value in linear_cases(inputs)["pairs"]
    )
    output, norm, states = ops.linear_forward(q, k, v, sink, *pairs, eps, checked)
    for wanted in (True, False):
        torch.library.opcheck(
            ops.linear_backward, (output, norm, q, k, v, norm, states, *pairs, wanted), test_utils=utilities
        )
    q, k, v, sink, queries, keys, mask, prior, seed, p, eps, _, _ = (
        value.detach() if isinstance(value, Tensor) else value for value in flashsign_cases(inputs)["all"]
    )
    output, norm = ops.flashsign_forward(q, k, v, sink, queries, keys, mask, prior, seed, p, eps, True, True)
    for wanted in ((True, True), (False, True), (True, False)):
        arguments = (output, norm, q, k, v, output, norm, queries, keys, mask, prior, seed, p, True, *wanted)
        torch.library.opcheck(ops.flashsign_backward, arguments, test_utils=utilities)


@pytest.mark.parametrize("name", ["plain", "pairs"])
def test_no_second_derivative(name: str, inputs: Inputs) -> None:
    """Refused rather than wrong."""
    arguments = linear_cases(inputs)[name]
    output = ops.linear_forward(*arguments)[0]
    (gradient,) = torch.autograd.grad(output.sum(), arguments[0], create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(gradient.sum(), arguments[0])


@pytest.mark.parametrize("form", ["linear", "flashsign", "reference"])
def test_compiles_without_a_break(form: str, inputs: Inputs) -> None:
    """aot_eager traces forward and backward as inductor does, and leaves out its code generation."""

    def step(q: Tensor, k: Tensor, v: Tensor, sink: Tensor) -> Tensor:
        options: dict[str, Any] = {"exclude": PAIRS, "sink": sink, "key_weights": sink.new_ones(6)}
        output, norm = spherical_attention(q, k, v, **options, return_norm=True, backend=form)
        return (output.sin().sum(-1) * norm).sum()

    found = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        leaves = [tensor.clone().requires_grad_() for tensor in (*inputs(), leaf(2, 2, 5).detach())]
        found.append([function(*leaves), *torch.autograd.grad(function(*leaves), leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dynamic", [None, True, False])
def test_compiles_with_the_form_left_open(dynamic: bool | None) -> None:
    """Lengths around the break-even; with dynamic sizes one graph serves several of them."""
    torch._dynamo.reset()
    compiled = torch.compile(spherical_attention, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for n in (20, 300, 301, 700):
        q, k, v = (torch.randn(1, 2, n, 16, generator=torch.Generator().manual_seed(n)) for _ in range(3))
        torch.testing.assert_close(compiled(q, k, v), spherical_attention(q, k, v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_listed_pairs_are_checked_in_a_compiled_call(form: str, inputs: Inputs) -> None:
    compiled = torch.compile(spherical_attention, fullgraph=True, backend="aot_eager")
    for pairs, message in (
        ((torch.tensor([0, 0]), torch.tensor([1, 1])), "query 0 and key 1 more than once"),
        ((torch.tensor([0]), torch.tensor([-1])), r"names keys outside 0\.\.5"),
    ):
        with pytest.raises(ValueError, match=message):
            compiled(*inputs(), exclude=pairs, backend=form)


@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_mapped_over_one_more_axis(form: str, inputs: Inputs) -> None:
    stacked = [torch.stack([inputs(seed=seed)[place] for seed in range(3)], dim=1) for place in range(3)]
    sink = leaf(2, 2, 5).detach()

    def attend(q: Tensor, k: Tensor, v: Tensor, sink: Tensor) -> Tensor:
        return spherical_attention(q, k, v, exclude=PAIRS, sink=sink, backend=form)

    leaves = [tensor.requires_grad_() for tensor in (*stacked, sink)]
    found = torch.vmap(attend, in_dims=(1, 1, 1, None))(*leaves)
    expected = torch.stack([attend(*(tensor[:, index] for tensor in stacked), sink) for index in range(3)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradients, truth = (torch.autograd.grad(output.square().sum(), leaves) for output in (found, expected))
    for one, other in zip(gradients, truth, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_many_gradients_at_once(form: str, inputs: Inputs) -> None:
    """`is_grads_batched` maps the backward operator: a Jacobian in one pass."""
    q, k, v = (tensor.requires_grad_() for tensor in inputs())
    prior, mask = leaf(1, 2, 5, 6), torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) < 0.7
    options = {} if form == "linear" else {"prior": prior, "pair_mask": mask}
    output = spherical_attention(q, k, v, **options, exclude=PAIRS, backend=form)
    leaves = (q, k, v) if form == "linear" else (q, k, v, prior)
    upstream = torch.randn(4, *output.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = torch.autograd.grad(output, leaves, upstream, is_grads_batched=True, retain_graph=True)
    for index in range(4):
        for one, other in zip(
            found, torch.autograd.grad(output, leaves, upstream[index], retain_graph=True), strict=True
        ):
            torch.testing.assert_close(one[index], other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("shared", [False, True], ids=["mapped prior", "shared prior"])
def test_mapped_dense_priors_and_masks(shared: bool, rows: int, inputs: Inputs) -> None:
    """Of one entry for the whole batch, or of one for each."""
    q, k, v = (torch.stack([inputs(seed=seed)[place] for seed in range(3)]) for place in range(3))
    prior = leaf(rows, 2, 5, 6).detach() if shared else leaf(3, rows, 2, 5, 6).detach()
    mask = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) < 0.7

    def score(prior: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return spherical_attention(q, k, v, prior=prior, pair_mask=mask, backend="flashsign").square().sum()

    prior.requires_grad_()
    found = torch.vmap(score, in_dims=(None if shared else 0, 0, 0, 0))(prior, q, k, v)
    expected = torch.stack(
        [score(prior if shared else prior[index], q[index], k[index], v[index]) for index in range(3)]
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    one, other = (torch.autograd.grad(scores.sum(), prior)[0] for scores in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_what_cannot_be_mapped_says_so(inputs: Inputs) -> None:
    q, k, v = inputs()
    prior = torch.sparse_coo_tensor(torch.stack(FREE), leaf(3).detach(), (5, 6), check_invariants=True)
    cells = torch.stack([q, q])
    with pytest.raises(NotImplementedError, match="sparse prior; give a dense one"):
        torch.vmap(lambda one: spherical_attention(one, k, v, prior=prior, backend="linear"))(cells)


@pytest.mark.parametrize("form", ["linear", "flashsign", "reference"])
def test_recomputed_in_the_backward_pass(form: str, inputs: Inputs) -> None:
    """torch.utils.checkpoint runs the forward pass twice; dropout draws the same seed both times."""
    dropout = {} if form == "linear" else {"dropout_p": 0.3}

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return spherical_attention(q, k, v, **dropout, backend=form).square().sum()

    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        leaves = [tensor.requires_grad_() for tensor in inputs()]
        loss = checkpoint(attend, *leaves, use_reentrant=False) if recompute else attend(*leaves)
        found.append(torch.autograd.grad(loss, leaves))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tested where fork and sockets are alike")
def test_gradients_of_two_processes_are_those_of_one() -> None:
    code = """
    import sys, torch, torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from grn.kernels import spherical_attention

    class Attend(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.key = torch.nn.Parameter(torch.randn(1, 1, 6, 4, generator=torch.Generator().manual_seed(0)))
        def forward(self, q):
            k = self.key.expand(len(q), -1, -1, -1)
            return spherical_attention(q, k, k, exclude=(torch.arange(5), torch.arange(5)), backend="linear")

    def gradient(module, q):
        module(q).square().mean().backward()
        return [p.grad for p in module.parameters()][0]

    def work(rank, cells, file):
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
        found = gradient(DistributedDataParallel(Attend()), cells[rank::2])
        if rank == 0:
            torch.testing.assert_close(found, gradient(Attend(), cells), rtol=1e-5, atol=1e-7)
        dist.destroy_process_group()

    if __name__ == "__main__":
        import tempfile
        cells = torch.randn(8, 1, 5, 4, generator=torch.Generator().manual_seed(1))
        torch.multiprocessing.spawn(work, (cells, tempfile.mktemp()), nprocs=2)
        print("same")
    """
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(textwrap.dedent(code))
        script.flush()
        # A script does not look for packages in the working folder, and grn need not be installed.
        found = {**os.environ, "PYTHONPATH": str(Path(grn.__file__).parents[1])}
        done = subprocess.run([sys.executable, script.name], env=found, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "same" in done.stdout.splitlines(), done.stdout + done.stderr
