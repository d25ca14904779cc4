"""The quadratic form in chunks against the definition in float64, with every option; its memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from grn.kernels import chunked
from grn.kernels.dropout import keep_mask

Inputs = Callable[..., tuple[Tensor, Tensor, Tensor]]
EPS, DROPOUT = 0.2, 0.3
SEED = torch.tensor([12345])
SINGLE = ("own", "mask", "prior", "mass", "dropout")


def options(names: tuple[str, ...], shape: torch.Size, m: int, broadcast: tuple[int, int] = (1, 1)) -> dict[str, Any]:
    """Arguments of the form, in float64."""
    generator = torch.Generator().manual_seed(5)
    n, given = shape[2], dict.fromkeys(("own", "mask", "prior", "mass", "seed"))
    if "own" in names:
        own = torch.randint(-1, m, (n,), generator=generator, dtype=torch.int32)
        own[0] = m - 1
        given["own"] = own
    if "mask" in names:
        given["mask"] = torch.rand(*broadcast, n, m, generator=generator) < 0.6
    if "prior" in names:
        given["prior"] = torch.randn(*broadcast, n, m, generator=generator, dtype=torch.float64)
    if "mass" in names:
        given["mass"] = torch.rand(shape[:3], generator=generator, dtype=torch.float64)
    if "dropout" in names:
        given["seed"] = SEED
    return {**given, "dropout_p": DROPOUT if "dropout" in names else 0.0}


def written_out(q: Tensor, k: Tensor, v: Tensor, given: dict[str, Any]) -> tuple[Tensor, Tensor]:
    batch, heads, n, _ = q.shape
    m = k.shape[2]
    shared = torch.arange(heads) * k.shape[1] // heads
    scores = torch.einsum("bhid,bhjd->bhij", q, k[:, shared])
    if given["prior"] is not None:
        scores = scores + given["prior"]
    allowed = torch.ones(n, m, dtype=torch.bool)
    if given["own"] is not None:
        allowed = torch.arange(m) != given["own"].unsqueeze(1)
    if given["mask"] is not None:
        allowed = allowed & given["mask"]
    scores = torch.where(allowed, scores, 0.0)
    square = scores.pow(2).sum(-1) + EPS + (0 if given["mass"] is None else given["mass"])
    rows = scores / square.sqrt().unsqueeze(-1)
    if given["seed"] is not None:
        keep = keep_mask(SEED, torch.arange(batch * heads), torch.arange(n), torch.arange(m), DROPOUT)
        rows = rows * keep.view_as(rows) / (1 - DROPOUT)
    return torch.einsum("bhij,bhje->bhie", rows, v[:, shared]), square**-0.5


def both(
    tensors: tuple[Tensor, Tensor, Tensor], given: dict[str, Any]
) -> tuple[dict[str, Tensor | None], dict[str, Tensor | None]]:
    """Outputs and all gradients, from `chunked` and from the definition under automatic differentiation."""
    q, k, v = tensors
    leaves = {"q": q, "k": k, "v": v, "prior": given["prior"], "mass": given["mass"]}
    leaves = {name: leaf.detach().clone().requires_grad_() for name, leaf in leaves.items() if leaf is not None}
    written = given | {name: leaf for name, leaf in leaves.items() if name in given}
    truth, true_norm = written_out(leaves["q"], leaves["k"], leaves["v"], written)
    generator = torch.Generator().manual_seed(6)
    d_output = torch.randn(truth.shape, generator=generator, dtype=q.dtype)
    d_norm = torch.randn(true_norm.shape, generator=generator, dtype=q.dtype)
    loss = (truth * d_output).sum() + (true_norm * d_norm).sum()
    gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    expected = {"output": truth.detach(), "norm": true_norm.detach(), **gradients}

    before = [tensor.clone() for tensor in (q, k, v, d_output, d_norm)]
    output, norm = chunked.forward(q, k, v, **given, eps=EPS)
    without_mass = {name: value for name, value in given.items() if name != "mass"}
    d_q, d_k, d_v, d_prior, d_square = chunked.backward(d_output, d_norm, q, k, v, output, norm, **without_mass)
    assert all(torch.equal(a, b) for a, b in zip(before, (q, k, v, d_output, d_norm), strict=True))
    found = {"output": output, "norm": norm, "q": d_q, "k": d_k, "v": d_v, "prior": d_prior, "mass": d_square}
    return found, expected


def check(tensors: tuple[Tensor, Tensor, Tensor], given: dict[str, Any]) -> None:
    found, expected = both(tensors, given)
    for name, truth in expected.items():
        torch.testing.assert_close(found[name], truth, rtol=1e-12, atol=1e-12, msg=lambda text, name=name: name + text)
    assert (found["prior"] is None) == (given["prior"] is None)


@pytest.fixture(params=[1, 24, 2**19], ids=["rows", "some", "one chunk"])
def chunk_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "SCORES", request.param)
    monkeypatch.setattr(chunked, "LEAST_ROWS", 1)


@pytest.mark.usefixtures("chunk_size")
@pytest.mark.parametrize("key_heads", [4, 2, 1])
@pytest.mark.parametrize("names", [(), *((name,) for name in SINGLE), SINGLE], ids=str)
def test_against_the_definition(names: tuple[str, ...], key_heads: int, inputs: Inputs) -> None:
    q, k, v = inputs(heads=4, key_heads=key_heads)
    check((q, k, v), options(names, q.shape, 6))


@pytest.mark.usefixtures("chunk_size")
@pytest.mark.parametrize("broadcast", [(1, 4), (3, 1), (3, 4)], ids=str)
def test_masks_and_priors_of_each_head_and_cell(broadcast: tuple[int, int], inputs: Inputs) -> None:
    q, k, v = inputs(batch=3, heads=4, key_heads=2)
    check((q, k, v), options(("mask", "prior"), q.shape, 6, broadcast))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (63, 2), (2, 130), (130, 127)])
def test_odd_sizes(n: int, m: int, inputs: Inputs) -> None:
    q, k, v = inputs(batch=1, n=n, m=m, d=3, dv=5)
    check((q, k, v), options(SINGLE, q.shape, m))


@pytest.mark.usefixtures("chunk_size")
def test_expanded_and_transposed_inputs(inputs: Inputs) -> None:
    q, k, v = inputs()
    q = q.transpose(1, 2).contiguous().transpose(1, 2)
    given = options(("mask", "prior", "mass"), q.shape, 6)
    given["mask"], given["prior"] = given["mask"].expand(2, 2, 5, 6), given["prior"][:, :, :1].expand(2, 1, 5, 6)
    check((q, k[:1].expand_as(k), v[:, :, :1].expand_as(v)), given)


def test_no_gradient_of_norm_or_prior(inputs: Inputs) -> None:
    q, k, v = inputs()
    given = options(("prior",), q.shape, 6)
    output, norm = chunked.forward(q, k, v, **given, eps=EPS)
    del given["mass"]
    found = chunked.backward(output, None, q, k, v, output, norm, **given, prior_gradient=False)
    truth = chunked.backward(output, torch.zeros_like(norm), q, k, v, output, norm, **given)
    assert found[3] is None
    for place in (0, 1, 2, 4):
        torch.testing.assert_close(found[place], truth[place], rtol=0, atol=0)


def test_rows_with_nothing_to_see_are_zero(inputs: Inputs) -> None:
    q, k, v = inputs()
    given = options((), q.shape, 6) | {"mask": torch.zeros(1, 1, 5, 6, dtype=torch.bool)}
    found, _ = both((q, k, v), given)
    assert not any(bool(found[name].any()) for name in ("output", "q", "k", "v"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, inputs: Inputs) -> None:
    half = inputs(n=40, m=50, heads=4, key_heads=2, dtype=dtype)
    given = options(SINGLE, half[0].shape, 50)
    given["prior"], given["mass"] = given["prior"].to(dtype), given["mass"].float()
    results = []
    for tensors in (half, tuple(tensor.float() for tensor in half)):
        output, norm = chunked.forward(*tensors, **given, eps=EPS)
        rest = {name: value for name, value in given.items() if name != "mass"}
        results.append((output, norm, *chunked.backward(output, norm, *tensors, output, norm, **rest)))
    assert [tensor.dtype for tensor in results[0]] == [dtype, torch.float32, dtype, dtype, dtype, dtype, torch.float32]
    torch.testing.assert_close(results[0][:2], (results[1][0].to(dtype), results[1][1]), rtol=0, atol=0)
    for ours, theirs in zip(results[0][2:], results[1][2:], strict=True):
        # The output enters the backward pass rounded.
        bound = 4 * torch.finfo(dtype).eps * float(theirs.float().abs().max())
        assert float((ours.float() - theirs.float()).abs().max()) < bound


def test_empty_batch_and_no_queries() -> None:
    for shape in ((0, 2, 5), (2, 2, 0)):
        q, k, v = torch.randn(*shape, 4), torch.randn(*shape[:2], 6, 4), torch.randn(*shape[:2], 6, 3)
        given = options((), q.shape, 6)
        output, norm = chunked.forward(q, k, v, **given, eps=EPS)
        assert (output.shape, norm.shape) == ((*shape, 3), shape)


def test_memory_stays_far_below_one_matrix_of_scores() -> None:
    """Scores of 10,000 queries and keys are 400 MB."""
    code = """
    import torch
    from grn._provenance import peak_memory
    from grn.kernels import chunked
    torch.set_num_threads(1)
    given = {"mask": None, "prior": None, "dropout_p": 0.0, "seed": None}
    def once(n):
        q, k, v = (torch.randn(1, 1, n, 16) for _ in range(3))
        given["own"] = torch.arange(n, dtype=torch.int32)
        output, norm = chunked.forward(q, k, v, mass=None, eps=0.1, **given)
        chunked.backward(output, norm, q, k, v, output, norm, **given)
    once(200)
    before = peak_memory()["cpu"]
    once(10000)
    print(peak_memory()["cpu"] - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) < 100e6
