"""From settings and data to a model and its objective."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from grn._errors import InputError
from grn.config import compose, plain_config
from grn.data import CheckedData, check
from grn.models import GeneTransformer, RegulatoryModel
from grn.training.build import build_data, build_objective, noise_of, rebuild, starting_cells
from grn.training.objectives import MaskedExpressionObjective, RegulatoryObjective


def settings(*overrides: str) -> dict[str, Any]:
    return plain_config(compose("train", overrides))


def build(config: dict[str, Any], checked: CheckedData) -> Any:
    return build_objective(config, checked, build_data(config["training"], checked, config["seed"]), {"note": 1})


@pytest.mark.parametrize(
    ("model", "kind", "encoder"),
    [
        ("regulatory", RegulatoryModel, None),
        ("contextual", RegulatoryModel, GeneTransformer),
        ("transformer", GeneTransformer, None),
    ],
)
def test_the_model_of_each_configuration(model: str, kind: type, encoder: type | None, checked: CheckedData) -> None:
    objective = build(settings(f"model={model}"), checked)
    assert isinstance(objective.model, kind)
    assert type(getattr(objective.model, "encoder", None)) is (encoder or type(None))
    assert isinstance(objective, MaskedExpressionObjective if kind is GeneTransformer else RegulatoryObjective)
    assert objective.description["genes"] == list("ABCDEF")
    assert objective.description["regulators"] == [0, 3]
    assert objective.description["batches"] is None
    assert objective.description["model"]["name"] == model
    assert objective.description["note"] == 1


def test_groups_do_not_change_what_is_trained(grouped: CheckedData, checked: CheckedData) -> None:
    """One fit over all cells; a group's departure from it is computed when the network is read out."""
    with_groups, without = (build(settings(), data) for data in (grouped, checked))
    one, other = with_groups.model.state_dict(), without.model.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert with_groups.description == without.description


def test_batches_give_the_model_its_intercepts(batched: CheckedData) -> None:
    objective = build(settings(), batched)
    model = objective.model
    x = np.asarray(batched.x)
    assert objective.description["batches"] == ["x", "y"]
    for code, name in enumerate(batched.batches.categories):
        own = x[batched.batches == name]
        np.testing.assert_allclose(model.batch_mean[code], own.mean(0), rtol=1e-5)
        np.testing.assert_allclose(model.batch_detection[code], (own > 0).mean(0), rtol=1e-5)
    z = model.standardise(torch.from_numpy(x), torch.from_numpy(batched.batch_codes))
    np.testing.assert_allclose(z.std(0, correction=0), 1, rtol=1e-4)


def test_the_start_measures_cells_from_their_batches(batched: CheckedData) -> None:
    """A gene shifted by a constant in one batch starts where it would have without the shift."""
    x = np.asarray(batched.x).copy()
    x[batched.batches == "y"] += 3.0 * np.arange(6, dtype=np.float32)
    one, other = (build(settings(), data).model for data in (batched, replace(batched, x=x)))
    for name in one.views:
        torch.testing.assert_close(one.weights(name), other.weights(name), rtol=0, atol=1e-4)


def test_a_transformer_refuses_batches(batched: CheckedData) -> None:
    with pytest.raises(InputError, match="batch_key is an intercept of the regulatory model's; model=transformer"):
        build(settings("model=transformer"), batched)


def test_the_model_standardises_by_the_data(checked: CheckedData) -> None:
    model = build(settings(), checked).model
    x = np.asarray(checked.x)
    np.testing.assert_allclose(model.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.std, x.std(0), rtol=1e-5)
    np.testing.assert_allclose(model.detection, (x > 0).mean(0), rtol=1e-5)


def queries(checked: CheckedData, *overrides: str) -> torch.Tensor:
    return build(settings(*overrides), checked).model.view("regulators").query.detach()


def test_the_seed_fixes_the_weights(checked: CheckedData) -> None:
    """Of a model that starts at random; one that starts from the data is the same for all seeds."""
    random = [queries(checked, "model.attention=softmax", f"seed={seed}") for seed in (1, 1, 2)]
    assert torch.equal(random[0], random[1])
    assert not torch.equal(random[0], random[2])
    started = [queries(checked, f"seed={seed}") for seed in (1, 2)]
    assert torch.equal(started[0], started[1])


def test_the_model_starts_from_the_training_cells(checked: CheckedData) -> None:
    config = settings("training.validation_fraction=0.4", "seed=3")
    data = build_data(config["training"], checked, 3)
    assert len(data.validation_cells) == 24
    objective = build(config, checked)
    model = objective.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.start(torch.from_numpy(np.asarray(checked.x)), objective.noise)
    for name in model.views:
        assert not torch.allclose(model.view(name).query, before[f"views.{name}.query"], atol=1e-4)
    model.start(torch.from_numpy(np.asarray(checked.x)[data.train_cells]), objective.noise)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def many(cells: int) -> CheckedData:
    x = np.random.default_rng(0).gamma(2.0, size=(cells, 3)).astype(np.float32)
    x[:, 0] = np.linspace(0.1, 5, cells)
    names = {"obs": pd.DataFrame(index=[f"c{i}" for i in range(cells)]), "var": pd.DataFrame(index=list("ABC"))}
    return check(anndata.AnnData(x, **names), tf=["A", "B"])


def test_the_start_takes_a_bounded_number_of_training_cells() -> None:
    checked = many(6000)
    training = {**settings()["training"], "validation_fraction": 0.2}
    data = {seed: build_data(training, checked, seed) for seed in (0, 1)}
    assert len(data[0].train_cells) == 4800
    taken = starting_cells(data[0], 0)
    assert taken["x"].shape == (4096, 3)
    # Each a training cell, none twice; the first gene tells cells apart.
    all_cells = np.asarray(checked.x)[:, 0]
    assert len(np.unique(all_cells)) == 6000
    positions = {value: position for position, value in enumerate(all_cells.tolist())}
    found = [positions[value] for value in taken["x"][:, 0].tolist()]
    assert len(set(found)) == 4096
    assert set(found) <= set(data[0].train_cells.tolist())
    np.testing.assert_array_equal(np.asarray(checked.x)[taken["cell"]], taken["x"])
    assert torch.equal(starting_cells(data[0], 0)["x"], taken["x"])
    assert not torch.equal(starting_cells(data[0], 1)["x"], taken["x"])


def test_the_start_takes_all_of_fewer_cells(checked: CheckedData) -> None:
    data = build_data(settings("training.validation_fraction=0.4")["training"], checked, 0)
    np.testing.assert_array_equal(starting_cells(data, 0)["x"], np.asarray(checked.x)[data.train_cells])


@pytest.mark.parametrize("attention", ["spherical", "softmax", "unnormalised"])
def test_few_steps_from_random_weights_are_warned_of(
    attention: str, checked: CheckedData, caplog: pytest.LogCaptureFixture
) -> None:
    for overrides in ([], ["training=scratch"]):
        caplog.clear()
        config = plain_config(compose("train", [f"model.attention={attention}", *overrides]))
        build_objective(config, checked, build_data(config["training"], checked, 0), {})
        assert ("add training=scratch" in caplog.text) == (attention != "spherical" and not overrides)


def test_settings_are_not_changed(checked: CheckedData) -> None:
    config = settings("model=contextual")
    before = copy.deepcopy(config)
    build(config, checked)
    assert config == before


def test_noise_is_each_views_share_of_the_variance_or_as_given(checked: CheckedData) -> None:
    """Two regulators and six genes, each with its level alone: always detected."""
    objective = build(settings(), checked)
    shares = settings()["model"]["views"]
    expected = {"regulators": (shares["regulators"] * 2) ** 0.5, "genes": (shares["genes"] * 6) ** 0.5}
    assert objective.noise == pytest.approx(expected)
    assert objective.description["noise"] == objective.noise
    assert noise_of(objective.model, "auto") == objective.noise
    assert build(settings("training.noise=0.37"), checked).noise == {"regulators": 0.37, "genes": 0.37}
    alone = build(settings("model.views.genes=null", "model.views.regulators=0.5"), checked)
    assert alone.noise == {"regulators": 1.0}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("+training.hidden_fraction=0.3",), "hidden_fraction=0.3 .* model=regulatory does not have"),
        (("model=transformer", "training.noise=0.2"), "noise=0.2 is the regulatory model's"),
        (("model=transformer", "training.hidden_fraction=1.5"), "hidden_fraction must lie between 0 and 1"),
    ],
)
def test_settings_that_nothing_uses(overrides: tuple[str, ...], message: str, checked: CheckedData) -> None:
    with pytest.raises(ValueError, match=message):
        build(settings(*overrides), checked)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model.attention=softmax",),
        ("model=contextual",),
        ("model=contextual", "model.attention=softmax"),
        ("model=transformer",),
    ],
)
def test_every_parameter_that_asks_for_a_gradient_gets_one(overrides: tuple[str, ...], grouped: CheckedData) -> None:
    """With several processes each waits for the gradients of all."""
    config = settings(*overrides)
    objective = build(config, grouped)
    batch = next(iter(build_data(config["training"], grouped, 0).train_dataloader()))
    objective.loss(batch, seed=0).backward()
    waiting = [name for name, one in objective.named_parameters() if one.requires_grad and one.grad is None]
    assert not waiting


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("regulatory", "checked"),
        ("regulatory", "batched"),
        ("contextual", "checked"),
        ("contextual", "batched"),
        ("transformer", "checked"),
    ],
)
def test_rebuild_gives_the_model_back(model: str, data: str, request: pytest.FixtureRequest) -> None:
    objective = build(settings(f"model={model}"), request.getfixturevalue(data))
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter += torch.rand(parameter.shape, generator=torch.Generator().manual_seed(5))
    again, description = rebuild({"grn": objective.description, "state_dict": objective.state_dict()})
    assert description is objective.description
    assert not again.training
    one, other = objective.model.state_dict(), again.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_rebuild_of_half_precision_is_single(checked: CheckedData) -> None:
    objective = build(settings(), checked)
    again, _ = rebuild({"grn": objective.description, "state_dict": objective.bfloat16().state_dict()})
    assert {one.dtype for one in again.parameters()} == {torch.float32}


def test_batches_are_those_of_the_settings(checked: CheckedData) -> None:
    data = build_data({**settings()["training"], "batch_size": 10, "steps_per_epoch": 4}, checked, seed=3)
    assert [len(batch["x"]) <= 10 for batch in data.train_dataloader()] == [True] * 4
    with pytest.raises(InputError, match="batch_size=0"):
        build_data({**settings()["training"], "batch_size": 0}, checked, seed=3)
