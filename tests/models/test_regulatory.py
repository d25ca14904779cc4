"""The model of one or two views: what it hands to each, and what each context gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from grn.models import GeneTransformer, RegulatoryModel
from grn.models.regulatory import VIEWS, checked_views
from grn.models.view import Attention
from grn.training.build import rebuild

Make = Callable[..., RegulatoryModel]
Expression = Callable[..., Tensor]
GROUP = torch.tensor([0, 1, 2, 2, 0, 2, 1, 0, 2, 2, 2, 0])


def predicted(model: RegulatoryModel, name: str, x: Tensor) -> Tensor:
    """A view's prediction (cells, genes) from its `weights`, cell by cell."""
    view, rows = model.view(name), []
    for cell in range(len(x)):
        one = x[cell : cell + 1]
        if model.context == "cell":
            weights = model.weights(name, one)[0]
        else:
            weights = model.weights(name)[int(GROUP[cell]) if model.context == "group" else 0]
        values = view.values(one, model.standardise(one))[:, 0].unflatten(0, (view.channels, -1))
        rows.append(view.bias + torch.einsum("gck,ck->g", weights, values))
    return torch.stack(rows).detach()


@pytest.mark.parametrize("attention", get_args(Attention))
@pytest.mark.parametrize("context", ["none", "group", "cell"])
@pytest.mark.parametrize("always", [True, False], ids=["always detected", "or not"])
def test_every_view_predicts_by_its_weights(
    attention: str, context: str, always: bool, regulatory: Make, expression: Expression
) -> None:
    model, x = regulatory(attention=attention, context=context, always=always), expression(always=always)
    with torch.no_grad():
        rebuilt = model(x, GROUP)
    assert list(rebuilt) == ["regulators", "genes"]
    for name, one in rebuilt.items():
        torch.testing.assert_close(one.prediction, predicted(model, name, x), rtol=1e-4, atol=1e-5)
        if context == "none":
            expected = model.weights(name)[0].square().sum((-1, -2))
        elif context == "group":
            expected = model.weights(name)[GROUP].square().sum((-1, -2)).mean(0)
        else:
            each = [model.weights(name, row[None])[0].square().sum((-1, -2)) for row in x]
            expected = torch.stack(each).mean(0)
        torch.testing.assert_close(one.squared_weight, expected, rtol=1e-4, atol=1e-6)


def test_what_the_views_attend_to(regulatory: Make) -> None:
    """Regulators by level and detection, all genes by their level alone."""
    model = regulatory()
    assert [model.view(name).keys.tolist() for name in VIEWS] == [[1, 3, 6], list(range(7))]
    assert [model.view(name).channels for name in VIEWS] == [2, 1]
    assert [model.weights(name).shape for name in VIEWS] == [(1, 7, 2, 3), (1, 7, 1, 7)]
    assert [model.view(name).noise for name in VIEWS] == [pytest.approx(0.18**0.5), pytest.approx(1.4**0.5)]
    for name in VIEWS:
        alone = regulatory(views={name: 0.5})
        assert list(alone.views) == [name]
        assert alone.view(name).noise_share == 0.5


def test_views_are_independent(regulatory: Make, expression: Expression) -> None:
    """One view's loss moves no weight of the other."""
    model = regulatory()
    rebuilt = model(expression())["regulators"]
    (rebuilt.prediction.square().sum() + rebuilt.squared_weight.sum()).backward()
    for name, parameter in model.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved == name.startswith("views.regulators."), name


def test_a_gene_hidden_from_the_encoder_never_sees_itself(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context="cell"), expression()
    with torch.no_grad():
        unhidden = model(x)
        for gene in range(7):
            hidden = torch.zeros(x.shape, dtype=torch.bool)
            hidden[:, gene] = True
            changed = x.clone()
            changed[:, gene] += 5
            before, after, seen = model(x, hidden=hidden), model(changed, hidden=hidden), model(changed)
            for name in VIEWS:
                one, other = (found[name].prediction[:, gene] for found in (before, after))
                torch.testing.assert_close(other, one, rtol=0, atol=1e-4)
                # Not hidden, its value reaches its own prediction through the cell's context.
                leak = seen[name].prediction[:, gene] - unhidden[name].prediction[:, gene]
                assert float(leak.abs().max()) > 1e-3


@pytest.mark.parametrize("context", ["none", "group", "cell"])
def test_every_parameter_takes_a_gradient(context: str, regulatory: Make, expression: Expression) -> None:
    model = regulatory(context=context)
    sum(
        one.prediction.square().mean() + one.squared_weight.mean() for one in model(expression(), GROUP).values()
    ).backward()
    # The encoder's head serves masked training alone.
    missing = [
        name
        for name, parameter in model.named_parameters()
        if (parameter.grad is None or not parameter.grad.any())
        and not name.startswith("encoder.head")
        and name != "encoder.hidden"
    ]
    assert not missing


def test_groups_start_equal(expression: Expression) -> None:
    x = expression()
    model = RegulatoryModel(
        7,
        torch.tensor([0, 2]),
        mean=x.mean(0),
        std=x.std(0),
        detection=torch.ones(7),
        views={"regulators": 0.03, "genes": 0.2},
        head_dim=2,
        attention="spherical",
        context="group",
        n_groups=2,
        backend="auto",
        seed=0,
    )
    for name in VIEWS:
        one, other = model.weights(name)
        assert bool(one.any())
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    # And still do after the start from the data.
    model.start(x, dict.fromkeys(VIEWS, 0.5))
    for name in VIEWS:
        torch.testing.assert_close(*model.weights(name), rtol=0, atol=0)


def test_every_view_starts_with_its_own_noise(regulatory: Make, expression: Expression) -> None:
    x = expression(cells=40)
    model = regulatory()
    model.start(x, {"regulators": 0.3, "genes": 2.0})
    for name, noise in (("regulators", 0.3), ("genes", 2.0)):
        alone = regulatory(views={name: 0.1})
        alone.view(name).load_state_dict(model.view(name).state_dict())  # what the start leaves as it is
        alone.start(x, {name: noise})
        torch.testing.assert_close(model.weights(name), alone.weights(name), rtol=0, atol=0)
        alone.start(x, {name: 0.7})
        assert not torch.allclose(model.weights(name), alone.weights(name), atol=1e-3)


@pytest.mark.parametrize("attention", get_args(Attention))
@pytest.mark.parametrize("name", VIEWS)
def test_weights_of_cells_are_averaged(name: str, attention: str, regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(context="cell", attention=attention), expression()
    each = torch.cat([model.weights(name, row[None]) for row in x])
    torch.testing.assert_close(model.weights(name, x)[0], each.mean(0), rtol=1e-4, atol=1e-6)
    by_group = model.weights(name, x, GROUP)
    expected = torch.stack([each[group == GROUP].mean(0) for group in range(3)])
    torch.testing.assert_close(by_group, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["linear", "flashsign"])
def test_all_backends_give_one_model(form: str, regulatory: Make, expression: Expression) -> None:
    x = expression()
    one, other = (regulatory(backend=chosen)(x) for chosen in (form, "reference"))
    for name in VIEWS:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)


def test_equal_seeds_give_equal_models_and_leave_the_global_generator_alone(regulatory: Make) -> None:
    for context in ("none", "cell"):
        before = torch.get_rng_state()
        models = [regulatory(context=context, seed=seed).state_dict() for seed in (0, 0, 1)]
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
        for name in VIEWS:
            assert not torch.equal(models[0][f"views.{name}.query"], models[2][f"views.{name}.query"])


@pytest.mark.parametrize("context", ["none", "group", "cell"])
def test_round_trip_through_a_checkpoint(
    context: str, regulatory: Make, transformer: Callable[..., GeneTransformer], expression: Expression
) -> None:
    model, x = regulatory(context=context), expression()
    settings: dict[str, Any] = {
        "name": "regulatory",
        "_target_": "grn.models.RegulatoryModel",
        "views": {"regulators": 0.03, "genes": 0.2},
        "head_dim": 4,
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
    assert (again.context, again.training) == (context, False)
    one, other = again(x, GROUP), model(x, GROUP)
    for view in VIEWS:
        assert (again.view(view).channels, again.view(view).noise) == (
            model.view(view).channels,
            model.view(view).noise,
        )
        torch.testing.assert_close(one[view], other[view], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "sigmoid"}, "attention must be one of spherical, softmax, unnormalised, not 'sigmoid'"),
        ({"context": "batch"}, "context must be 'none', 'group' or 'cell', not 'batch'"),
        ({"head_dim": 0}, "head_dim must be at least 1, but is 0"),
        ({"attention": "softmax", "backend": "linear"}, "'linear' chooses a form of spherical attention; softmax has"),
        ({"views": {}}, "views has no view left"),
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
        regulatory(context="cell").weights("genes")
    with pytest.raises(ValueError, match="context for each group; give the group of every cell"):
        regulatory(context="group")(expression())


def test_views_that_are_on() -> None:
    assert checked_views({"genes": 1, "regulators": 0.03}) == {"regulators": 0.03, "genes": 1.0}
    assert list(checked_views({"genes": 1, "regulators": 0.03})) == list(VIEWS)  # the first is read out by "effect"
    assert checked_views({"genes": 10.0, "regulators": None}) == {"genes": 10.0}
    assert checked_views({"genes": 0.2}) == {"genes": 0.2}


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"gene": 0.2}, "views has no 'gene'; there are regulators and genes"),
        ({"regulators": 0.1, "cells": None}, "views has no 'cells'"),
        ({"genes": 0.0}, "views.genes is a share of variance above 0 and at most 10, but is 0.0"),
        ({"regulators": -0.1}, "views.regulators is a share .* but is -0.1"),
        ({"genes": 10.5}, "views.genes is a share .* but is 10.5"),
        ({"genes": float("nan")}, "views.genes is a share .* but is nan"),
        ({"genes": True}, "views.genes is a share .* but is True"),
        ({"regulators": None, "genes": None}, "no view left; give a share to one of regulators and genes"),
        ({}, "no view left"),
    ],
)
def test_views_that_cannot_be(views: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_views(views)
