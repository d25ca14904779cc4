"""Device functions on their own: the dropout hash has the bits of its twin in PyTorch."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from grn.kernels.dropout import keep_mask, threshold
from grn.kernels.gpu.tiles import keep, own_range, row_keys


@triton.jit(do_not_specialize=["limit"])
def _mask_kernel(seed, out, batch_head, first_row, first_column, limit, N: tl.constexpr, M: tl.constexpr):
    rows, columns = tl.arange(0, N), tl.arange(0, M)
    keys = row_keys(tl.load(seed), batch_head, first_row + rows)
    kept = keep(keys[:, None], first_column + columns[None, :], limit)
    tl.store(out + rows[:, None] * M + columns[None, :], kept.to(tl.int8))


@triton.jit
def _range_kernel(own, out, N: tl.constexpr):
    first, last = own_range(tl.load(own + tl.arange(0, N)))
    tl.store(out, first)
    tl.store(out + 1, last)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 5, -1, 2**62 + 3, -(2**63)])
def test_same_bits_as_the_twin(p: float, seed: int, device: torch.device) -> None:
    of_seed, limit = torch.tensor([seed], device=device), threshold(p)
    found = torch.zeros(32, 64, dtype=torch.int8, device=device)
    _mask_kernel[(1,)](of_seed, found, 3, 40, 100000, limit if limit < 2**31 else limit - 2**32, N=32, M=64)
    at = [torch.arange(start, start + size, device=device) for start, size in ((3, 1), (40, 32), (100000, 64))]
    assert torch.equal(found.bool(), keep_mask(of_seed, *at, p)[0])


def test_range_of_own_keys(device: torch.device) -> None:
    found = torch.zeros(2, dtype=torch.int32, device=device)
    _range_kernel[(1,)](torch.tensor([7, -1, 3, 9], dtype=torch.int32, device=device), found, N=4)
    assert found.tolist() == [3, 9]
    _range_kernel[(1,)](torch.full((4,), -1, dtype=torch.int32, device=device), found, N=4)
    first, last = found.tolist()
    assert first > last
