"""SIGTERM, SIGHUP and SIGINT: an end within seconds, the signal's exit code, one line that says how to go on."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grn.network import GeneNetwork

TINY = ("data=krumsiek11", "training.epochs=2", "training.steps_per_epoch=2", "network.formats=[tsv]")
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
NAMES = {signal.SIGTERM: "by SIGTERM", signal.SIGHUP: "by SIGHUP", signal.SIGINT: "from the keyboard"}
WHOLE = os.environ.get("GRN_FAULTS") == "whole"


def the_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("Stopped ")]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    return lines[0]


def signals_at(moments: list[int]) -> list[tuple[int, signal.Signals]]:
    numbers = list(CODES)
    return [(moment, numbers[place % 3]) for place, moment in enumerate(moments)]


@pytest.mark.parametrize(("at", "number"), signals_at(list(range(2, 100, 3)) if WHOLE else [6, 17, 32]))
def test_a_stopped_run_goes_on_to_the_same_network(
    child: Callable, finished: Path, tmp_path: Path, tally: Callable, at: int, number: signal.Signals
) -> None:
    """The moment `at` is a write: in the folder's claim, in an epoch, among the results."""
    ended = child(
        tmp_path, "train", "name=stopped", *TINY, fault={"name": "signal", "at": at, "number": number, "again": []}
    )
    tally("survived" if ended.code == CODES[number] else "lost", ended)
    line = the_line(ended.output)
    assert line.startswith(f"Stopped {NAMES[number]}. ")
    shell = shlex.split(line.rpartition(": ")[2])
    assert shell[:2] == ["grn", "train"]
    again = child(tmp_path, *shell[1:])
    assert again.code == 0, again.output
    whole, stopped = finished / "outputs" / "whole", tmp_path / "outputs" / "stopped"
    for name in ("network.tsv", "metrics.csv"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name
    GeneNetwork.read(stopped)
    assert (stopped / "report.html").exists()


def test_a_command_without_a_folder(child: Callable, finished: Path, tmp_path: Path, tally: Callable) -> None:
    """Whatever stood at the output stands there; the line says so and repeats the command."""
    network = str(finished / "outputs" / "whole")
    (tmp_path / "out (1).tsv").write_text("of the user")
    command = ("export", f"network={network}", "output=out (1).tsv")
    for at, number in signals_at([1, 2, 3]):
        fault = {"name": "signal", "at": at, "number": number, "again": []}
        ended = child(tmp_path, *command, fault=fault)
        whole = (tmp_path / "out (1).tsv").read_text() == "of the user"
        left = [path.name for path in tmp_path.iterdir()] == ["out (1).tsv"]
        tally("survived" if whole and left and ended.code == CODES[number] else "lost", ended)
        line = the_line(ended.output)
        assert line.startswith(f"Stopped {NAMES[number]}. Nothing was written. To start again: grn export ")
    assert child(tmp_path, *shlex.split(line.rpartition(": ")[2])[1:]).code == 0
    assert (tmp_path / "out (1).tsv").read_text() != "of the user"


def test_what_was_replaced_comes_back(child: Callable, tmp_path: Path, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path / "outputs" / "whole")
    fault = {"name": "signal", "at": 12, "number": signal.SIGTERM, "again": []}
    ended = child(tmp_path, "train", "name=whole", "overwrite=true", *TINY, fault=fault)
    assert ended.code == 143
    assert "The finished run in outputs/whole is as it was. To start again: grn train name=whole " in the_line(
        ended.output
    )
    assert contents(tmp_path / "outputs" / "whole") == before


@pytest.mark.parametrize("again", [(), (signal.SIGINT,)])
def test_a_call_that_no_handler_interrupts(child: Callable, tmp_path: Path, tally: Callable, again: tuple[int]) -> None:
    """A second thread ends the process: after a while, or at once where the keyboard asks twice."""

    def stop(number: int) -> None:
        assert wait_for(lambda: any(tmp_path.glob(".half.txt.*/half.txt")))
        for one in (signal.SIGINT, *again):
            os.kill(number, one)

    ended = child(tmp_path, "train", "name=stuck", *TINY, fault={"name": "stuck", "seconds": 60}, during=stop)
    tally("survived" if ended.code == 130 and not list(tmp_path.glob(".half*")) else "lost", ended)
    assert the_line(ended.output) == "Stopped from the keyboard. To go on: grn train name=stuck resume=true"


def test_a_signal_that_is_ignored_stays_ignored(child: Callable, finished: Path, tmp_path: Path) -> None:
    """As under nohup."""
    command = ("export", f"network={finished / 'outputs' / 'whole'}", "output=out.tsv")
    ended = child(tmp_path, *command, fault={"name": "ignored", "number": signal.SIGHUP})
    assert ended.code == 0, ended.output
    assert (tmp_path / "out.tsv").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
