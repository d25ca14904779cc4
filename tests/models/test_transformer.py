from __future__ import annotations

from collections.abc import Callable

import anndata
import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

import grn
from grn.data.statistics import gene_statistics
from grn.models import GeneTransformer
from grn.training.objectives import MaskedExpressionObjective

Make = Callable[..., GeneTransformer]
Expression = Callable[..., Tensor]
KINDS = ("spherical", "softmax")


@pytest.mark.parametrize("attention", KINDS)
def test_shapes(attention: str, transformer: Make, expression: Expression) -> None:
    model, x = transformer(attention=attention), expression()
    encoded = model(x)
    assert (encoded.tokens.shape, encoded.state.shape) == ((12, 7, 8), (12, 8))
    torch.testing.assert_close(encoded.state, encoded.tokens.mean(1))
    assert model.reconstruct(x, torch.zeros(12, 7, dtype=torch.bool)).shape == (12, 7)


def test_a_token_is_identity_plus_standardised_level(transformer: Make, expression: Expression) -> None:
    model, x = transformer(), expression()
    hidden = torch.zeros(12, 7, dtype=torch.bool)
    hidden[3, 2] = True
    tokens = model.embed(x, hidden)
    level = (x[5, 4] - model.mean[4]) / model.std[4]
    torch.testing.assert_close(tokens[5, 4], model.identity[4] + level * model.direction)
    torch.testing.assert_close(tokens[3, 2], model.identity[2] + model.hidden)


@pytest.mark.parametrize("attention", KINDS)
def test_a_hidden_value_does_not_matter(attention: str, transformer: Make, expression: Expression) -> None:
    model, x = transformer(attention=attention), expression()
    hidden = torch.rand(12, 7, generator=torch.Generator().manual_seed(1)) < 0.4
    changed = torch.where(hidden, x + 10, x)
    torch.testing.assert_close(model.reconstruct(changed, hidden), model.reconstruct(x, hidden), rtol=0, atol=0)
    torch.testing.assert_close(model(changed, hidden).state, model(x, hidden).state, rtol=0, atol=0)
    assert not torch.allclose(model(changed).state, model(x).state, atol=1e-3)


@pytest.mark.parametrize("attention", KINDS)
def test_cells_do_not_see_each_other(attention: str, transformer: Make, expression: Expression) -> None:
    model, x = transformer(attention=attention), expression()
    torch.testing.assert_close(model(x).tokens[4:5], model(x[4:5]).tokens, rtol=1e-4, atol=1e-5)


def test_the_two_attentions_differ(transformer: Make, expression: Expression) -> None:
    states = [transformer(attention=kind)(expression()).state for kind in KINDS]
    assert not torch.allclose(*states, atol=1e-2)


@pytest.mark.parametrize("attention", KINDS)
def test_map_is_that_of_the_last_layer(attention: str, transformer: Make, expression: Expression) -> None:
    """Row target, column regulator: the row's query meets the column's key."""
    model, x = transformer(attention=attention), expression()
    groups = torch.tensor([0, 2] * 6)
    found = model.map(x, groups)
    tokens = model.layers[0](model.embed(x))
    last = model.layers[1]
    normed = layer_norm(tokens, (8,), last.norm_attention.weight, last.norm_attention.bias)
    q, k, _ = last.qkv(normed).view(12, 7, 3, 2, 4).permute(2, 0, 3, 1, 4)
    scores = q @ k.mT
    rows = (
        (scores / 4**0.5).softmax(-1)
        if attention == "softmax"
        else scores / (scores.square().sum(-1, keepdim=True) + 1e-6 * 7 * 4).sqrt()
    ).mean(1)
    expected = torch.stack([rows[::2].mean(0), torch.zeros(7, 7), rows[1::2].mean(0)])
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, found.mT, atol=1e-2)


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone(transformer: Make) -> None:
    before = torch.get_rng_state()
    first, second, third = (transformer(seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(99)
    assert torch.equal(transformer(seed=3).state_dict()["layers.1.up.weight"], first["layers.1.up.weight"])
    assert not torch.equal(first["layers.1.up.weight"], third["layers.1.up.weight"])


def test_refused(transformer: Make) -> None:
    with pytest.raises(ValueError, match="dim must be a multiple of heads, but dim is 8 and heads is 3"):
        transformer(heads=3)
    with pytest.raises(ValueError, match="attention must be 'spherical' or 'softmax', not 'linear'"):
        transformer(attention="linear")


@pytest.fixture(scope="module")
def krumsiek() -> anndata.AnnData:
    return grn.datasets.krumsiek11()


@pytest.mark.parametrize("attention", KINDS)
def test_masked_training_lowers_the_loss(attention: str, krumsiek: anndata.AnnData) -> None:
    x = torch.from_numpy(krumsiek.X)
    statistics = gene_statistics(krumsiek.X)
    model = GeneTransformer(
        11,
        mean=torch.from_numpy(statistics.mean),
        std=torch.from_numpy(statistics.std),
        dim=32,
        layers=2,
        heads=4,
        attention=attention,
        backend="auto",
        seed=0,
    )
    objective = MaskedExpressionObjective(model, torch.optim.Adam, steps=30, hidden_fraction=0.25)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    with torch.no_grad():
        before = float(objective.loss({"x": x, "cell": torch.arange(len(x))}, seed=-1))
    for step in range(30):
        cells = torch.randperm(len(x), generator=torch.Generator().manual_seed(step))[:64]
        optimizer.zero_grad()
        objective.loss({"x": x[cells], "cell": cells}, seed=step).backward()
        optimizer.step()
    with torch.no_grad():
        after = float(objective.loss({"x": x, "cell": torch.arange(len(x))}, seed=-1))
    # The mean of a gene, predicted for every cell, gives 1.
    assert before > 0.9
    assert after < 0.7
