"""Attention of regulators in single cells against the cells' maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import grn
from grn.kernels import attention_maps
from grn.models import GeneTransformer, RegulatoryModel
from grn.models.view import EPS
from grn.network.extract import attention_of_cells

GENES, REGULATORS, CELLS = 8, [1, 3, 4], 70


def model(encoder: bool = True, attention: Any = "spherical") -> RegulatoryModel:
    statistics = {"mean": torch.zeros(GENES), "std": torch.ones(GENES)}
    cells = GeneTransformer(
        GENES, dim=8, layers=1, heads=2, attention="spherical", backend="auto", seed=0, **statistics
    )
    made = RegulatoryModel(
        GENES,
        torch.tensor(REGULATORS),
        detection=torch.full((GENES,), 0.5),
        views={"regulators": 0.1},
        head_dim=4,
        attention=attention,
        backend="auto",
        seed=0,
        encoder=cells if encoder else None,
        **statistics,
    )
    for layer in made.to_context.values() if encoder else ():
        torch.nn.init.normal_(layer.weight, std=0.5)
    return made


def found(made: RegulatoryModel, x: torch.Tensor) -> pd.DataFrame | None:
    names = pd.Index([f"c{cell}" for cell in range(CELLS)])
    return attention_of_cells(made, [{"x": x[:50]}, {"x": x[50:]}], names, ["A", "B", "C"])


@torch.no_grad()
def test_against_the_map_of_every_cell() -> None:
    made, x = model(), torch.rand(CELLS, GENES, generator=torch.Generator().manual_seed(0))
    view, expected = made.view("regulators"), np.zeros((CELLS, 3))
    own = (view.own_targets, view.own_keys)
    sink = torch.nn.functional.softplus(view.sink)[None, None]
    for cell, context in enumerate(made.contexts(x)["regulators"]):
        key = (view.key * (1 + context))[None, None]
        maps = attention_maps(view.query[None, None], key, statistics=("square",), exclude=own, sink=sink, eps=EPS)
        expected[cell] = maps.square[0, 0].sum(0).view(view.channels, 3).sum(0).sqrt().numpy()
    table = found(made, x)
    assert table is not None
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-4)
    assert table.index[0] == "c0"
    assert table.std().min() > 0


@pytest.mark.parametrize("settings", [{"encoder": False}, {"attention": "softmax"}])
def test_other_models_have_none(settings: dict[str, Any]) -> None:
    assert found(model(**settings), torch.rand(CELLS, GENES)) is None


def test_it_lands_in_obsm() -> None:
    adata = grn.datasets.krumsiek11()[:100].copy()
    few = ["training.epochs=1", "training.steps_per_epoch=1", "model.encoder.dim=8", "model.encoder.layers=1"]
    grn.tl.infer(adata, tf="all", method="contextual", overrides=few)
    assert adata.obsm["grn_attention"].shape == (100, 11)
    assert (adata.obsm["grn_attention"].to_numpy() > 0).all()
