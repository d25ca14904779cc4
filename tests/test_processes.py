"""Which process writes the files, whatever a scheduler or another program left in the environment."""

from __future__ import annotations

import os
from typing import Any

import pytest

from grn import _processes
from grn._errors import InputError
from grn._processes import FIRST_PROCESS, Place, asked_for, find_place, is_first_process, settle_place

SLURM_SCRIPT = {
    **{"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_NNODES": "1"},
    **{"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "node1"},
}
SRUN = {**SLURM_SCRIPT, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
TORCHRUN = {
    **{"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "2"},
    **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
}
LEFT_OVER = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1"}
ONE, TWO, FOUR = {"devices": 1}, {"devices": 2, "strategy": "ddp"}, {"devices": 4, "strategy": "ddp"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets variables of the environment; of those that schedulers set no other is there."""
    for name in list(os.environ):
        if name.startswith(("SLURM", "TORCHELASTIC")) or name in {*LEFT_OVER, *TORCHRUN, "NODE_RANK", FIRST_PROCESS}:
            monkeypatch.delenv(name)
    monkeypatch.setattr(_processes, "_place", None)

    def put(values: dict[str, str]) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(
    ("values", "trainer", "expected"),
    [
        ({}, None, Place()),
        ({}, TWO, Place(0, 2)),
        (SLURM_SCRIPT, None, Place()),
        (SLURM_SCRIPT, ONE, Place()),
        (SLURM_SCRIPT, TWO, Place(0, 2)),
        (SLURM_SCRIPT, FOUR, Place(0, 4)),  # without srun this process starts the others
        (SRUN, ONE, Place()),
        (SRUN, FOUR, Place(3, 4, "srun")),
        (TORCHRUN, ONE, Place()),
        (TORCHRUN, TWO, Place(1, 2, "torchrun")),
        (LEFT_OVER, ONE, Place()),
        (LEFT_OVER, TWO, Place(0, 2)),
        ({"LOCAL_RANK": "1", FIRST_PROCESS: "1"}, TWO, Place(1, 2)),
        ({"NODE_RANK": "1", "MASTER_ADDR": "a"}, {"devices": 2, "num_nodes": 2}, Place(2, 4, nodes=2)),
        ({"NODE_RANK": "1"}, TWO, Place(0, 2)),
    ],
)
def test_places(environment: Any, values: dict[str, str], trainer: dict[str, Any] | None, expected: Place) -> None:
    environment(values)
    assert find_place(trainer) == expected
    settle_place(trainer)
    assert is_first_process() == (expected.rank == 0)


def test_before_it_is_settled_only_what_lightning_started_is_another(environment: Any) -> None:
    environment(LEFT_OVER | SLURM_SCRIPT)
    assert is_first_process()
    environment({FIRST_PROCESS: "1"})
    assert not is_first_process()


def test_torchrun_and_the_settings_must_agree(environment: Any) -> None:
    environment(TORCHRUN)
    with pytest.raises(InputError, match=r"torchrun started 2 processes, but .* asks for 4\. Let them agree"):
        find_place(FOUR)


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"devices": [0, 1, 2]}, (3, 1)),
        ({"devices": "2"}, (2, 1)),
        ({"devices": "0,"}, (1, 1)),
        ({"devices": "auto", "accelerator": "cpu"}, (1, 1)),
        ({"devices": -1, "accelerator": "cpu", "num_nodes": 3}, (3, 3)),
    ],
)
def test_how_many_are_asked_for(trainer: dict[str, Any], expected: tuple[int, int]) -> None:
    assert asked_for(trainer) == expected


def test_the_log_says_that_one_trains(environment: Any, caplog: pytest.LogCaptureFixture) -> None:
    environment(SLURM_SCRIPT)
    with caplog.at_level("INFO", logger="grn"):
        settle_place(ONE)
    assert "one process trains, although SLURM_NTASKS=4 is set, because one was asked for" in caplog.text
    caplog.clear()
    settle_place(FOUR)
    settle_place(None)
    assert caplog.text == ""
