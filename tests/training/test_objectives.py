from __future__ import annotations

from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from grn.models import GeneTransformer, RegulatoryModel
from grn.training.objectives import MaskedExpressionObjective, Objective, RegulatoryObjective, random_mask

SGD = partial(torch.optim.SGD, lr=0.1)
BATCH = torch.arange(10) % 2


def expression(*, always: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(10, 5, generator=generator) + 0.1
    return x if always else x * (torch.rand(10, 5, generator=generator) > 0.3)


def encoder(genes: int = 5) -> GeneTransformer:
    return GeneTransformer(
        genes,
        mean=torch.full((genes,), 0.4),
        std=torch.full((genes,), 0.3),
        dim=8,
        layers=1,
        heads=2,
        attention="spherical",
        backend="auto",
        seed=1,
    )


VIEWS = ("regulators", "genes")


def regulatory(
    per_cell: bool = False, *, always: bool = False, views: tuple[str, ...] = VIEWS, batched: bool = False
) -> RegulatoryModel:
    x = expression(always=always)
    model = RegulatoryModel(
        5,
        torch.tensor([0, 3]),
        mean=x.mean(0),
        std=x.std(0),
        detection=(x > 0).float().mean(0),
        views=dict.fromkeys(views, 0.1),
        head_dim=3,
        attention="spherical",
        backend="auto",
        seed=0,
        encoder=encoder() if per_cell else None,
        batch_mean=torch.stack([x[code == BATCH].mean(0) for code in range(2)]) if batched else None,
        batch_detection=torch.stack([(x[code == BATCH] > 0).float().mean(0) for code in range(2)]) if batched else None,
    )
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name in views:
            model.view(name).gain += 3  # weights large enough that the penalty matters
            if per_cell:
                model.to_context[name].weight.copy_(torch.randn(3, 8, generator=generator))
    return model


def objective_of(model: RegulatoryModel, noise: float = 0.1, **settings: Any) -> RegulatoryObjective:
    """Objective with the same noise in every view."""
    return RegulatoryObjective(model, SGD, steps=1, noise=dict.fromkeys(model.views, noise), **settings)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("always", [True, False], ids=["always detected", "or not"])
@pytest.mark.parametrize("batched", [False, True], ids=["one batch", "batches"])
def test_the_loss_is_the_average_over_input_noise(
    batched: bool, always: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled: noise on every value channel, the truth without noise. No key is its own target, so that none leaks."""
    noise, draws = 0.7, 4000
    model, x = regulatory(always=always, views=(name,), batched=batched), expression(always=always)
    view, batch = model.view(name), {"x": x, "batch": BATCH}
    with torch.no_grad():
        found = float(objective_of(model, noise).loss(batch, seed=0))
        without = float(objective_of(model, 0.0).loss(batch, seed=0))
        clean, generator = model.values(name, x, BATCH), torch.Generator().manual_seed(3)
        many, batches = x.repeat(2 * draws, 1), BATCH.repeat(2 * draws)
        drawn = noise * torch.randn(len(clean), 10 * draws, generator=generator)
        # Every draw with its opposite: what is linear in the noise averages out.
        noisy = clean.repeat(1, 2 * draws) + torch.cat([drawn, -drawn], 1)
        monkeypatch.setattr(view, "values", lambda *_: noisy)
        predicted = model(many, batch=batches)[name].prediction
        sampled = float((predicted - model.standardise(many, batches)).square().mean())
    # The standard error of 40,000 pairs is below 0.7 % of the penalty.
    assert found - without > 0.2
    assert sampled - without == pytest.approx(found - without, rel=0.02)


def test_the_loss_is_error_plus_penalty_over_the_views() -> None:
    model, x = regulatory(), expression()
    noise = {"regulators": 0.3, "genes": 2.0}
    with torch.no_grad():
        expected = 0.0
        for name, rebuilt in model(x).items():
            error = (rebuilt.prediction - model.standardise(x)).square().mean()
            expected += float(error + noise[name] ** 2 * rebuilt.squared_weight.mean())
        objective = RegulatoryObjective(model, SGD, steps=1, noise=noise)
        assert float(objective.loss({"x": x, "batch": BATCH}, seed=0)) == pytest.approx(expected, rel=1e-5)
        exchanged = RegulatoryObjective(model, SGD, steps=1, noise={"regulators": 2.0, "genes": 0.3})
        assert float(exchanged.loss({"x": x, "batch": BATCH}, seed=0)) != pytest.approx(expected, rel=1e-2)


def test_noise_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="noise is a standard deviation and must not be negative, but is"):
        RegulatoryObjective(regulatory(), SGD, steps=1, noise={"regulators": 0.3, "genes": -1.0})


def test_batches_reach_the_model() -> None:
    """A batch of its own for a gene's constant shift: the loss is as without the shift."""
    x, model = expression(always=True), regulatory(always=True, batched=True)
    loss = float(objective_of(model).loss({"x": x, "batch": BATCH}, seed=0).detach())
    assert float(objective_of(model).loss({"x": x, "batch": 1 - BATCH}, seed=0).detach()) != pytest.approx(
        loss, rel=1e-3
    )
    shift = torch.tensor([0.0, 2.0])[BATCH].unsqueeze(1) * torch.arange(5)
    model.batch_mean[1] += 2.0 * torch.arange(5)
    moved = objective_of(model).loss({"x": x + shift, "batch": BATCH}, seed=0).detach()
    assert float(moved) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("per_cell", [False, True], ids=["one map", "a map for each cell"])
def test_every_parameter_has_the_learning_rate_of_the_optimiser(per_cell: bool) -> None:
    objective = objective_of(regulatory(per_cell))
    groups = objective.configure_optimizers()["optimizer"].param_groups
    assert [group["initial_lr"] for group in groups] == [0.1]
    names = {id(value): name for name, value in objective.named_parameters()}
    assert {names[id(value)] for value in groups[0]["params"]} == set(names.values())


def test_with_a_context_of_each_cell_only_hidden_genes_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = regulatory(per_cell=True), expression()
    objective = objective_of(model, 0.0, hidden_fraction=0.4)
    seen: list[Tensor] = []
    forward = model.encoder.forward
    monkeypatch.setattr(model.encoder, "forward", lambda x, hidden=None: seen.append(hidden) or forward(x, hidden))
    batch = {"x": x, "batch": BATCH, "cell": torch.arange(len(x))}
    loss = objective.loss(batch, seed=5).detach()
    hidden = seen[0]
    assert 0.2 < float(hidden.float().mean()) < 0.6
    with torch.no_grad():
        expected = torch.zeros(())
        for rebuilt in model(x, hidden).values():
            squared = (rebuilt.prediction - model.standardise(x)).square()
            expected += torch.stack([squared[hidden[:, gene], gene].mean() for gene in range(5)]).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(objective.loss(batch, seed=5).detach(), loss, rtol=0, atol=0)
    assert float(objective.loss(batch, seed=6).detach()) != float(loss)


def test_a_mask_hides_its_share_and_does_not_repeat() -> None:
    cells = torch.arange(400)
    masks = torch.stack([random_mask(cells, 300, 0.3, seed) for seed in range(6)]).double()
    assert masks.mean() == pytest.approx(0.3, abs=0.003)
    for axis in (1, 2):  # no gene and no cell is hidden much more often than another
        assert masks.mean((0, axis)).sub(0.3).abs().max() < 0.07
    assert torch.corrcoef(masks.flatten(1)).triu(1).abs().max() < 0.02
    assert torch.corrcoef(masks[0][:40]).triu(1).abs().max() < 0.3


def test_a_cells_mask_does_not_depend_on_its_batch() -> None:
    cells = torch.tensor([7, 3, 100_000, 12])
    whole = random_mask(cells, 50, 0.5, seed=3)
    torch.testing.assert_close(whole, torch.cat([random_mask(half, 50, 0.5, seed=3) for half in cells.split(2)]))


def test_masked_expression_scores_hidden_entries_alone() -> None:
    model = encoder(40)
    x = torch.rand(30, 40, generator=torch.Generator().manual_seed(1))
    objective = MaskedExpressionObjective(model, SGD, steps=1, hidden_fraction=0.3)
    hidden = random_mask(torch.arange(30), 40, 0.3, seed=7)
    with torch.no_grad():
        expected = (model.reconstruct(x, hidden) - model.standardise(x))[hidden].square().mean()
        torch.testing.assert_close(objective.loss({"x": x, "cell": torch.arange(30)}, seed=7), expected)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_share_of_hidden_genes_that_cannot_be(fraction: float) -> None:
    with pytest.raises(ValueError, match="hidden_fraction must lie between 0 and 1, but is"):
        MaskedExpressionObjective(encoder(), SGD, steps=1, hidden_fraction=fraction)


class Recorder(Objective):
    """Loss of one parameter; keeps the seeds it is given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(torch.nn.Linear(1, 1, bias=False), SGD, **settings)
        self.seeds: list[int] = []

    def loss(self, batch: dict[str, Tensor], seed: int) -> Tensor:
        self.seeds.append(seed)
        return self.model(batch["x"]).mean()


class Rates(pl.Callback):
    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def fit(objective: Objective, tmp_path: Any, *, epochs: int = 2) -> tuple[pl.Trainer, list[float]]:
    train, validation = (DataLoader([{"x": torch.ones(4, 1)}] * size, batch_size=None) for size in (3, 2))
    rates = Rates()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[rates],
        default_root_dir=tmp_path,
    )
    trainer.fit(objective, train, validation)
    return trainer, rates.rates


@pytest.mark.filterwarnings("ignore")
def test_learning_rate_falls_along_a_cosine_and_masks_are_drawn_anew(tmp_path: Any) -> None:
    objective = Recorder(steps=6, seed=4)
    objective.description = {"genes": ["A"]}
    trainer, rates = fit(objective, tmp_path)
    expected = 0.05 * (1 + torch.cos(torch.arange(6) / 6 * torch.pi))
    torch.testing.assert_close(torch.tensor(rates), expected)
    training, validation = [s for s in objective.seeds if s >= 0], [s for s in objective.seeds if s < 0]
    assert len(set(training)) == 6
    # The same masks in every validation, so that epochs compare.
    assert validation == [-1, -2, -1, -2]
    assert {"train_loss", "val_loss"} <= set(trainer.callback_metrics)
    other = Recorder(steps=6, seed=5)
    fit(other, tmp_path, epochs=1)
    assert not set(training) & {s for s in other.seeds if s >= 0}
    checkpoint: dict[str, Any] = {}
    objective.on_save_checkpoint(checkpoint)
    assert checkpoint == {"grn": {"genes": ["A"]}}
