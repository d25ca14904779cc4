"""Two processes on CPU train one network; where one dies, the other ends and says so."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grn.network import GeneNetwork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the second process through /proc"),
]
ENDLESS = ("data=krumsiek11", "trainer=ddp", "training.epochs=100000", "training.patience=100000")


def assert_same_network(one: GeneNetwork, other: GeneNetwork) -> None:
    first = one.matrix()
    second = other.matrix().loc[first.index, first.columns]
    assert np.corrcoef(first.to_numpy().ravel(), second.to_numpy().ravel())[0, 1] > 0.99
    strongest = one.top(50).edges
    for source, target, sign in zip(strongest["source"], strongest["target"], strongest["sign"], strict=True):
        assert np.sign(second.loc[source, target]) == sign, (source, target)


def test_two_processes_give_the_network_of_one(
    run_grn: Callable[..., str], train_here: Callable[..., GeneNetwork], tmp_path: Path
) -> None:
    settings = ("training.epochs=12", "training.steps_per_epoch=10")
    output = run_grn(tmp_path, "train", "data=krumsiek11", "trainer=ddp", "name=two", *settings)
    folder = tmp_path / "outputs" / "two"
    assert_same_network(train_here("one", *settings), GeneNetwork.read(folder))
    # Each thing once: tables on the screen, rows of metrics, files.
    assert output.count("Strongest edges") == output.count("Zeros") == 1
    assert pd.read_csv(folder / "metrics.csv")["epoch"].tolist() == list(range(12))
    one = {path.name for path in (tmp_path / "one").rglob("*") if path.is_file()}
    two = {path.name for path in folder.rglob("*") if path.is_file()}
    # The second process keeps its own log.
    assert two - one <= {"train.log", "train_ddp_process_1.log", "config.yaml", "hydra.yaml", "overrides.yaml"}
    assert one <= two


def test_every_parameter_has_its_gradient(run_grn: Callable[..., str], tmp_path: Path) -> None:
    """Two processes wait for the gradient of every parameter; one that the loss does not reach ends the run."""
    short = ("training.epochs=1", "training.steps_per_epoch=3")
    unused = ("model=contextual", "model.attention=softmax", "group_by=cell_type")
    run_grn(tmp_path, "train", "data=krumsiek11", "trainer=ddp", "name=two", *short, *unused)
    assert (tmp_path / "outputs" / "two" / "run.json").exists()


def child_of(process: subprocess.Popen[str]) -> int | None:
    """Number of the training process that this one started."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"train.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def is_alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def training(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> subprocess.Popen[str]:
    """Two processes in the middle of training."""
    process = begin(tmp_path, "train", "name=two", *ENDLESS)
    last = tmp_path / "outputs" / "two" / "checkpoints" / "last.ckpt"
    assert wait_until(lambda: last.exists() or process.poll() is not None, 120)
    assert process.poll() is None, process.communicate()[0]
    return process


def test_the_second_process_dies(training: subprocess.Popen[str], tmp_path: Path) -> None:
    child = child_of(training)
    assert child is not None
    os.kill(child, signal.SIGKILL)
    output, _ = training.communicate(timeout=60)
    assert training.returncode != 0
    # Whichever comes first: the lost connection, or Lightning's watch over the processes it started.
    assert "Another of the 2 training processes ended early" in output or "terminated with code -9" in output
    assert "Traceback" not in output
    assert "bug in grn" not in output
    assert not (tmp_path / "outputs" / "two" / "run.json").exists()


def test_the_first_process_dies(training: subprocess.Popen[str], tmp_path: Path) -> None:
    child = child_of(training)
    assert child is not None
    training.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not is_alive(child), 60), os.kill(child, signal.SIGKILL)
    output, _ = training.communicate(timeout=10)
    assert "process 1: Another of the 2 training processes ended early" in output
    assert "Traceback" not in output


def test_the_first_process_dies_before_they_meet(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Nobody answers the second process; without a watch it would wait for half an hour."""
    process = begin(tmp_path, "train", "name=two", *ENDLESS)
    assert wait_until(lambda: child_of(process), 60)
    child = child_of(process)
    assert child is not None
    process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not is_alive(child), 60), os.kill(child, signal.SIGKILL)
    output, _ = process.communicate(timeout=10)
    assert "process 1: The first process of this run ended early" in output


def test_a_run_of_two_is_resumed_by_one(
    begin: Callable[..., subprocess.Popen[str]], run_grn: Callable[..., str], tmp_path: Path
) -> None:
    settings = ("training.epochs=30", "training.patience=30")
    process = begin(tmp_path, "train", "data=krumsiek11", "trainer=ddp", "name=two", *settings)
    metrics = tmp_path / "outputs" / "two" / "metrics.csv"
    assert wait_until(lambda: process.poll() is not None or (metrics.exists() and len(pd.read_csv(metrics)) > 3), 120)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)  # the second process holds the pipe until it ends, too
    assert 3 < len(pd.read_csv(metrics)) < 30
    run_grn(tmp_path, "train", "name=two", "resume=true", "trainer=default")
    assert pd.read_csv(metrics)["epoch"].tolist() == list(range(30))
