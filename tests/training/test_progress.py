"""The bars on standard error."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from grn.training.progress import EpochProgress, Progress


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (Progress(), Progress(enabled=False)):
        with progress.phase("train", total=3):
            progress.at(1, "epoch 1/3")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_phase_and_estimate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    progress = Progress()
    with progress.phase("train", total=4):
        progress.at(2, "epoch 2/4")
        progress._bars.refresh()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(words in shown.err for words in ("train", "epoch 2/4", "ends in"))


def test_a_phase_ends_with_its_block() -> None:
    progress = Progress(enabled=False)
    with pytest.raises(ValueError, match="oh"), progress.phase("check"):
        raise ValueError("oh")
    progress.at(3)  # between phases: no bar to move
    assert progress._task is None
    assert not progress._bars.tasks


@pytest.mark.parametrize(
    ("losses", "note"),
    [
        ({"val_loss": 0.25, "train_loss": 0.5}, "epoch 2/9  loss 0.2500"),
        ({"train_loss": 0.5}, "epoch 2/9  loss 0.5000"),
        ({}, "epoch 2/9"),
    ],
)
def test_epochs_move_it(losses: dict[str, float], note: str) -> None:
    told = []
    progress = SimpleNamespace(at=lambda completed, text: told.append((completed, text)))
    metrics = {name: torch.tensor(value) for name, value in losses.items()}
    trainer = SimpleNamespace(callback_metrics=metrics, current_epoch=1)
    EpochProgress(progress, 9).on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert told == [(2, note)]
