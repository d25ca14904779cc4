"""A run that was killed goes on to the network of an uninterrupted one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from forking import Server
from omegaconf import OmegaConf

from grn._errors import InputError
from grn._files import remove_leftovers
from grn.network import GeneNetwork
from grn.training.checkpoints import BestAndLast

# Several seconds of training in short epochs, so that a kill meets it in the middle.
LONG = ("data=krumsiek11", "training.epochs=40", "training.steps_per_epoch=20", "training.patience=40")


def state(checkpoint: Path) -> dict:
    return torch.load(checkpoint, weights_only=True)


def assert_same_run(folder: Path, expected: Path) -> None:
    for name in ("network.tsv", "metrics.csv"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    for name in ("best.ckpt", "last.ckpt"):
        one, other = state(folder / "checkpoints" / name), state(expected / "checkpoints" / name)
        assert one["epoch"] == other["epoch"]
        assert all(torch.equal(one["state_dict"][key], other["state_dict"][key]) for key in other["state_dict"])


def wait_for_epoch(folder: Path, epoch: int) -> None:
    last = folder / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if last.exists() and state(last)["epoch"] >= epoch:
            return
        time.sleep(0.02)
    raise AssertionError(f"{last} did not reach epoch {epoch}")


def assert_readable(folder: Path) -> None:
    """Every file under its own name is whole; what was being written is beside it under a temporary one."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") and part != ".hydra" for part in path.relative_to(folder).parts)
        if hidden or path.is_dir():
            continue
        if path.suffix == ".ckpt":
            assert state(path)["grn"]["genes"]
        elif path.suffix == ".csv":
            rows = pd.read_csv(path)
            assert rows.notna().all().all()
            assert rows["epoch"].tolist() == list(range(len(rows)))
        elif path.suffix == ".yaml":
            assert OmegaConf.load(path) is not None
        else:
            assert path.suffix == ".log", f"{path} was not expected after {len(rows)} epochs"


def test_killed_in_the_middle(forked: Server, run_grn: Callable[..., str], tmp_path: Path) -> None:
    run_grn(tmp_path, "train", "name=whole", *LONG)
    killed = tmp_path / "outputs" / "killed"

    def kill(process: int) -> None:
        wait_for_epoch(killed, 5)
        os.kill(process, signal.SIGKILL)

    # overwrite=true was meant for what stood there before; it must not stand in the way of resume=true.
    ended = forked(tmp_path, "train", "name=killed", "overwrite=true", *LONG, during=kill)
    assert ended.code == -signal.SIGKILL
    assert not (killed / "run.json").exists()
    assert not (killed / "network.tsv").exists()
    assert state(killed / "checkpoints" / "last.ckpt")["epoch"] < 39
    assert_readable(killed)

    output = run_grn(tmp_path, "train", "name=killed", "resume=true")
    assert "resuming from" in output
    assert_same_run(killed, tmp_path / "outputs" / "whole")
    assert json.loads((killed / "run.json").read_text())["seed"] == 0
    assert not [path for path in killed.rglob(".*") if path.name != ".hydra"]


def test_nothing_to_resume_in_a_finished_run(train_here: Callable, tmp_path: Path, caplog: Any) -> None:
    network = train_here("done")
    before = (tmp_path / "done" / "run.json").read_bytes()
    caplog.set_level("INFO", logger="grn")
    again = train_here("done", "resume=true")
    assert "is finished already; nothing to resume" in caplog.text
    pd.testing.assert_frame_equal(again.edges, network.edges, check_dtype=False)
    assert (tmp_path / "done" / "run.json").read_bytes() == before


def unfinished(folder: Path, run: Path) -> None:
    """The folder of a run that was killed when it had trained but not written."""
    shutil.copytree(run, folder)
    for path in [folder / "run.json", folder / "report.html", *folder.glob("network.*")]:
        path.unlink()
    shutil.rmtree(folder / "figures")


def test_killed_while_writing(train_here: Callable, tmp_path: Path) -> None:
    train_here("whole")
    unfinished(tmp_path / "killed", tmp_path / "whole")
    (tmp_path / "killed" / ".network.tsv.ab12cd_9").mkdir()
    train_here("killed", "resume=true")
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    assert not (tmp_path / "killed" / ".network.tsv.ab12cd_9").exists()


def test_stopped_early_stays_stopped(train_here: Callable, tmp_path: Path) -> None:
    settings = ("training.epochs=60", "training.patience=1", "training.optimizer.lr=0.3")
    train_here("whole", *settings)
    epochs = len(pd.read_csv(tmp_path / "whole" / "metrics.csv"))
    assert epochs < 60
    assert state(tmp_path / "whole" / "checkpoints" / "last.ckpt")["epoch"] == epochs - 1
    assert state(tmp_path / "whole" / "checkpoints" / "best.ckpt")["epoch"] == epochs - 2
    unfinished(tmp_path / "killed", tmp_path / "whole")
    train_here("killed", *settings, "resume=true")
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_a_run_that_was_moved_remembers_its_best_epoch(
    train_here: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first epoch has the largest loss: a run that forgot it would find another best after the resume.
    falling = ("model.attention=softmax", "training.optimizer.lr=0.02")  # starts far from its end
    settings = ("callbacks.checkpoint.mode=max", "callbacks.early_stopping=null", *falling)
    train_here("whole", *settings)
    save = BestAndLast.on_train_epoch_end

    def save_and_break(self: BestAndLast, trainer: Any, module: Any) -> None:
        save(self, trainer, module)
        if trainer.current_epoch == 2:
            raise MemoryError("as if the machine were full")

    with monkeypatch.context() as patch:
        patch.setattr(BestAndLast, "on_train_epoch_end", save_and_break)
        with pytest.raises(MemoryError):
            train_here("broken", *settings)
    assert state(tmp_path / "broken" / "checkpoints" / "last.ckpt")["epoch"] == 2
    (tmp_path / "broken").rename(tmp_path / "moved")
    train_here("moved", *settings, "resume=true")
    assert state(tmp_path / "moved" / "checkpoints" / "best.ckpt")["epoch"] == 0
    assert_same_run(tmp_path / "moved", tmp_path / "whole")


@pytest.mark.parametrize(
    ("override", "key"), [("seed=1", "seed"), ("training.epochs=7", "training"), ("model.head_dim=2", "model")]
)
def test_other_settings_are_refused(train_here: Callable, tmp_path: Path, override: str, key: str) -> None:
    train_here("first")
    unfinished(tmp_path / "killed", tmp_path / "first")
    with pytest.raises(InputError, match=f"was started with other settings of {key}.*overwrite=true"):
        train_here("killed", override, "resume=true")


def test_other_data_are_refused(train_here: Callable, tmp_path: Path, krumsiek: object) -> None:
    path = tmp_path / "cells.h5ad"
    krumsiek.write_h5ad(path)  # type: ignore[attr-defined]
    own = ("data=h5ad", f"data.path={path}", "tf=all")
    train_here("first", *own)
    unfinished(tmp_path / "killed", tmp_path / "first")
    krumsiek[:-1].copy().write_h5ad(path)  # type: ignore[index]
    with pytest.raises(
        InputError, match=r"cells, genes, TFs, groups or batches are not those the run in .*killed was started with"
    ):
        train_here("killed", *own, "resume=true")


def test_a_broken_checkpoint_is_named(train_here: Callable, tmp_path: Path) -> None:
    train_here("first")
    unfinished(tmp_path / "killed", tmp_path / "first")
    (tmp_path / "killed" / "checkpoints" / "last.ckpt").write_bytes(b"half a checkpoi")
    with pytest.raises(InputError, match=r"last\.ckpt is not a checkpoint, or it is damaged"):
        train_here("killed", "resume=true")


def test_resuming_a_run_killed_before_its_first_epoch(train_here: Callable, tmp_path: Path) -> None:
    first = train_here("first")
    again = train_here("none", "resume=true")
    pd.testing.assert_frame_equal(again.edges, first.edges)
    assert isinstance(again, GeneNetwork)


def test_leftovers_are_told_from_files_of_the_user(tmp_path: Path) -> None:
    for name in (".metrics.csv.abcdef12", ".hydra", ".mine.d", "network.x.abcdef12"):
        (tmp_path / name).mkdir()
    (tmp_path / ".note.abcdef12").write_text("a file")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".hydra",
        ".mine.d",
        ".note.abcdef12",
        "network.x.abcdef12",
    ]
