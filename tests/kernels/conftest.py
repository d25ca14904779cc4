"""Random attention inputs, and the definition written with no shared code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

BACKENDS = ("linear", "flashsign", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def inputs() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Queries, keys and values of standard normal numbers."""

    def make(
        batch: int = 2,
        heads: int = 2,
        n: int = 5,
        m: int = 6,
        d: int = 4,
        dv: int = 3,
        key_heads: int | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        q = torch.randn(batch, heads, n, d, generator=generator, dtype=torch.float64)
        k = torch.randn(batch, key_heads or heads, m, d, generator=generator, dtype=torch.float64)
        v = torch.randn(batch, key_heads or heads, m, dv, generator=generator, dtype=torch.float64)
        return q.to(dtype), k.to(dtype), v.to(dtype)

    return make


@pytest.fixture
def definition() -> Callable[..., tuple[Tensor, Tensor]]:
    """Attention rows A (batch, heads, n, m) and inverse norms, entry by entry as in the docstring."""

    def rows(
        q: Tensor,
        k: Tensor,
        *,
        key_weights: Tensor | None = None,
        exclude: tuple[Tensor, Tensor] | None = None,
        pair_mask: Tensor | None = None,
        prior: Tensor | None = None,
        sink: Tensor | None = None,
        eps: float = 1e-6,
    ) -> tuple[Tensor, Tensor]:
        batch, heads, n, d = q.shape
        key_heads, m = k.shape[1:3]
        weight = torch.ones(batch, key_heads, m, dtype=q.dtype)
        weight = weight if key_weights is None else key_weights.expand(batch, key_heads, m)
        allowed = torch.ones(batch, heads, n, m, dtype=torch.bool)
        allowed = allowed if pair_mask is None else pair_mask.expand(batch, heads, n, m)
        added = torch.zeros(batch, heads, n, m, dtype=q.dtype)
        if prior is not None:
            added = (prior.to_dense() if prior.is_sparse else prior).expand(batch, heads, n, m)
        outside = torch.zeros(batch, heads, n, dtype=q.dtype) if sink is None else sink.expand(batch, heads, n)
        hidden = set() if exclude is None else set(zip(exclude[0].tolist(), exclude[1].tolist(), strict=True))
        attention, inverse = torch.zeros(batch, heads, n, m, dtype=q.dtype), torch.zeros(batch, heads, n, dtype=q.dtype)
        for b in range(batch):
            for h in range(heads):
                for i in range(n):
                    key_head = h * key_heads // heads
                    scores = q.new_zeros(m)
                    for j in range(m):
                        if (i, j) not in hidden and allowed[b, h, i, j]:
                            product = q[b, h, i] @ k[b, key_head, j]
                            scores[j] = weight[b, key_head, j] * product + added[b, h, i, j]
                    inverse[b, h, i] = (scores.square().sum() + outside[b, h, i] ** 2 + eps * m * d) ** -0.5
                    attention[b, h, i] = scores * inverse[b, h, i]
        return attention, inverse

    return rows


@pytest.fixture
def seconds_of() -> Iterator[Callable[..., list[float]]]:
    """Least processor time of each action on one thread, in turn: other work on the machine hardly counts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def measure(*actions: Callable[[], object], rounds: int = 5) -> list[float]:
        least = [float("inf")] * len(actions)
        for _ in range(rounds):
            for index, action in enumerate(actions):
                start = time.thread_time()
                action()
                least[index] = min(least[index], time.thread_time() - start)
        return least

    yield measure
    torch.set_num_threads(threads)
