"""What a person waiting sees: the phase, how far it is, and when it will end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl


class Progress:
    """Phases of a run on standard error, each with a bar and an estimate where its length is known.

    Parameters
    ----------
    enabled
        False shows nothing: in a library call, or in any process but the first.
    """

    def __init__(self, enabled: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        # Where nobody looks on (a log file, CI) a moving bar is noise.
        self._enabled = enabled and self._console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("ends in"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._enabled,
        )
        self._task: Any = None

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Show one phase while the block runs; `total` steps, if their number is known."""
        with self._bars:
            self._task = self._bars.add_task(name, total=total, note="")
            try:
                yield
            finally:
                self._bars.remove_task(self._task)
                self._task = None

    def at(self, completed: int, note: str = "") -> None:
        """Say how many steps of the phase are done, with a short note."""
        if self._task is not None:
            self._bars.update(self._task, completed=completed, note=note)


class EpochProgress(pl.Callback):
    """Move a `Progress` on with every epoch.

    Parameters
    ----------
    progress
        Where to show.
    epochs
        Number of epochs at most.
    """

    def __init__(self, progress: Progress, epochs: int) -> None:
        self.progress, self.epochs = progress, epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch and its loss."""
        losses = trainer.callback_metrics
        loss = losses.get("val_loss", losses.get("train_loss"))
        note = f"epoch {trainer.current_epoch + 1}/{self.epochs}"
        self.progress.at(trainer.current_epoch + 1, note if loss is None else f"{note}  loss {float(loss):.4f}")
