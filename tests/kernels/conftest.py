"""Random attention inputs, and the definition written with no shared code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

BACKENDS = ("linear", "reference")


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
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        q = torch.randn(batch, heads, n, d, generator=generator, dtype=torch.float64)
        k = torch.randn(batch, heads, m, d, generator=generator, dtype=torch.float64)
        v = torch.randn(batch, heads, m, dv, generator=generator, dtype=torch.float64)
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
        sink: Tensor | None = None,
        eps: float = 1e-6,
    ) -> tuple[Tensor, Tensor]:
        batch, heads, n, d = q.shape
        m = k.shape[2]
        weight = (
            torch.ones(batch, heads, m, dtype=q.dtype) if key_weights is None else key_weights.expand(batch, heads, m)
        )
        outside = torch.zeros(batch, heads, n, dtype=q.dtype) if sink is None else sink.expand(batch, heads, n)
        hidden = set() if exclude is None else set(zip(exclude[0].tolist(), exclude[1].tolist(), strict=True))
        attention, inverse = torch.zeros(batch, heads, n, m, dtype=q.dtype), torch.zeros(batch, heads, n, dtype=q.dtype)
        for b in range(batch):
            for h in range(heads):
                for i in range(n):
                    scores = torch.stack(
                        [
                            q.new_zeros(()) if (i, j) in hidden else weight[b, h, j] * (q[b, h, i] @ k[b, h, j])
                            for j in range(m)
                        ]
                    )
                    inverse[b, h, i] = (scores.square().sum() + outside[b, h, i] ** 2 + eps * m * d) ** -0.5
                    attention[b, h, i] = scores * inverse[b, h, i]
        return attention, inverse

    return rows
