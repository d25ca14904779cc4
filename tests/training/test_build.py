"""From settings and data to a model and its objective."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from grn._errors import InputError
from grn.config import compose, plain_config
from grn.data import CheckedData
from grn.data.statistics import gene_statistics
from grn.models import GeneTransformer, Moments, RegulatoryModel, choose_noise
from grn.training.build import build_data, build_model, build_objective, noise_for, rebuild
from grn.training.objectives import MaskedExpressionObjective, RegulatoryObjective


def settings(*overrides: str) -> dict[str, Any]:
    return plain_config(compose("train", overrides))


def build(config: dict[str, Any], checked: CheckedData) -> Any:
    return build_objective(config, checked, build_data(config["training"], checked, config["seed"]), {"note": 1})


@pytest.mark.parametrize(
    ("model", "kind", "context"),
    [
        ("regulatory", RegulatoryModel, "none"),
        ("contextual", RegulatoryModel, "cell"),
        ("transformer", GeneTransformer, None),
    ],
)
def test_the_model_of_each_configuration(model: str, kind: type, context: str | None, checked: CheckedData) -> None:
    objective = build(settings(f"model={model}"), checked)
    assert isinstance(objective.model, kind)
    assert getattr(objective.model, "context", None) == context
    assert isinstance(objective, MaskedExpressionObjective if kind is GeneTransformer else RegulatoryObjective)
    assert objective.description["genes"] == list("ABCDEF")
    assert objective.description["regulators"] == [0, 3]
    assert objective.description["groups"] is None
    assert objective.description["model"]["name"] == model
    assert objective.description["note"] == 1


def test_groups_give_the_model_its_context(grouped: CheckedData) -> None:
    objective = build(settings(), grouped)
    assert objective.model.context == "group"
    assert objective.model.group_context.shape[0] == 2
    assert objective.description["groups"] == ["x", "y"]
    with pytest.raises(InputError, match="context=none makes one map for all cells"):
        build(settings("model.context=none"), grouped)


def test_the_model_standardises_by_the_data(checked: CheckedData) -> None:
    model = build(settings(), checked).model
    x = np.asarray(checked.x)
    np.testing.assert_allclose(model.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.std, x.std(0), rtol=1e-5)
    np.testing.assert_allclose(model.detection, (x > 0).mean(0), rtol=1e-5)


def test_the_seed_fixes_the_weights(checked: CheckedData) -> None:
    def query(seed: int) -> torch.Tensor:
        return build(settings(f"seed={seed}"), checked).model.query

    assert torch.equal(query(1), query(1))
    assert not torch.equal(query(1), query(2))


def test_settings_are_not_changed(checked: CheckedData) -> None:
    config = settings("model=contextual")
    before = copy.deepcopy(config)
    build(config, checked)
    assert config == before


def test_automatic_noise_is_that_of_the_halves(checked: CheckedData) -> None:
    config = settings()
    data = build_data(config["training"], checked, 0)
    model = build_model(
        config["model"], regulators=checked.regulators, statistics=gene_statistics(checked.x), n_groups=1, seed=0
    )
    assert isinstance(model, RegulatoryModel)
    first = torch.rand(60, generator=torch.Generator().manual_seed(0)) < 0.5
    x = torch.from_numpy(np.asarray(checked.x))
    halves = [
        Moments.of(model.values(half), model.standardise(half), model.regulators) for half in (x[~first], x[first])
    ]
    assert noise_for(model, data, seed=0).noise == choose_noise(*halves).noise
    assert build(config, checked).noise == choose_noise(*halves).noise
    assert build(settings("training.noise=0.37"), checked).noise == 0.37


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


@pytest.mark.parametrize("overrides", [(), ("model.attention=softmax",), ("model=contextual",), ("model=transformer",)])
def test_every_parameter_that_asks_for_a_gradient_gets_one(overrides: tuple[str, ...], grouped: CheckedData) -> None:
    """With several processes each waits for the gradients of all."""
    config = settings(*overrides)
    objective = build(config, grouped)
    batch = next(iter(build_data(config["training"], grouped, 0).train_dataloader()))
    objective.loss(batch, seed=0).backward()
    waiting = [name for name, one in objective.named_parameters() if one.requires_grad and one.grad is None]
    assert not waiting


@pytest.mark.parametrize("model", ["regulatory", "contextual", "transformer"])
def test_rebuild_gives_the_model_back(model: str, grouped: CheckedData) -> None:
    objective = build(settings(f"model={model}"), grouped)
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
