"""Best and last, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import torch

from grn._errors import InputError
from grn.training.checkpoints import BestAndLast, WholeCheckpoints


class Trainer(SimpleNamespace):
    """What the callback needs of Lightning's."""

    def __init__(self, value: float) -> None:
        super().__init__(callback_metrics={"val_loss": torch.tensor(value)}, saved=[])

    def save_checkpoint(self, path: Path) -> None:
        self.saved.append(path.name)


@pytest.mark.parametrize(("mode", "best"), [("min", [True, True, False, False]), ("max", [True, False, True, False])])
def test_the_last_is_written_after_the_best(mode: Any, best: list[bool], tmp_path: Path) -> None:
    callback = BestAndLast(tmp_path, "val_loss", mode)
    for value, improves in zip([2.0, 1.0, 3.0, float("nan")], best, strict=True):
        trainer = Trainer(value)
        callback.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
        assert trainer.saved == (["best.ckpt", "last.ckpt"] if improves else ["last.ckpt"])


def test_the_best_value_is_remembered(tmp_path: Path) -> None:
    callback = BestAndLast(tmp_path, "val_loss", "min")
    callback.on_train_epoch_end(Trainer(1.0), None)  # type: ignore[arg-type]
    again = BestAndLast(tmp_path / "elsewhere", "val_loss", "min")
    again.load_state_dict(callback.state_dict())
    trainer = Trainer(1.5)
    again.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert trainer.saved == ["last.ckpt"]


def test_a_first_epoch_without_a_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="val_loss is nan after the first epoch"):
        BestAndLast(tmp_path, "val_loss", "min").on_train_epoch_end(Trainer(float("nan")), None)  # type: ignore[arg-type]


def test_an_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mode='mean': the best epoch has the 'min' or the 'max' of val_loss"):
        BestAndLast(tmp_path, "val_loss", "mean")  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)

    def half(checkpoint: Any, target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="no space left"):
        WholeCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]
