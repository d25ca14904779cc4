"""Small regulatory models with all weights set at random, and expression to feed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grn.models import GeneTransformer, RegulatoryModel
from grn.models.view import View

GENES, REGULATORS = 7, (1, 3, 6)


def set_at_random(module: nn.Module, seed: int) -> None:
    """What starts at a constant: biases, gains, sinks, what gives cells their contexts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.rpartition(".")[2] in ("bias", "gain", "sink") or name.startswith("to_context"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def expression() -> Callable[..., Tensor]:
    """Expression (cells, 7 genes), not negative; `always` detected everywhere, else zero in a third of the entries."""

    def make(cells: int = 12, *, always: bool = False, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(cells, GENES, generator=generator) * torch.linspace(1, 3, GENES) + 0.1
        return x if always else x * (torch.rand(cells, GENES, generator=generator) > 0.33)

    return make


@pytest.fixture
def transformer() -> Callable[..., GeneTransformer]:
    """Encoder of 7 genes."""

    def make(seed: int = 0, **changes: Any) -> GeneTransformer:
        settings: dict[str, Any] = {
            "mean": torch.linspace(0.5, 1.5, GENES),
            "std": torch.linspace(1, 2, GENES),
            "dim": 8,
            "layers": 2,
            "heads": 2,
            "attention": "spherical",
            "backend": "auto",
        }
        return GeneTransformer(GENES, seed=seed, **{**settings, **changes})

    return make


@pytest.fixture
def regulatory(
    expression: Callable[..., Tensor], transformer: Callable[..., GeneTransformer]
) -> Callable[..., RegulatoryModel]:
    """Model of 7 genes and 3 regulators, standardised by `expression`, with a map for each cell or one for all.

    Every parameter is away from its start.
    """

    def make(*, always: bool = False, seed: int = 0, per_cell: bool = False, **changes: Any) -> RegulatoryModel:
        x = expression(cells=40, always=always)
        settings: dict[str, Any] = {
            "mean": x.mean(0),
            "std": x.std(0),
            "detection": (x > 0).float().mean(0),
            "views": {"regulators": 0.03, "genes": 0.2},
            "head_dim": 4,
            "attention": "spherical",
            "encoder": transformer() if per_cell else None,
            "backend": "auto",
        }
        settings.update(changes)
        model = RegulatoryModel(GENES, torch.tensor(REGULATORS), seed=seed, **settings)
        set_at_random(model, seed + 100)
        return model

    return make


@pytest.fixture
def one_view(expression: Callable[..., Tensor]) -> Callable[..., View]:
    """View of 7 genes on 3 of them, or on all; every parameter away from its start."""

    def make(*, keys: tuple[int, ...] = REGULATORS, always: bool = False, seed: int = 0, **changes: Any) -> View:
        detection = (expression(cells=40, always=always) > 0).float().mean(0)
        settings: dict[str, Any] = {
            "detection": detection[list(keys)],
            "noise_share": 0.1,
            "head_dim": 4,
            "attention": "spherical",
            "backend": "auto",
            "generator": torch.Generator().manual_seed(seed),
        }
        view = View(GENES, torch.tensor(keys), **{**settings, **changes})
        set_at_random(view, seed + 100)
        return view

    return make


@pytest.fixture
def standardised(expression: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """Expression around the mean of 40 cells, in their standard deviations."""

    def of(x: Tensor) -> Tensor:
        reference = expression(cells=40)
        return (x - reference.mean(0)) / reference.std(0)

    return of
