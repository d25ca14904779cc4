"""The public function on the Triton kernels, from arguments to gradients, against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attention_rounding import precision, public, statistics_of_maps
from rounding import Arithmetic, Computed, arithmetic_of, assert_rounded
from torch import Tensor

from grn.kernels import attention_maps, dispatch, maps, spherical_attention

N, M, D = 70, 45, 20


@pytest.fixture(autouse=True)
def on_the_kernels(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, dispatch takes the processor for one: the kernels are interpreted."""
    if str(device) == "cpu":
        for module in (dispatch, maps):
            monkeypatch.setattr(module, "why_not_triton", _as_on_a_gpu)


def _as_on_a_gpu(form: str, device: str, dtype: torch.dtype, dim: int, *, dense: bool = False) -> str | None:
    return "double precision" if dtype == torch.float64 else None


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def options(name: str, device: Any) -> dict[str, Any]:
    own = torch.arange(0, M, 2, device=device)
    plain: dict[str, Any] = {"exclude": (own, own), "sink": normal(2, 4, N, seed=4).to(device)}
    if name == "pairs listed twice":
        plain["exclude"] = (torch.cat([own, own]), torch.cat([own, own + 1 - 2 * (own == M - 1)]))
    if name == "sparse prior":
        places = torch.stack([torch.arange(1, M, 2), torch.arange(1, M, 2)])
        values = normal(places.shape[1], seed=5)
        plain["prior"] = torch.sparse_coo_tensor(places, values, (N, M), check_invariants=True).to(device)
    if name == "key weights":
        plain["key_weights"] = normal(2, 2, M, seed=6).to(device)
    return plain


def run(tensors: list[Tensor], upstream: Tensor, backend: str, given: dict[str, Any]) -> dict[str, Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output, norm = spherical_attention(*leaves, **given, return_norm=True, backend=backend)  # type: ignore[misc]
    ((output * upstream.to(output)).sum() + norm.sum()).backward()
    gradients = dict(zip("qkv", (leaf.grad for leaf in leaves), strict=True))
    return {"output": output.detach(), "norm": norm.detach(), **gradients}


@pytest.mark.parametrize("name", ["plain", "sparse prior", "key weights", "pairs listed twice"])
@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_public_function(form: str, name: str, device: Any) -> None:
    """Grouped-query heads, half precision where the quadratic form needs a mask."""
    dense = form == "flashsign" and name in ("sparse prior", "pairs listed twice")
    dtype = torch.float16 if dense else torch.float32
    shapes = ((2, 4, N, D), (2, 2, M, D), (2, 2, M, 9))
    tensors = [normal(*shape, seed=seed).to(device=device, dtype=dtype) for seed, shape in enumerate(shapes)]
    given = options(name, device)
    upstream = normal(2, 4, N, 9, seed=7).to(dtype)
    found = run(tensors, upstream, form, given)
    wide = {key: value.double() if isinstance(value, Tensor) else value for key, value in given.items()}
    truth = run([tensor.double() for tensor in tensors], upstream, "reference", wide)
    how = precision(dtype, device, triton=True)

    def bounds(arithmetic: Arithmetic) -> dict[str, Computed]:
        other = how._replace(arithmetic=arithmetic)
        return public(*tensors, upstream, torch.ones(2, 4, N), form, how=other, **given)

    assert_rounded(found, truth, bounds, how.arithmetic)


@pytest.mark.parametrize("top_k", [None, 5])
def test_public_maps(top_k: int | None, device: Any) -> None:
    q, k = (normal(6, 4, N, D, seed=0).to(device), normal(6, 2, M, D, seed=1).to(device))
    own = torch.arange(M, device=device)
    groups = torch.tensor([0, 2, 0, 0, 2, 2], device=device)
    given: dict[str, Any] = {"groups": groups, "exclude": (own, own), "top_k": top_k}
    found = attention_maps(q, k, **given)
    truth = attention_maps(q.cpu().double(), k.cpu().double(), groups=groups.cpu(), exclude=(own.cpu(), own.cpu()))
    arithmetic = arithmetic_of(torch.float32, device)
    norm = public(q, k, k, q[..., :D], None, "linear", exclude=(own, own))["norm"]
    keys = Computed.of(k.repeat_interleave(2, 1).mT, arithmetic)
    hidden = torch.eye(N, M, dtype=torch.bool)
    entries = ((Computed.of(q, arithmetic) @ keys) * norm.each(lambda x: x.unsqueeze(-1))).where(~hidden)
    for name, bound in statistics_of_maps(entries, groups).items():
        expected = truth.statistics[name]
        if found.keys is not None:
            expected = expected.gather(-1, found.keys.cpu())
            bound = bound.each(lambda x: x.gather(-1, found.keys.cpu()))
        assert bound.share(found.statistics[name], expected) <= 1
