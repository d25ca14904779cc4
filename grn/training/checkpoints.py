"""Checkpoints of the best epoch and of the last one, each file whole or not at all.

Lightning's own callback writes its last checkpoint only in epochs that are also the best so far, remembers absolute
paths, so that a moved run forgets its best loss, and goes through the system's temporary folder, from where a file
may arrive half copied. Hence these few lines of ours.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from grn._errors import InputError
from grn._files import atomic_path
from grn.training.described import check_checkpoint
from grn.training.outline import refuse_unsound

LAST, BEST = "last.ckpt", "best.ckpt"
# What torch raises for a file that is not what it expects.
_DAMAGED = (
    *(RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError, OSError),
    pickle.UnpicklingError,
)


class WholeCheckpoints(TorchCheckpointIO):
    """Write checkpoints beside their place and rename them; a kill leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save the state of model and trainer at `path`."""
        # Through Python's file: torch's own says of a full disk that a position was unexpected.
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            torch.save(checkpoint, stream)


class BestAndLast(Checkpoint):
    """Write best.ckpt and last.ckpt at the end of every epoch.

    Parameters
    ----------
    folder
        Where they are written.
    monitor
        The metric that tells the best epoch; where no cells are held out, `train_loss` stands in for `val_loss`.
    mode
        Whether the best is the smallest or the largest.
    """

    def __init__(self, folder: str | Path, monitor: str, mode: Literal["min", "max"]) -> None:
        if mode not in ("min", "max"):
            raise InputError(f"mode={mode!r}: the best epoch has the 'min' or the 'max' of {monitor}.")
        self.folder, self.monitor, self.mode = Path(folder), monitor, mode
        self.best: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let a resumed run that early stopping had ended stay ended: Lightning starts another epoch."""
        stops = trainer.early_stopping_callbacks
        if any(stop.stopped_epoch > 0 and stop.wait_count >= stop.patience for stop in stops):
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the epoch; Lightning calls this after all other callbacks."""
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            known = ", ".join(sorted(metrics))
            raise InputError(f"There is no metric {self.monitor!r} to tell the best epoch by; there are {known}.")
        value = float(metrics[self.monitor])
        if not math.isfinite(value) and self.best is None:
            raise InputError(
                f"{self.monitor} is {value} after the first epoch: training diverged. Lower training.optimizer.lr."
            )
        if self._is_better(value):
            self.best = value
            trainer.save_checkpoint(self.folder / BEST)
        # The last one after the best one: a kill in between repeats the epoch and finds the same best.
        trainer.save_checkpoint(self.folder / LAST)

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return True
        return value < self.best if self.mode == "min" else value > self.best

    def state_dict(self) -> dict[str, Any]:
        """Best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value of the checkpoint."""
        self.best = state_dict["best"]


def load_checkpoint(path: Path, *, of_run: bool = False) -> dict[str, Any]:
    """Read a checkpoint of ours; nothing in it is executed, and nothing is taken on trust.

    Parameters
    ----------
    path
        The file.
    of_run
        Whether it must hold everything that the checkpoint of a run holds, its settings among it.

    Raises
    ------
    InputError
        If it is no checkpoint of ours, declares more than it holds (`grn.training.outline`), or says what cannot be
        true or built (`grn.training.described`).
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    refuse_unsound(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise InputError(f"{path} is not a checkpoint, or it is damaged ({type(error).__name__}).") from error
    return check_checkpoint(checkpoint, path, of_run=of_run)
