from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from grn.kernels import attention_maps
from grn.models import GeneTransformer, RegulatoryModel
from grn.models.regulatory import LARGEST_HEAD_DIM
from grn.training.build import rebuild

Make = Callable[..., RegulatoryModel]
Expression = Callable[..., Tensor]
GROUP = torch.tensor([0, 1, 2, 2, 0, 2, 1, 0, 2, 2, 2, 0])


def predicted(model: RegulatoryModel, x: Tensor) -> Tensor:
    """The prediction (members, cells, genes) from `weights`, cell by cell."""
    rows = []
    for cell in range(len(x)):
        if model.context == "cell":
            weights = model.weights(x[cell : cell + 1])[0]
        else:
            weights = model.weights()[int(GROUP[cell]) if model.context == "group" else 0]
        values = model.values(x[cell : cell + 1])[:, 0].unflatten(0, (model.channels, -1))
        rows.append(model.bias + torch.einsum("mgcr,cr->mg", weights, values))
    return torch.stack(rows, 1).detach()


@pytest.mark.parametrize("attention", ["spherical", "softmax"])
@pytest.mark.parametrize("context", ["none", "group", "cell"])
@pytest.mark.parametrize("always", [True, False], ids=["1 channel", "2 channels"])
def test_the_prediction_is_the_weights_times_the_values(
    attention: str, context: str, always: bool, regulatory: Make, expression: Expression
) -> None:
    model, x = regulatory(attention=attention, context=context, always=always), expression(always=always)
    with torch.no_grad():
        rebuilt = model(x, GROUP)
    torch.testing.assert_close(rebuilt.prediction, predicted(model, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["spherical", "softmax"])
@pytest.mark.parametrize("always", [True, False], ids=["1 channel", "2 channels"])
def test_squared_weight_is_that_of_the_weights(
    attention: str, always: bool, regulatory: Make, expression: Expression
) -> None:
    x = expression(always=always)
    for context in ("none", "group", "cell"):
        model = regulatory(attention=attention, context=context, always=always)
        with torch.no_grad():
            found = model(x, GROUP).squared_weight
            if context == "none":
                expected = model.weights()[0].square().sum((-1, -2))
            elif context == "group":
                expected = model.weights()[GROUP].square().sum((-1, -2)).mean(0)
            else:
                each = [model.weights(row[None])[0].square().sum((-1, -2)) for row in x]
                expected = torch.stack(each).mean(0)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("context", ["none", "group"])
@pytest.mark.parametrize("attention", ["spherical", "softmax"])
def test_a_gene_never_sees_itself(context: str, attention: str, regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context=context, attention=attention), expression()
    before = model(x, GROUP).prediction
    for gene in range(7):
        changed = x.clone()
        changed[:, gene] += 5
        after = model(changed, GROUP).prediction
        torch.testing.assert_close(after[..., gene], before[..., gene], rtol=0, atol=1e-4)
        others = torch.arange(7) != gene
        moved = (after - before)[..., others].abs().amax((0, 1)) > 1e-3
        # A regulator moves all other genes, any other gene none.
        assert bool(moved.all()) if gene in model.regulators else not moved.any()
    own = model.weights()[:, :, model.regulators, :, torch.arange(3)]
    assert not own.any()


def test_a_gene_hidden_from_the_encoder_never_sees_itself(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context="cell"), expression()
    for gene in range(7):
        hidden = torch.zeros(x.shape, dtype=torch.bool)
        hidden[:, gene] = True
        changed = x.clone()
        changed[:, gene] += 5
        before, after = (model(data, hidden=hidden).prediction[..., gene] for data in (x, changed))
        torch.testing.assert_close(after, before, rtol=0, atol=1e-4)
        # Not hidden, its value reaches its own prediction through the cell's context.
        seen = model(changed).prediction[..., gene]
        assert float((seen - model(x).prediction[..., gene]).detach().abs().max()) > 1e-3


def test_members_are_independent(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(), expression()
    rebuilt = model(x)
    assert float((rebuilt.prediction[0] - rebuilt.prediction[1]).detach().abs().max()) > 0.1
    (rebuilt.prediction[0].square().sum() + rebuilt.squared_weight[0].sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad[0].any()), name
        assert not parameter.grad[1].any(), name


@pytest.mark.parametrize("context", ["none", "group", "cell"])
def test_every_parameter_takes_a_gradient(context: str, regulatory: Make, expression: Expression) -> None:
    model = regulatory(context=context)
    rebuilt = model(expression(), GROUP)
    (rebuilt.prediction.square().mean() + rebuilt.squared_weight.mean()).backward()
    # The encoder's head serves masked training alone.
    missing = [
        name
        for name, parameter in model.named_parameters()
        if (parameter.grad is None or not parameter.grad.any())
        and not name.startswith("encoder.head")
        and name != "encoder.hidden"
    ]
    assert not missing


def test_signs(regulatory: Make) -> None:
    assert bool((regulatory(attention="spherical").weights() < 0).any())
    weights = regulatory(attention="softmax").weights()
    own = torch.zeros(weights.shape, dtype=torch.bool)
    own[:, :, [1, 3, 6], :, torch.arange(3)] = True
    assert bool((weights[~own] > 0).all())


def test_a_row_is_as_long_as_the_gain_allows(regulatory: Make) -> None:
    """With no sink, weights of a target lie on a sphere of radius gain; the sink shortens them."""
    model = regulatory()
    lengths = model.weights()[0].square().sum((-1, -2)).sqrt()
    assert bool((lengths < softplus(model.gain)).all())
    with torch.no_grad():
        model.sink.fill_(-50)
    lengths = model.weights()[0].square().sum((-1, -2)).sqrt()
    torch.testing.assert_close(lengths, softplus(model.gain).detach(), rtol=1e-3, atol=0)


def test_groups_differ_and_keep_their_order(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context="group"), expression()
    weights = model.weights()
    assert weights.shape == (3, 2, 7, 2, 3)
    assert all(float((weights[one] - weights[other]).abs().max()) > 0.05 for one, other in ((0, 1), (1, 2), (0, 2)))
    # The context of one group moves that group's map and predictions, and no other's.
    before = model(x, GROUP).prediction
    with torch.no_grad():
        model.group_context[1] += 1
    assert (model.weights() - weights).abs().amax((1, 2, 3, 4)).gt(1e-3).tolist() == [False, True, False]
    moved = (model(x, GROUP).prediction - before).detach().abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == (GROUP == 1).tolist()


def test_context_modulates_each_feature_of_query_and_key(regulatory: Make) -> None:
    """Scores are q . (1 + u) k: here u is put on the query instead."""
    model = regulatory(context="group")
    own = (model.own_targets, model.own_keys)
    for group, weights in enumerate(model.weights()):
        query = model.query * (1 + model.group_context[group])
        maps = attention_maps(query[None], model.key[None], exclude=own, sink=softplus(model.sink)[None]).mean[0]
        expected = (softplus(model.gain).unsqueeze(-1) * maps).detach()
        torch.testing.assert_close(weights.flatten(2), expected, rtol=1e-4, atol=1e-6)


def test_groups_start_equal(expression: Expression) -> None:
    x = expression()
    model = RegulatoryModel(
        7,
        torch.tensor([0, 2]),
        mean=x.mean(0),
        std=x.std(0),
        detection=torch.ones(7),
        head_dim=2,
        members=1,
        attention="spherical",
        context="group",
        n_groups=2,
        backend="auto",
        seed=0,
    )
    torch.testing.assert_close(model.weights()[0], model.weights()[1], rtol=0, atol=0)


@pytest.mark.parametrize("attention", ["spherical", "softmax"])
def test_weights_of_cells_are_averaged(attention: str, regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context="cell", attention=attention), expression()
    each = torch.cat([model.weights(row[None]) for row in x])
    torch.testing.assert_close(model.weights(x)[0], each.mean(0), rtol=1e-4, atol=1e-6)
    by_group = model.weights(x, GROUP)
    expected = torch.stack([each[group == GROUP].mean(0) for group in range(3)])
    torch.testing.assert_close(by_group, expected, rtol=1e-4, atol=1e-6)


def test_values_are_standardised_expression_and_detection(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(), expression(cells=40)
    values = model.values(x)
    assert values.shape == (2 * 3, 40)
    chosen = x[:, [1, 3, 6]].numpy()
    data = expression(cells=40).numpy()[:, [1, 3, 6]]
    np.testing.assert_allclose(values[:3].T, (chosen - data.mean(0)) / data.std(0, ddof=1), rtol=1e-4, atol=1e-5)
    seen = (data > 0).astype(float)
    np.testing.assert_allclose(values[3:].T, (seen - seen.mean(0)) / seen.std(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("detection", "channels"),
    [([1.0, 1.0, 1.0], 1), ([1.0, 0.0, 1.0], 1), ([1.0, 0.9, 1.0], 2)],
    ids=["seen everywhere", "or nowhere", "one is not"],
)
def test_detection_is_a_channel_where_it_says_something(
    detection: list[float], channels: int, regulatory: Make, expression: Expression
) -> None:
    share = torch.full((7,), 0.5)  # of the targets: no matter
    share[[1, 3, 6]] = torch.tensor(detection)
    model = regulatory(detection=share)
    assert model.channels == channels
    assert model.weights().shape == (1, 2, 7, channels, 3)
    assert regulatory(detection=share, head_dim=None).head_dim == 3 * channels


def test_a_regulator_seen_in_every_cell_has_a_silent_detection_channel(
    regulatory: Make, expression: Expression
) -> None:
    """Silent on cells of other data too, where it may be missing: its weight was never trained."""
    share = torch.tensor([0.5, 1.0, 0.5, 0.5, 0.5, 0.5, 0.0])
    model, x = regulatory(detection=share), expression(always=True)
    x[0, 1], x[:5, 6] = 0, 0
    values = model.values(x)[3:]
    assert not values[0].any()
    assert bool(values[1].any())
    assert not values[2].any()


def test_largest_head_dim(regulatory: Make) -> None:
    model = RegulatoryModel(
        200,
        torch.arange(150),
        mean=torch.zeros(200),
        std=torch.ones(200),
        detection=torch.ones(200),
        head_dim=None,
        members=1,
        attention="spherical",
        context="none",
        n_groups=1,
        backend="auto",
        seed=0,
    )
    assert model.head_dim == LARGEST_HEAD_DIM == 128


@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_all_backends_give_one_model(form: str, regulatory: Make, expression: Expression) -> None:
    x = expression()
    one, other = (regulatory(backend=chosen)(x) for chosen in (form, "reference"))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_equal_seeds_give_equal_models_and_leave_the_global_generator_alone(regulatory: Make) -> None:
    for context in ("none", "cell"):
        before = torch.get_rng_state()
        models = [regulatory(context=context, seed=seed).state_dict() for seed in (0, 0, 1)]
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
        assert not torch.equal(models[0]["query"], models[2]["query"])


@pytest.mark.parametrize("context", ["none", "group", "cell"])
def test_round_trip_through_a_checkpoint(
    context: str, regulatory: Make, transformer: Callable[..., GeneTransformer], expression: Expression
) -> None:
    model, x = regulatory(context=context), expression()
    settings: dict[str, Any] = {
        "name": "regulatory",
        "_target_": "grn.models.RegulatoryModel",
        "head_dim": 4,
        "members": 2,
        "attention": "spherical",
        "context": "auto" if context == "group" else context,
        "backend": "auto",
    }
    if context == "cell":
        settings["encoder"] = {
            "_target_": "grn.models.GeneTransformer",
            "dim": 8,
            "layers": 2,
            "heads": 2,
            "attention": "spherical",
            "backend": "auto",
        }
    description = {
        "model": settings,
        "regulators": [1, 3, 6],
        "groups": ["a", "b", "c"] if context == "group" else None,
    }
    state = {f"model.{name}": tensor.clone() for name, tensor in copy.deepcopy(model).state_dict().items()}
    again, kept = rebuild({"grn": description, "state_dict": state})
    assert kept is description
    assert isinstance(again, RegulatoryModel)
    assert (again.context, again.channels, again.training) == (context, 2, False)
    torch.testing.assert_close(again(x, GROUP).prediction, model(x, GROUP).prediction, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "sigmoid"}, "attention must be 'spherical' or 'softmax', not 'sigmoid'"),
        ({"context": "batch"}, "context must be 'none', 'group' or 'cell', not 'batch'"),
        ({"head_dim": 0}, "head_dim must be at least 1, but is 0"),
        ({"members": 0}, "members must be at least 1"),
        ({"n_groups": 0}, "n_groups must be at least 1"),
    ],
)
def test_refused(changes: dict[str, Any], message: str, regulatory: Make) -> None:
    with pytest.raises(ValueError, match=message):
        regulatory(**changes)


def test_encoder_and_context_belong_together(
    regulatory: Make, transformer: Callable[..., GeneTransformer], expression: Expression
) -> None:
    with pytest.raises(ValueError, match="takes an encoder and no other context does; context is 'none'"):
        regulatory(encoder=transformer())
    with pytest.raises(ValueError, match="depends on the cell; give the expression x"):
        regulatory(context="cell").weights()
    with pytest.raises(ValueError, match="context for each group; give the group of every cell"):
        regulatory(context="group")(expression())
