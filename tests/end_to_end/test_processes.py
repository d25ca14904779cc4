"""Two processes on CPU train one network; where one dies, the other ends and says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forking import Ended, Server

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
    job = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "RANK": "3", "WORLD_SIZE": "8"}
    arguments = ("train", "data=krumsiek11", "trainer=ddp", "name=two", *settings)
    output = run_grn(tmp_path, *arguments, fault={"name": "variables", "values": job}, draw=False)
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


def child_of(process: int) -> int | None:
    """Number of the training process that this one started."""
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
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


def in_the_middle(folder: Path, act: Callable[[int, int], object]) -> Callable[[int], None]:
    """Calls `act` with the numbers of both processes when they train."""

    def during(process: int) -> None:
        last = folder / "outputs" / "two" / "checkpoints" / "last.ckpt"
        assert wait_until(last.exists, 120)
        child = child_of(process)
        assert child is not None
        act(process, child)

    return during


def test_the_second_process_dies(forked: Server, tmp_path: Path) -> None:
    def kill(process: int, child: int) -> None:
        os.kill(child, signal.SIGKILL)

    ended = forked(tmp_path, "train", "name=two", *ENDLESS, during=in_the_middle(tmp_path, kill))
    assert ended.code != 0
    # Whichever comes first: the lost connection, or Lightning's watch over the processes it started.
    expected = ("Another of the 2 training processes ended early", "terminated with code -9")
    assert any(text in ended.output for text in expected)
    assert "Traceback" not in ended.output
    assert "bug in grn" not in ended.output
    assert not (tmp_path / "outputs" / "two" / "run.json").exists()


def test_the_first_process_dies(forked: Server, tmp_path: Path) -> None:
    children = []

    def kill(process: int, child: int) -> None:
        children.append(child)
        os.kill(process, signal.SIGKILL)

    ended = forked(tmp_path, "train", "name=two", *ENDLESS, during=in_the_middle(tmp_path, kill))
    output = end_of(children[0], ended)
    assert "process 1: Another of the 2 training processes ended early" in output
    assert "Traceback" not in output


def test_the_first_process_dies_before_they_meet(forked: Server, tmp_path: Path) -> None:
    """Nobody answers the second process; without a watch it would wait for half an hour."""
    children = []

    def kill(process: int) -> None:
        assert wait_until(lambda: child_of(process), 60)
        children.append(child_of(process))
        os.kill(process, signal.SIGKILL)

    ended = forked(tmp_path, "train", "name=two", *ENDLESS, during=kill)
    assert "process 1: The first process of this run ended early" in end_of(children[0], ended)


def end_of(child: int, ended: Ended) -> str:
    """What both printed when the second process has ended as well."""
    assert wait_until(lambda: not is_alive(child), 60), os.kill(child, signal.SIGKILL)
    return ended.log.read_text()


def test_a_run_of_two_is_resumed_by_one(forked: Server, run_grn: Callable[..., str], tmp_path: Path) -> None:
    settings = ("training.epochs=30", "training.patience=30")
    metrics = tmp_path / "outputs" / "two" / "metrics.csv"

    def kill(process: int) -> None:
        assert wait_until(lambda: metrics.exists() and len(pd.read_csv(metrics)) > 3, 120)
        os.kill(process, signal.SIGKILL)

    ended = forked(tmp_path, "train", "data=krumsiek11", "trainer=ddp", "name=two", *settings, during=kill)
    assert ended.code == -signal.SIGKILL
    assert 3 < len(pd.read_csv(metrics)) < 30
    run_grn(tmp_path, "train", "name=two", "resume=true", "trainer=default")
    assert pd.read_csv(metrics)["epoch"].tolist() == list(range(30))
