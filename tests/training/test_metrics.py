"""metrics.csv."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import torch

from grn.training.metrics import MetricsTable


def trainer(epoch: int, first: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        callback_metrics={"train_loss": torch.tensor(1.0 / (epoch + 1)), "val_loss": torch.tensor(2.0)},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
        current_epoch=epoch,
        global_step=10 * (epoch + 1),
        is_global_zero=first,
    )


def test_one_row_an_epoch(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    for epoch in range(3):
        table.on_train_epoch_end(trainer(epoch), None)  # type: ignore[arg-type]
        assert len(pd.read_csv(table.path)) == epoch + 1
    written = pd.read_csv(table.path)
    assert list(written.columns) == ["epoch", "step", "learning_rate", "train_loss", "val_loss"]
    assert written["step"].tolist() == [10, 20, 30]
    assert written["train_loss"].round(3).tolist() == [1.0, 0.5, 0.333]


def test_a_resumed_table_neither_repeats_nor_loses(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    table.on_train_epoch_end(trainer(0), None)  # type: ignore[arg-type]
    state = table.state_dict()
    saved = {"rows": list(state["rows"])}
    # Killed after the row of epoch 1 was written, before its checkpoint was.
    table.on_train_epoch_end(trainer(1), None)  # type: ignore[arg-type]
    again = MetricsTable(tmp_path / "metrics.csv")
    again.load_state_dict(saved)
    again.on_train_epoch_end(trainer(1), None)  # type: ignore[arg-type]
    assert pd.read_csv(again.path)["epoch"].tolist() == [0, 1]
    assert len(saved["rows"]) == 1


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    table.on_train_epoch_end(trainer(0, first=False), None)  # type: ignore[arg-type]
    assert not table.path.exists()
    assert len(table.rows) == 1
