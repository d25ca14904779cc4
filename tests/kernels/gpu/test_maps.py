"""The maps' Triton kernel against maps written out cell by cell in float64, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from attention_rounding import statistics_of_maps
from rounding import Arithmetic, Computed, arithmetic_of, assert_rounded
from torch import Tensor

STATISTICS = ("mean", "abs", "square")
GROUPS = torch.tensor([3, 0, 3, 0, 0, 1])  # group 2 is empty


def problem(n: int, m: int, d: int, dtype: torch.dtype, shared: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and inverse norms of six cells and two heads."""
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(6, 2, rows, d, generator=generator).to(dtype) for rows in (n, m))
    norm = torch.rand(6, 2, n, generator=generator)
    return q, k[:1].expand(6, -1, -1, -1) if shared else k, norm


def sorted_cells(device: torch.device) -> tuple[Tensor, Tensor]:
    counts = torch.bincount(GROUPS)
    offsets = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)))
    return GROUPS.argsort(stable=True).to(device), offsets.to(device)


def own_keys(n: int, m: int) -> Tensor:
    own = torch.arange(n, dtype=torch.int32).flip(0)
    return torch.where((own < m) & (own % 5 > 0), own, -1)


def truth(q: Tensor, k: Tensor, norm: Tensor, own: Tensor | None) -> dict[str, Tensor]:
    entries = q.double() @ k.double().mT * norm.double().unsqueeze(-1)
    if own is not None:
        rows = torch.nonzero(own >= 0).flatten()
        entries[:, :, rows, own[rows].long()] = 0
    found: dict[str, Tensor] = {}
    for name, of in {"mean": lambda x: x, "abs": torch.abs, "square": torch.square}.items():
        maps = [of(entries[group == GROUPS]) for group in range(4)]
        found[name] = torch.stack([chosen.sum(0) / max(len(chosen), 1) for chosen in maps])
    return found


def bounds(q: Tensor, k: Tensor, norm: Tensor, own: Tensor | None, arithmetic: Arithmetic) -> dict[str, Computed]:
    q, k, norm, own = (None if tensor is None else tensor.cpu() for tensor in (q, k, norm, own))
    entries = (Computed.of(q, arithmetic) @ k.mT) * norm.unsqueeze(-1)
    if own is not None:
        entries = entries.where(own.unsqueeze(1) != torch.arange(k.shape[2]))
    return statistics_of_maps(entries, GROUPS)


def limits(q: Tensor, k: Tensor, norm: Tensor, own: Tensor | None) -> dict[str, Tensor]:
    """How far two kernels, or two launches, may be apart."""
    found = bounds(q, k, norm, own, arithmetic_of(q.dtype, q.device))
    return {name: 2 * bound.error.to(q.device) for name, bound in found.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("n", "m", "d", "shared"), [(1, 1, 16, False), (70, 65, 20, True), (63, 130, 64, False), (40, 30, 100, True)]
)
def test_maps_written_out(n: int, m: int, d: int, shared: bool, dtype: torch.dtype, device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate

    q, k, norm = problem(n, m, d, dtype, shared)
    own = own_keys(n, m)
    # Sending an expanded tensor to a device would lay it out.
    there = k[:1].to(device).expand(6, -1, -1, -1) if shared else k.to(device)
    found = accumulate(
        q.to(device), there, norm.to(device), *sorted_cells(device), own=own.to(device), statistics=STATISTICS
    )
    expected = truth(q, k, norm, own)
    assert list(found) == list(STATISTICS)
    assert_rounded(
        found, expected, lambda arithmetic: bounds(q, k, norm, own, arithmetic), arithmetic_of(dtype, device)
    )
    assert not any(found[name][2].any() for name in STATISTICS)
    rows = torch.nonzero(own >= 0).flatten()
    assert not found["abs"].cpu()[:, :, rows, own[rows].long()].any()


@pytest.mark.parametrize("name", STATISTICS)
def test_each_statistic_alone(name: str, device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate

    tensors = [tensor.to(device) for tensor in problem(20, 18, 16, torch.float32)]
    together = accumulate(*tensors, *sorted_cells(device), own=None, statistics=STATISTICS)
    alone = accumulate(*tensors, *sorted_cells(device), own=None, statistics=(name,))
    assert list(alone) == [name]
    assert bool(((alone[name] - together[name]).abs() <= limits(*tensors, None)[name]).all())


def test_cells_with_strides_of_another_layout(device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate

    q, k, norm = (tensor.to(device) for tensor in problem(20, 18, 16, torch.float32))
    rest = {"own": None, "statistics": ("mean",)}
    expected = accumulate(q, k, norm, *sorted_cells(device), **rest)["mean"]
    heads_last = q.transpose(1, 2).contiguous().transpose(1, 2)
    features_first = k.mT.contiguous().mT
    found = accumulate(heads_last, features_first, norm, *sorted_cells(device), **rest)["mean"]
    assert torch.equal(found, expected)  # the kernel reads the same numbers into the same tiles


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("top_k", [1, 3, 40])
def test_the_strongest_keys_are_those_of_the_full_map(top_k: int, dtype: torch.dtype, device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate, accumulate_top

    tensors = [tensor.to(device) for tensor in problem(9, 40, 16, dtype)]
    own = own_keys(9, 40).to(device)
    full = accumulate(*tensors, *sorted_cells(device), own=own, statistics=STATISTICS)
    index, found = accumulate_top(*tensors, *sorted_cells(device), own=own, statistics=("square", "mean"), top_k=top_k)
    size, _ = torch.sort(full["mean"].abs(), dim=-1, descending=True, stable=True)
    assert index.dtype == torch.int64
    assert index.shape == (4, 2, 9, top_k)
    assert list(found) == ["square", "mean"]
    # Two launches may round in another order; the size at each rank says what a swap of near ties would not.
    apart = limits(*tensors, own)
    off = (full["mean"].gather(-1, index).abs() - size[..., :top_k]).abs()
    assert bool((off <= apart["mean"].amax(-1, keepdim=True)).all())
    for name in found:
        off = (found[name] - full[name].gather(-1, index)).abs()
        assert bool((off <= apart[name].gather(-1, index)).all())
    assert bool((index.sort(-1).values.diff(dim=-1) > 0).all())


def test_equal_keys_come_in_their_order(device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate_top

    q, k, norm = (tensor.to(device).round() for tensor in problem(5, 70, 16, torch.float32))  # sums are exact
    same = k[:, :, :1].expand(-1, -1, 70, -1)
    rest = {"own": None, "statistics": ("mean",), "top_k": 35}
    index, _ = accumulate_top(q, same, norm, *sorted_cells(device), **rest)
    assert torch.equal(index.cpu(), torch.arange(35).expand(4, 2, 5, 35))


def test_two_runs_agree_bit_by_bit(device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate

    tensors = [tensor.to(device) for tensor in problem(70, 65, 32, torch.float32)]
    one, two = (accumulate(*tensors, *sorted_cells(device), own=None, statistics=("abs",))["abs"] for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize("top_k", [0, 19])
def test_a_top_k_beyond_the_keys_is_refused(top_k: int, device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate_top

    tensors = [tensor.to(device) for tensor in problem(20, 18, 16, torch.float32)]
    with pytest.raises(ValueError, match=f"between 1 and the number of keys, 18, but is {top_k}"):
        accumulate_top(*tensors, *sorted_cells(device), own=None, statistics=("mean",), top_k=top_k)


@pytest.mark.parametrize("statistics", [(), ("mean", "median")])
def test_unknown_statistics_are_refused(statistics: tuple[str, ...], device: torch.device) -> None:
    from grn.kernels.gpu.maps import accumulate

    tensors = [tensor.to(device) for tensor in problem(20, 18, 16, torch.float32)]
    with pytest.raises(ValueError, match="statistics must name some of mean, abs, square"):
        accumulate(*tensors, *sorted_cells(device), own=None, statistics=statistics)
