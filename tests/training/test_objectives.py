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
GROUP = torch.arange(10) % 2


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


def regulatory(context: Any = "none", *, always: bool = False) -> RegulatoryModel:
    x = expression(always=always)
    model = RegulatoryModel(
        5,
        torch.tensor([0, 3]),
        mean=x.mean(0),
        std=x.std(0),
        detection=(x > 0).float().mean(0),
        head_dim=3,
        members=2,
        attention="spherical",
        context=context,
        n_groups=2,
        backend="auto",
        seed=0,
        encoder=encoder() if context == "cell" else None,
    )
    with torch.no_grad():
        model.gain += 3  # weights large enough that the penalty matters
        if context == "group":
            model.group_context.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(2)))
        if context == "cell":
            model.to_context.weight.copy_(torch.randn(3, 8, generator=torch.Generator().manual_seed(2)))
    return model


@pytest.mark.parametrize("always", [True, False], ids=["1 channel", "2 channels"])
@pytest.mark.parametrize("context", ["none", "group"])
def test_the_loss_is_the_average_over_input_noise(context: str, always: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled: noise on every value channel, the truth without noise. No regulator is its own, so that none leaks."""
    noise, draws = 0.7, 4000
    model, x = regulatory(context, always=always), expression(always=always)
    objective = RegulatoryObjective(model, SGD, steps=1, noise=noise)
    with torch.no_grad():
        found = float(objective.loss({"x": x, "group": GROUP}, seed=0))
        without = float(RegulatoryObjective(model, SGD, steps=1, noise=0.0).loss({"x": x, "group": GROUP}, seed=0))
        clean, generator = model.values(x), torch.Generator().manual_seed(3)
        many, groups = x.repeat(draws, 1), GROUP.repeat(draws)
        noisy = clean.repeat(1, draws)
        noisy = noisy + noise * torch.randn(noisy.shape, generator=generator)
        monkeypatch.setattr(model, "values", lambda _: noisy)
        sampled = float((model(many, groups).prediction - model.standardise(many)).square().mean())
    # The standard error of 40,000 samples of each target is about 0.5 % of the penalty.
    assert found - without > 0.2
    assert sampled - without == pytest.approx(found - without, rel=0.02)


def test_the_loss_is_error_plus_penalty() -> None:
    model, x = regulatory(), expression()
    with torch.no_grad():
        rebuilt = model(x)
        error = (rebuilt.prediction - model.standardise(x)).square().mean((0, 1))
        expected = (error + 0.09 * rebuilt.squared_weight.mean(0)).mean()
    objective = RegulatoryObjective(model, SGD, steps=1, noise=0.3)
    torch.testing.assert_close(objective.loss({"x": x, "group": GROUP}, seed=0).detach(), expected)


def test_groups_reach_the_model() -> None:
    objective, x = RegulatoryObjective(regulatory("group"), SGD, steps=1, noise=0.1), expression()
    losses = [float(objective.loss({"x": x, "group": group}, seed=0).detach()) for group in (GROUP, 1 - GROUP)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_with_a_context_of_each_cell_only_hidden_genes_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = regulatory("cell"), expression()
    objective = RegulatoryObjective(model, SGD, steps=1, noise=0.0, hidden_fraction=0.4)
    seen: list[Tensor] = []
    forward = model.encoder.forward
    monkeypatch.setattr(model.encoder, "forward", lambda x, hidden=None: seen.append(hidden) or forward(x, hidden))
    batch = {"x": x, "group": GROUP, "cell": torch.arange(len(x))}
    loss = objective.loss(batch, seed=5).detach()
    hidden = seen[0]
    assert 0.2 < float(hidden.float().mean()) < 0.6
    with torch.no_grad():
        squared = (model(x, GROUP, hidden).prediction - model.standardise(x)).square()
    by_gene = torch.stack([squared[:, hidden[:, gene], gene].mean(1) for gene in range(5)])
    torch.testing.assert_close(loss, by_gene.mean())
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
