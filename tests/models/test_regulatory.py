"""The model of one or two views: what it hands to each, with a context for each cell and without."""

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
per_cell_or_not = pytest.mark.parametrize("per_cell", [False, True], ids=["one map", "a map for each cell"])


def predicted(model: RegulatoryModel, name: str, x: Tensor) -> Tensor:
    """A view's prediction (cells, genes) from its `weights`, cell by cell."""
    view, rows = model.view(name), []
    for cell in range(len(x)):
        one = x[cell : cell + 1]
        weights = model.weights(name, one)[0]  # one map for all cells is that of each
        values = model.values(name, one)[:, 0].unflatten(0, (view.channels, -1))
        rows.append(view.bias + torch.einsum("gck,ck->g", weights, values))
    return torch.stack(rows).detach()


@pytest.mark.parametrize("attention", get_args(Attention))
@per_cell_or_not
@pytest.mark.parametrize("always", [True, False], ids=["always detected", "or not"])
def test_every_view_predicts_by_its_weights(
    attention: str, per_cell: bool, always: bool, regulatory: Make, expression: Expression
) -> None:
    model, x = regulatory(attention=attention, per_cell=per_cell, always=always), expression(always=always)
    with torch.no_grad():
        rebuilt = model(x)
    assert list(rebuilt) == ["regulators", "genes"]
    for name, one in rebuilt.items():
        torch.testing.assert_close(one.prediction, predicted(model, name, x), rtol=1e-4, atol=1e-5)
        each = torch.cat([model.weights(name, row[None]) for row in x])
        expected = each.square().sum((-1, -2)).mean(0)
        torch.testing.assert_close(one.squared_weight, expected, rtol=1e-4, atol=1e-6)
        # The maps of cells differ where each has its own, and nowhere else.
        assert torch.equal(each[0], each[1]) != per_cell


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
    model, x = regulatory(per_cell=True).double(), expression().double()  # rounding lies far below any leak
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
                torch.testing.assert_close(other, one, rtol=0, atol=1e-10)
                # Not hidden, its value reaches its own prediction through the cell's context.
                leak = seen[name].prediction[:, gene] - unhidden[name].prediction[:, gene]
                assert float(leak.abs().max()) > 1e-6


@per_cell_or_not
def test_every_parameter_takes_a_gradient(per_cell: bool, regulatory: Make, expression: Expression) -> None:
    model = regulatory(per_cell=per_cell)
    sum(one.prediction.square().mean() + one.squared_weight.mean() for one in model(expression()).values()).backward()
    # The encoder's head serves masked training alone.
    missing = [
        name
        for name, parameter in model.named_parameters()
        if (parameter.grad is None or not parameter.grad.any())
        and not name.startswith("encoder.head")
        and name != "encoder.hidden"
    ]
    assert not missing


def test_cells_start_equal(transformer: Callable[..., GeneTransformer], expression: Expression) -> None:
    """Before training, and after the start from the data, a map for each cell is the one of all cells."""
    x = expression()
    one, each = (
        RegulatoryModel(
            7,
            torch.tensor([0, 2]),
            mean=x.mean(0),
            std=x.std(0),
            detection=torch.ones(7),
            views={"regulators": 0.03, "genes": 0.2},
            head_dim=2,
            attention="spherical",
            backend="auto",
            seed=0,
            encoder=encoder,
        )
        for encoder in (None, transformer())
    )
    for start in (False, True):
        if start:
            one.start(x, dict.fromkeys(VIEWS, 0.5))
            each.start(x, dict.fromkeys(VIEWS, 0.5))
        for name in VIEWS:
            of_cells = each.weights(name, x, torch.arange(len(x)))
            assert bool(of_cells.any())
            torch.testing.assert_close(of_cells, one.weights(name).expand_as(of_cells), rtol=1e-5, atol=1e-6)


def by_batch(x: Tensor) -> dict[str, Tensor]:
    """Mean and detection (3 batches, genes) of the cells, by `GROUP`."""
    parts = [x[batch == GROUP] for batch in range(3)]
    return {
        "batch_mean": torch.stack([part.mean(0) for part in parts]),
        "batch_detection": torch.stack([(part > 0).float().mean(0) for part in parts]),
    }


def test_with_batches_each_cell_is_measured_from_its_own(regulatory: Make, expression: Expression) -> None:
    x = expression()
    model, plain = regulatory(**by_batch(x)), regulatory()
    for batch in range(3):
        cells = batch == GROUP
        z = model.standardise(x, GROUP)[cells]
        torch.testing.assert_close(z, (x[cells] - x[cells].mean(0)) / model.std, rtol=1e-5, atol=1e-6)
        values = model.values("regulators", x, GROUP)[:, cells]
        level, detected = values.unflatten(0, (2, 3))
        torch.testing.assert_close(level, z[:, [1, 3, 6]].T)
        # Detection from the batch's rate, over the spread of the rate of all cells.
        seen = (x[cells][:, [1, 3, 6]] > 0).float()
        rate = model.detection[[1, 3, 6]]
        torch.testing.assert_close(detected.T, (seen - seen.mean(0)) / (rate * (1 - rate)).sqrt(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(values.mean(1), torch.zeros(6), rtol=0, atol=1e-5)
    # A constant of a batch is its intercept: nothing that the model sees or says moves with it.
    shift = torch.tensor([0.0, 3.0, -1.0])[GROUP].unsqueeze(1) * torch.arange(7)
    moved = regulatory(**{**by_batch(x), "batch_mean": by_batch(x + shift)["batch_mean"]})
    torch.testing.assert_close(moved.standardise(x + shift, GROUP), model.standardise(x, GROUP), rtol=0, atol=1e-4)
    assert not torch.allclose(plain.standardise(x + shift), plain.standardise(x), atol=1)
    with torch.no_grad():
        one, other = model(x, batch=GROUP), plain(x)
    assert not torch.allclose(one["genes"].prediction, other["genes"].prediction, atol=0.05)


def test_batches_are_asked_for(regulatory: Make, expression: Expression) -> None:
    x = expression()
    model = regulatory(**by_batch(x))
    for wants in (model.standardise, model, lambda x: model.start(x, dict.fromkeys(VIEWS, 0.5))):
        with pytest.raises(ValueError, match="made with batches; give the batch of every cell"):
            wants(x)


def test_one_batch_is_none(regulatory: Make, expression: Expression) -> None:
    x = expression(cells=40)
    whole = {"batch_mean": x.mean(0)[None], "batch_detection": (x > 0).float().mean(0)[None]}
    none = torch.zeros(40, dtype=torch.int64)
    model, plain = regulatory(**whole), regulatory()
    for made, batch in ((model, none), (plain, None)):
        made.start(x, dict.fromkeys(VIEWS, 0.5), batch)
    with torch.no_grad():
        one, other = model(x, batch=none), plain(x)
    for name in VIEWS:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)


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
    model, x = regulatory(per_cell=True, attention=attention), expression()
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
    for per_cell in (False, True):
        before = torch.get_rng_state()
        models = [regulatory(per_cell=per_cell, seed=seed).state_dict() for seed in (0, 0, 1)]
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
        for name in VIEWS:
            assert not torch.equal(models[0][f"views.{name}.query"], models[2][f"views.{name}.query"])


@pytest.mark.parametrize("batched", [False, True], ids=["one batch", "batches"])
@per_cell_or_not
def test_round_trip_through_a_checkpoint(
    per_cell: bool, batched: bool, regulatory: Make, expression: Expression
) -> None:
    x = expression()
    model = regulatory(per_cell=per_cell, **(by_batch(x) if batched else {}))
    batch = GROUP if batched else None
    settings: dict[str, Any] = {
        "name": "regulatory",
        "_target_": "grn.models.RegulatoryModel",
        "views": {"regulators": 0.03, "genes": 0.2},
        "head_dim": 4,
        "attention": "spherical",
        "backend": "auto",
    }
    if per_cell:
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
        "batches": ["a", "b", "c"] if batched else None,
    }
    state = {f"model.{name}": tensor.clone() for name, tensor in copy.deepcopy(model).state_dict().items()}
    again, kept = rebuild({"grn": description, "state_dict": state})
    assert kept is description
    assert isinstance(again, RegulatoryModel)
    assert (again.encoder is not None, again.training) == (per_cell, False)
    one, other = again(x, batch=batch), model(x, batch=batch)
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
        ({"head_dim": 0}, "head_dim must be at least 1, but is 0"),
        ({"attention": "softmax", "backend": "linear"}, "'linear' chooses a form of spherical attention; softmax has"),
        ({"views": {}}, "views has no view left"),
    ],
)
def test_refused(changes: dict[str, Any], message: str, regulatory: Make) -> None:
    with pytest.raises(ValueError, match=message):
        regulatory(**changes)


def test_a_map_for_each_cell_needs_the_cells(regulatory: Make, expression: Expression) -> None:
    model, x = regulatory(per_cell=True), expression()
    with pytest.raises(ValueError, match="depends on the cell; give the expression x"):
        model.weights("genes")
    assert {name: context.shape for name, context in model.contexts(x).items()} == dict.fromkeys(VIEWS, (12, 4))
    assert regulatory().contexts(x) == {}


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
