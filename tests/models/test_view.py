"""One view: the forward pass against its weights, and its start against the closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from grn.kernels import attention_maps
from grn.models import Moments, RidgePath
from grn.models import view as views
from grn.models.view import DEFAULT_HEAD_DIM, Attention, View

Make = Callable[..., View]
Expression = Callable[..., Tensor]
GROUP = torch.tensor([0, 1, 2, 2, 0, 2, 1, 0, 2, 2, 2, 0])
ALL = tuple(range(7))
CONTEXTS = ["none", "cell"]
ATTENTIONS = get_args(Attention)


def inputs(kind: str, view: View) -> dict[str, Tensor]:
    """What the forward pass takes beside the values, for 12 cells."""
    if kind == "none":
        return {}
    return {"context": torch.randn(12, view.head_dim, generator=torch.Generator().manual_seed(9))}


def weights_of_cells(kind: str, view: View) -> Tensor:
    """Weights (cells, genes, channels, keys) of each of 12 cells."""
    if kind == "none":
        return view.weights().expand(12, -1, -1, -1)
    return torch.cat([view.weights(row[None]) for row in inputs(kind, view)["context"]])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize(
    ("keys", "always", "channels"), [((1, 3, 6), True, 1), ((1, 3, 6), False, 2), (ALL, True, 1), (ALL, False, 2)]
)
def test_prediction_and_squared_weight_are_those_of_the_weights(
    attention: str,
    kind: str,
    keys: tuple[int, ...],
    always: bool,
    channels: int,
    one_view: Make,
    expression: Expression,
    standardised: Expression,
) -> None:
    view = one_view(keys=keys, always=always, attention=attention)
    x = expression(always=always)
    z = standardised(x)
    weights = weights_of_cells(kind, view)
    assert weights.shape == (12, 7, channels, len(keys))
    with torch.no_grad():
        values = view.values(x, z)
        rebuilt = view(values, **inputs(kind, view))
        expected = view.bias + torch.einsum("bgck,ckb->bg", weights, values.unflatten(0, (channels, -1)))
    torch.testing.assert_close(rebuilt.prediction, expected, rtol=1e-4, atol=1e-5)
    lengths = weights.square().sum((-1, -2)).mean(0)
    torch.testing.assert_close(rebuilt.squared_weight, lengths, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize("keys", [(1, 3, 6), ALL], ids=["some keys", "all genes"])
def test_a_gene_never_sees_itself(
    kind: str, attention: str, keys: tuple[int, ...], one_view: Make, expression: Expression, standardised: Expression
) -> None:
    view, x = one_view(keys=keys, attention=attention), expression()
    given = inputs(kind, view)
    with torch.no_grad():
        before = view(view.values(x, standardised(x)), **given).prediction
        for gene in range(7):
            changed = x.clone()
            changed[:, gene] += 5
            values = view.values(changed, standardised(changed))
            moved = (view(values, **given).prediction - before).abs().amax(0)
            assert float(moved[gene]) < 1e-4
            # A key moves all other genes, any other gene none.
            others = moved[torch.arange(7) != gene] > 1e-3
            assert bool(others.all()) if gene in keys else not others.any()
    assert not weights_of_cells(kind, view)[:, list(keys), :, torch.arange(len(keys))].any()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize("keys", [(1, 3, 6), ALL], ids=["some keys", "all genes"])
def test_every_parameter_takes_a_gradient(
    kind: str, attention: str, keys: tuple[int, ...], one_view: Make, expression: Expression, standardised: Expression
) -> None:
    view, x = one_view(keys=keys, attention=attention), expression()
    rebuilt = view(view.values(x, standardised(x)), **inputs(kind, view))
    (rebuilt.prediction.square().mean() + rebuilt.squared_weight.mean()).backward()
    reached = {name for name, one in view.named_parameters() if one.grad is not None and bool(one.grad.any())}
    expected = {"query", "key", "bias", "gain"}
    expected |= {"sink"} if attention == "spherical" else set()  # the others have none
    assert reached == expected
    asking = {name for name, one in view.named_parameters() if one.requires_grad}
    assert asking == expected


def test_signs(one_view: Make) -> None:
    for attention in ("spherical", "unnormalised"):
        assert bool((one_view(attention=attention).weights() < 0).any())
    weights = one_view(attention="softmax").weights()
    own = torch.zeros(weights.shape, dtype=torch.bool)
    own[:, [1, 3, 6], :, torch.arange(3)] = True
    assert bool((weights[~own] > 0).all())


def test_a_row_is_as_long_as_the_gain_allows(one_view: Make) -> None:
    """With no sink, weights of a target lie on a sphere of radius gain; the sink shortens them."""
    view = one_view()
    lengths = view.weights()[0].square().sum((-1, -2)).sqrt()
    assert bool((lengths < softplus(view.gain)).all())
    with torch.no_grad():
        view.sink.fill_(-50)
    lengths = view.weights()[0].square().sum((-1, -2)).sqrt()
    torch.testing.assert_close(lengths, softplus(view.gain).detach(), rtol=1e-3, atol=0)


def test_cells_differ_and_keep_their_order(one_view: Make, expression: Expression, standardised: Expression) -> None:
    view, x = one_view(), expression()
    values, context = view.values(x, standardised(x)), inputs("cell", view)["context"]
    weights = view.weights(context, torch.arange(12))
    torch.testing.assert_close(weights, weights_of_cells("cell", view), rtol=1e-4, atol=1e-6)
    assert all(float((weights[one] - weights[other]).abs().max()) > 0.05 for one, other in ((0, 1), (1, 2), (0, 2)))
    # The context of one cell moves that cell's map and prediction, and no other's.
    turned = context.clone()
    turned[1] += 1
    with torch.no_grad():
        moved = (view(values, turned).prediction - view(values, context).prediction).abs().amax(1) > 1e-4
    changes = (view.weights(turned, torch.arange(12)) - weights).abs().amax((1, 2, 3))
    assert changes.gt(1e-3).tolist() == moved.tolist() == [cell == 1 for cell in range(12)]


def test_context_modulates_each_feature_of_query_and_key(one_view: Make) -> None:
    """Scores are q . (1 + u) k: here u is put on the query instead."""
    view = one_view()
    own = (view.own_targets, view.own_keys)
    contexts = inputs("cell", view)["context"]
    for context, weights in zip(contexts, view.weights(contexts, torch.arange(12)), strict=True):
        query = (view.query * (1 + context))[None, None]
        maps = attention_maps(query, view.key[None, None], exclude=own, sink=softplus(view.sink)[None, None]).mean
        expected = (softplus(view.gain).unsqueeze(-1) * maps[0, 0]).detach()
        torch.testing.assert_close(weights.flatten(1), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_weights_of_contexts_are_averaged(attention: str, one_view: Make) -> None:
    view = one_view(attention=attention)
    contexts = inputs("cell", view)["context"]
    each = weights_of_cells("cell", view)
    torch.testing.assert_close(view.weights(contexts)[0], each.mean(0), rtol=1e-4, atol=1e-6)
    expected = torch.stack([each[group == GROUP].mean(0) for group in range(3)])
    torch.testing.assert_close(view.weights(contexts, GROUP), expected, rtol=1e-4, atol=1e-6)


def test_values_are_standardised_expression_and_detection(
    one_view: Make, expression: Expression, standardised: Expression
) -> None:
    x = expression(cells=40)
    values = one_view().values(x, standardised(x))
    assert values.shape == (2 * 3, 40)
    data = x.numpy()[:, [1, 3, 6]]
    np.testing.assert_allclose(values[:3].T, (data - data.mean(0)) / data.std(0, ddof=1), rtol=1e-4, atol=1e-5)
    seen = (data > 0).astype(float)
    np.testing.assert_allclose(values[3:].T, (seen - seen.mean(0)) / seen.std(0), rtol=1e-4, atol=1e-5)


def test_detection_may_be_measured_from_the_rate_of_each_cells_batch(
    one_view: Make, expression: Expression, standardised: Expression
) -> None:
    view, x = one_view(), expression(cells=40)
    batch = torch.arange(40) % 2
    rates = torch.stack([(x[code == batch] > 0).float().mean(0) for code in range(2)])
    values = view.values(x, standardised(x), rates[batch])
    plain = view.values(x, standardised(x))
    torch.testing.assert_close(values[:3], plain[:3], rtol=0, atol=0)  # levels are measured already
    rate = view.detection
    moved = (rate - rates[batch][:, [1, 3, 6]]) / (rate * (1 - rate)).sqrt()
    torch.testing.assert_close(values[3:] - plain[3:], moved.T, rtol=1e-4, atol=1e-5)
    for code in range(2):
        torch.testing.assert_close(values[3:, code == batch].mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    # Where it is silent, it is so in every batch.
    silent = one_view(detection=torch.tensor([1.0, 0.5, 0.0])).values(x, standardised(x), rates[batch])
    assert not silent[[3, 5]].any()


@pytest.mark.parametrize(
    ("detection", "channels"),
    [([1.0, 1.0, 1.0], 1), ([1.0, 0.0, 1.0], 1), ([1.0, 0.9, 1.0], 2), (None, 1)],
    ids=["seen everywhere", "or nowhere", "one is not", "left out"],
)
def test_detection_is_a_channel_where_it_says_something(
    detection: list[float] | None, channels: int, one_view: Make
) -> None:
    share = None if detection is None else torch.tensor(detection)
    view = one_view(detection=share, head_dim=None)
    assert view.channels == channels
    assert view.head_dim == 3 * channels
    assert view.weights().shape == (1, 7, channels, 3)
    # A share of the total variance, and every value has variance 1.
    assert view.noise == pytest.approx((0.1 * 3 * channels) ** 0.5)


def test_a_key_seen_in_every_cell_has_a_silent_detection_channel(
    one_view: Make, expression: Expression, standardised: Expression
) -> None:
    """Silent on cells of other data too, where it may be missing: its weight was never trained."""
    view, x = one_view(detection=torch.tensor([1.0, 0.5, 0.0])), expression(always=True)
    x[0, 1], x[:5, 6] = 0, 0
    values = view.values(x, standardised(x))[3:]
    assert not values[0].any()
    assert bool(values[1].any())
    assert not values[2].any()


def test_largest_head_dim() -> None:
    settings: dict[str, Any] = {"noise_share": 0.1, "attention": "spherical", "backend": "auto"}
    views_of = [
        View(200, torch.arange(150), detection=None, head_dim=size, generator=torch.Generator(), **settings)
        for size in (None, 140)
    ]
    assert [view.head_dim for view in views_of] == [DEFAULT_HEAD_DIM, 140]
    assert DEFAULT_HEAD_DIM == 128


@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_all_backends_give_one_view(
    form: str, kind: str, one_view: Make, expression: Expression, standardised: Expression
) -> None:
    x = expression()
    made = [one_view(backend=chosen) for chosen in (form, "reference")]
    one, other = (view(view.values(x, standardised(x)), **inputs(kind, view)) for view in made)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# The start.

CELLS, GENES = 300, 30


def correlated(*, zeros: bool = False, cells: int = CELLS) -> tuple[Tensor, Tensor]:
    """Expression (cells, 30) of eight programmes and noise, with zeros or without, and standardised."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(cells, 8, generator=generator) @ torch.randn(8, GENES, generator=generator)
    x = x + torch.randn(cells, GENES, generator=generator)
    x = x.clamp(min=0) if zeros else x - x.min() + 1
    std = x.std(0, correction=0)
    return x, (x - x.mean(0)) / torch.where(std > 0, std, 1)


def fresh(x: Tensor, keys: Tensor, **changes: Any) -> View:
    """View as the model makes it, with its random weights."""
    settings: dict[str, Any] = {
        "detection": (x > 0).float().mean(0)[keys],
        "noise_share": 0.03,
        "head_dim": None,
        "attention": "spherical",
        "backend": "auto",
        "generator": torch.Generator().manual_seed(1),
    }
    return View(x.shape[1], keys, **{**settings, **changes})


def loss(view: View, x: Tensor, z: Tensor, noise: float | None = None) -> float:
    """What training minimises in this view, by default with the noise of its share."""
    noise = view.noise if noise is None else noise
    with torch.no_grad():
        rebuilt = view(view.values(x, z))
        return float(((rebuilt.prediction - z).square().mean(0) + noise**2 * rebuilt.squared_weight).mean())


def ridge(view: View, x: Tensor, z: Tensor, noise: float | None = None) -> tuple[Tensor, float]:
    """Weights (genes, values) of the optimum without a bound on the rank, and its loss."""
    noise = view.noise if noise is None else noise
    values = view.values(x, z)
    weights = RidgePath(Moments.of(values, z, view.keys)).weights(noise).flatten(1)
    error = (weights @ values.double() - z.T.double()).square().mean(1)
    return weights, float((error + noise**2 * weights.square().sum(1)).mean())


@pytest.mark.parametrize("share", [0.01, 0.03, 0.2])
@pytest.mark.parametrize("keys", [torch.arange(0, 30, 3), torch.arange(30)], ids=["regulators", "genes"])
@pytest.mark.parametrize(("zeros", "within"), [(False, 1e-4), (True, 0.02)], ids=["1 channel", "2 channels"])
def test_the_start_is_near_the_optimum(zeros: bool, within: float, keys: Tensor, share: float) -> None:
    """With one channel it is the optimum: leaving a gene's own key out of ridge regression rescales its row."""
    x, z = correlated(zeros=zeros)
    view = fresh(x, keys, noise_share=share)
    assert view.head_dim == len(keys) * (2 if zeros else 1)
    weights, optimum = ridge(view, x, z)
    zero = float(z.square().mean())
    random = loss(view, x, z)
    view.start(view.values(x, z), z, view.noise)
    started = loss(view, x, z)
    assert random > 0.95 * zero  # no better than no weights at all
    assert optimum - 1e-4 < started < optimum + within * (zero - optimum)
    found = view.weights()[0].flatten(1).double()
    assert float(torch.corrcoef(torch.stack([found.flatten(), weights.flatten()]))[0, 1]) > 0.98


@pytest.mark.parametrize("noise", [0.03, 0.01, 0.0])
def test_the_start_needs_no_noise(noise: float) -> None:
    """Without noise a gene is best predicted by itself alone; what is left without its own key must not vanish."""
    x, z = correlated()
    view = fresh(x, torch.arange(30))
    optimum = ridge(view, x, z, noise=max(noise, 1e-3))[1]
    view.start(view.values(x, z), z, noise)
    assert loss(view, x, z, noise=noise) < optimum + 0.01 * (1 - optimum)


def test_a_start_of_lower_rank_keeps_the_leading_components() -> None:
    """Eight programmes make the data: a rank of eight is most of the optimum, of two it is less."""
    x, z = correlated()
    keys = torch.arange(30)
    reached = []
    for head_dim in (2, 8, 30):
        view = fresh(x, keys, head_dim=head_dim)
        view.start(view.values(x, z), z, view.noise)
        optimum = ridge(view, x, z)[1]
        reached.append((1 - loss(view, x, z)) / (1 - optimum))
    assert reached[0] < 0.8
    assert reached[1] > 0.95
    assert reached[0] < reached[1] < reached[2]


def test_the_start_is_that_of_the_noise_given() -> None:
    """Weights shrink as it grows, whatever the view's own share."""
    x, z = correlated()
    lengths = []
    for noise in (0.1, 1.0, 10.0):
        view = fresh(x, torch.arange(30))
        view.start(view.values(x, z), z, noise)
        lengths.append(float(view.weights().norm()))
    assert lengths[0] > 1.5 * lengths[1] > 15 * lengths[2]


@pytest.mark.parametrize("exact", [True, False], ids=["all components", "leading components"])
def test_the_start_is_the_same_every_time_and_draws_no_global_random_numbers(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exact:
        monkeypatch.setattr(views, "_EXACT_COMPONENTS", 10)
    x, z = correlated(zeros=True)
    made = [fresh(x, torch.arange(30), head_dim=12, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    assert not torch.equal(made[0].query, made[1].query)
    for seed, view in enumerate(made):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        view.start(view.values(x, z), z, view.noise)
        assert torch.equal(torch.get_rng_state(), before)
    one, other = (view.state_dict() for view in made)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cells", [300, 20], ids=["more cells than keys", "fewer"])
def test_leading_components_are_those_of_all(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight programmes stand out of the noise: the randomised path finds them."""
    x, z = correlated(cells=cells)
    weights = []
    for limit in (1024, 10):
        monkeypatch.setattr(views, "_EXACT_COMPONENTS", limit)
        view = fresh(x, torch.arange(30), head_dim=8)
        view.start(view.values(x, z), z, view.noise)
        weights.append(view.weights()[0])
    assert float(weights[0].norm()) > 1
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=2e-3)


def hard(kind: str) -> tuple[Tensor, Tensor]:
    x, z = correlated(zeros=True, cells=5 if kind == "few cells" else CELLS)
    if kind == "constant genes":
        x[:, 3], z[:, 3] = 1.5, 0
        x[:, 4], z[:, 4] = 0, 0
    elif kind == "equal values":
        x, z = torch.ones_like(x), torch.zeros_like(z)
    elif kind == "copies":
        x[:, 1:6], z[:, 1:6] = x[:, :1], z[:, :1]
    return x, z


@pytest.mark.parametrize("limit", [1024, 3], ids=["all components", "leading components"])
@pytest.mark.parametrize("kind", ["constant genes", "equal values", "few cells", "copies"])
def test_the_start_is_finite(kind: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_EXACT_COMPONENTS", limit)
    x, z = hard(kind)
    view = fresh(x, torch.arange(30))
    assert kind != "few cells" or len(x) < view.head_dim
    for noise in (0.0, 0.1, view.noise):
        view.start(view.values(x, z), z, noise)
        assert all(bool(parameter.isfinite().all()) for parameter in view.parameters())
        with torch.no_grad():
            rebuilt = view(view.values(x, z))
        assert bool(rebuilt.prediction.isfinite().all())
        assert bool(rebuilt.squared_weight.isfinite().all())
        # Where there is something to predict, the prediction is better than none.
        assert float((rebuilt.prediction - z).square().mean()) <= 0.7 * float(z.square().mean())
    weights = view.weights()
    assert bool(weights.isfinite().all())
    if kind == "constant genes":
        # A constant target is predicted by its mean alone, a constant key is of no use.
        assert float(weights[:, [3, 4]].abs().max()) < 0.01
        assert float(weights[:, 0, :, [3, 4]].abs().max()) < 1e-3
