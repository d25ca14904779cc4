"""Training through Lightning: what is written, what is resumed, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from grn._errors import InputError
from grn.data import CheckedData
from grn.training.build import build_data, build_objective
from grn.training.fit import fit, load_checkpoint


class Recorded:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, str]] = []

    def at(self, completed: int, note: str = "") -> None:
        self.steps.append((completed, note))


def run(config: dict[str, Any], checked: CheckedData, folder: Path, **options: Any) -> dict[str, Any]:
    data = build_data(config["training"], checked, config["seed"])
    return fit(build_objective(config, checked, data, {}), data, config, folder, **options)


def test_what_a_fit_leaves(config: dict[str, Any], checked: CheckedData, tmp_path: Path) -> None:
    config["training"]["validation_fraction"] = 0.2
    progress = Recorded()
    best = run(config, checked, tmp_path, progress=progress)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["best.ckpt", "checkpoints", "last.ckpt", "metrics.csv"]
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert best["epoch"] == metrics["val_loss"].idxmin()
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["epoch"] == 2
    assert [step for step, _ in progress.steps] == [1, 2, 3]
    assert progress.steps[-1][1].startswith("epoch 3/3  loss ")


def test_the_last_checkpoint_is_the_last_epoch(config: dict[str, Any], checked: CheckedData, tmp_path: Path) -> None:
    """Also where it is not the best: the first epoch is, by a metric that falls and should grow."""
    config["callbacks"]["checkpoint"]["mode"] = "max"
    config["callbacks"]["early_stopping"] = None
    assert run(config, checked, tmp_path)["epoch"] == 0
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["epoch"] == 2


def test_without_validation_the_training_loss_decides(
    config: dict[str, Any], checked: CheckedData, tmp_path: Path
) -> None:
    assert config["training"]["validation_fraction"] == 0  # the default
    best = run(config, checked, tmp_path)
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert "val_loss" not in metrics
    assert best["epoch"] == metrics["train_loss"].idxmin()


def test_resume_goes_on_where_it_stopped(config: dict[str, Any], checked: CheckedData, tmp_path: Path) -> None:
    whole = run(config, checked, tmp_path / "whole")
    run({**config, "trainer": {**config["trainer"], "max_steps": 4}}, checked, tmp_path / "part")
    assert load_checkpoint(tmp_path / "part" / "checkpoints" / "last.ckpt")["epoch"] == 1
    resumed = run(config, checked, tmp_path / "part", resume=True)
    assert all(torch.equal(resumed["state_dict"][key], value) for key, value in whole["state_dict"].items())
    assert (tmp_path / "part" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()


def test_nothing_to_resume_starts_from_the_beginning(
    config: dict[str, Any], checked: CheckedData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="grn")
    assert run(config, checked, tmp_path, resume=True)["epoch"] <= 2
    assert "nothing to resume" in caplog.text


def test_training_that_diverges_is_named(config: dict[str, Any], checked: CheckedData, tmp_path: Path) -> None:
    config["training"]["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 1e30}
    with pytest.raises(InputError, match=r"training diverged. Lower training.optimizer.lr"):
        run(config, checked, tmp_path)


@pytest.mark.parametrize(
    ("callback", "held_out", "message"),
    [
        ("checkpoint", 0.2, "no metric 'val_los' .* train_loss, val_loss"),
        ("checkpoint", 0.0, "no metric 'val_los' .* train_loss\\."),
        ("early_stopping", 0.0, "callbacks.early_stopping: .*val_los"),
    ],
)
def test_metrics_that_are_not_there(
    callback: str, held_out: float, message: str, config: dict[str, Any], checked: CheckedData, tmp_path: Path
) -> None:
    config["training"]["validation_fraction"] = held_out
    config["callbacks"][callback]["monitor"] = "val_los"
    with pytest.raises(InputError, match=message):
        run(config, checked, tmp_path)


def test_stopping_on_held_out_cells_that_are_not_there(
    config: dict[str, Any], checked: CheckedData, tmp_path: Path
) -> None:
    config["training"]["validation_fraction"] = 0.0
    config["callbacks"]["early_stopping"]["check_on_train_epoch_end"] = False
    with pytest.raises(InputError, match="held-out cells, of which there are none"):
        run(config, checked, tmp_path)


def test_checkpoints_cannot_be_switched_off(config: dict[str, Any], checked: CheckedData, tmp_path: Path) -> None:
    config["callbacks"]["checkpoint"] = None
    with pytest.raises(InputError, match=r"No entry of callbacks is a grn\.training\.checkpoints\.BestAndLast"):
        run(config, checked, tmp_path)


def test_what_is_no_checkpoint_of_ours(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="not a checkpoint that `grn train` wrote"):
        load_checkpoint(tmp_path / "other.ckpt")
    (tmp_path / "half.ckpt").write_bytes((tmp_path / "other.ckpt").read_bytes()[:100])
    with pytest.raises(InputError, match="is not a checkpoint, or it is damaged"):
        load_checkpoint(tmp_path / "half.ckpt")
    (tmp_path / "empty.ckpt").touch()
    with pytest.raises(InputError, match="is not a checkpoint, or it is damaged"):
        load_checkpoint(tmp_path / "empty.ckpt")
