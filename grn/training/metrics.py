"""The losses of every epoch as metrics.csv, kept through a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd

from grn._files import atomic_path


class MetricsTable(pl.Callback):
    """Write one row an epoch: epoch, step, learning rate, train_loss, val_loss.

    The rows travel in the checkpoint, so a resumed run continues the table and does not repeat or lose epochs.

    Parameters
    ----------
    path
        The csv file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row and write the table anew."""
        losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, "learning_rate": rate, **losses})
        if trainer.is_global_zero:
            with atomic_path(self.path) as path:
                pd.DataFrame(self.rows).to_csv(path, index=False)

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])
