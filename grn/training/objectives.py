"""What is trained, as LightningModules: the regulatory reconstruction, and masked expression."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from grn._errors import InputError
from grn.models import GeneTransformer, RegulatoryModel

Batch = dict[str, Tensor]
OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


class Objective(pl.LightningModule, ABC):
    """Cosine-annealed training of one model, with `train_loss` and `val_loss` logged once an epoch."""

    def __init__(self, model: torch.nn.Module, optimizer: OptimizerFactory, steps: int, seed: int) -> None:
        super().__init__()
        self.model, self._optimizer, self._steps, self._seed = model, optimizer, steps, seed
        # Travels in the checkpoint; what `grn infer run=...` rebuilds from.
        self.description: dict[str, Any] = {}

    @abstractmethod
    def loss(self, batch: Batch, seed: int) -> Tensor:
        """Loss of a batch; whatever is random in it is drawn from `seed`."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one training batch."""
        # Masks are drawn anew at every step, and are the same when a killed run repeats the step.
        loss = self.loss(batch, seed=self._seed * 1_000_003 + self.global_step)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["x"]), sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss of one batch of held-out cells."""
        loss = self.loss(batch, seed=-1 - batch_idx)
        self.log("val_loss", loss, batch_size=len(batch["x"]), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Optimiser with a learning rate that falls to zero along a cosine over all steps."""
        optimizer = self._optimizer([{"params": list(self.parameters())}])
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / self._steps, 1.0)))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the checkpoint say what it was trained on."""
        checkpoint["grn"] = self.description


class RegulatoryObjective(Objective):
    """Squared error of the reconstruction, with the input noise integrated out.

    Parameters
    ----------
    model
        What is trained.
    optimizer
        Makes the optimiser from the parameters.
    steps
        Number of optimisation steps over which the learning rate falls to zero.
    noise
        Standard deviation of the noise on the standardised values, by view.
    hidden_fraction
        Share of genes hidden from the encoder of a model that has one; only these are scored.
    seed
        Of the hidden genes.
    """

    model: RegulatoryModel

    def __init__(
        self,
        model: RegulatoryModel,
        optimizer: OptimizerFactory,
        *,
        steps: int,
        noise: dict[str, float],
        hidden_fraction: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(model, optimizer, steps, seed)
        if any(value < 0 for value in noise.values()):
            raise InputError(f"noise is a standard deviation and must not be negative, but is {noise}.")
        if model.encoder is not None and not 0 < hidden_fraction < 1:
            raise InputError(f"hidden_fraction must lie between 0 and 1, but is {hidden_fraction}.")
        self.noise, self.hidden_fraction = noise, hidden_fraction
        # Several processes wait for the gradient of every parameter that asks for one.
        if model.encoder is not None:
            model.encoder.head.requires_grad_(False)

    def loss(self, batch: Batch, seed: int) -> Tensor:
        """Sum over views of the mean over genes of squared error plus noise^2 times the squared weight."""
        x = batch["x"]
        truth = self.model.standardise(x, batch["batch"])
        hidden = None
        if self.model.encoder is not None:
            hidden = random_mask(batch["cell"], x.shape[1], self.hidden_fraction, seed)
        total = x.new_zeros(())
        for name, rebuilt in self.model(x, hidden, batch["batch"]).items():
            squared = (rebuilt.prediction - truth).square()
            scored = torch.ones_like(squared) if hidden is None else hidden
            error = (squared * scored).sum(0) / scored.sum(0).clamp(min=1)
            total = total + (error + self.noise[name] ** 2 * rebuilt.squared_weight).mean()
        return total


class MaskedExpressionObjective(Objective):
    """Squared error on genes hidden from the transformer.

    Parameters
    ----------
    model
        What is trained.
    optimizer
        Makes the optimiser from the parameters.
    steps
        Number of optimisation steps over which the learning rate falls to zero.
    hidden_fraction
        Share of genes hidden in each cell.
    seed
        Of the hidden genes.
    """

    model: GeneTransformer

    def __init__(
        self,
        model: GeneTransformer,
        optimizer: OptimizerFactory,
        *,
        steps: int,
        hidden_fraction: float,
        seed: int = 0,
    ) -> None:
        super().__init__(model, optimizer, steps, seed)
        if not 0 < hidden_fraction < 1:
            raise InputError(f"hidden_fraction must lie between 0 and 1, but is {hidden_fraction}.")
        self.hidden_fraction = hidden_fraction

    def loss(self, batch: Batch, seed: int) -> Tensor:
        """Mean squared error over the hidden entries of standardised expression."""
        x = batch["x"]
        hidden = random_mask(batch["cell"], x.shape[1], self.hidden_fraction, seed)
        error = (self.model.reconstruct(x, hidden) - self.model.standardise(x)).square()
        return error[hidden].mean()


def random_mask(cells: Tensor, n_genes: int, fraction: float, seed: int) -> Tensor:
    """Bool (cells, genes), true for `fraction` of the entries.

    Each entry is a hash of the seed, the cell and the gene, so that a cell's mask is the same on every device and
    however the batch is shared among processes. (The finaliser of SplitMix64, Steele et al. 2014.)
    """
    genes = torch.arange(n_genes, device=cells.device)
    # Odd constants near 2^64 divided by the golden ratio and its kin; int64 wraps around.
    bits = cells.unsqueeze(1) * -7046029254386353131 + genes * -4658895280553007687 + seed * 2654435769
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        bits = (bits ^ ((bits >> shift) & ((1 << (64 - shift)) - 1))) * factor
    uniform = ((bits >> 11) & ((1 << 53) - 1)).double() / 2**53
    return uniform < fraction
