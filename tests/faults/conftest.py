"""Faults on purpose: commands in forked children, and what was injected, survived and lost, counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

TINY = ("data=krumsiek11", "training.epochs=2", "training.steps_per_epoch=2", "network.formats=[tsv]")
WHOLE = os.environ.get("GRN_FAULTS") == "whole"
_figures: dict[str, Counter[str]] = {}


@dataclass
class Ended:
    """How a child ended."""

    code: int
    output: str


def _kill(number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


class Server:
    """The other end of server.py."""

    def __init__(self, scratch: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "COLUMNS": "200"}
        program = [sys.executable, str(Path(__file__).with_name("server.py"))]
        self.process = subprocess.Popen(
            program, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.scratch, self.calls = scratch, 0
        assert self._answer() == "ready"

    def __call__(
        self,
        folder: Path,
        *arguments: str,
        fault: dict[str, Any] | None = None,
        files: tuple[str, ...] = (),
        limit: float = 120,
        during: Callable[[int], object] = lambda number: None,
    ) -> Ended:
        """`grn ARGUMENTS` in a folder; `during` gets the child's number; after `limit` seconds it counts as hanging."""
        self.calls += 1
        log = self.scratch / f"{self.calls}.log"
        request = {"folder": str(folder), "log": str(log), "fault": fault, "arguments": arguments, "files": files}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        child = self._answer()
        guard = threading.Timer(limit, _kill, [child])
        guard.start()
        try:
            during(child)
        finally:  # the answer comes in any case, and the next call must not take it for its own
            code = self._answer()
            guard.cancel()
        return Ended(code, log.read_text(errors="replace"))

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="session")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Runs `grn` in a forked child: `child(folder, *arguments, fault=...)`."""
    if not hasattr(os, "fork"):
        pytest.skip("faults are tried in forked processes")
    server = Server(tmp_path_factory.mktemp("logs"))
    yield server
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.process.wait(timeout=30)


@pytest.fixture(scope="session")
def finished(child: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `grn train name=whole` ran to its end; tests copy what they change."""
    folder = tmp_path_factory.mktemp("finished")
    ended = child(folder, "train", "name=whole", *TINY)
    assert ended.code == 0, ended.output
    return folder


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """`tally("survived")` or `tally("lost", where)` for each fault that was injected; a lost one fails the test."""
    counts = _figures.setdefault(request.node.originalname, Counter())
    lost: list[object] = []

    def count(result: str, where: object = "") -> None:
        counts["injected"] += 1
        counts[result] += 1
        if result == "lost":
            lost.append(where)

    yield count
    assert not lost, f"{len(lost)} faults lost something: {lost}"


def pytest_sessionfinish() -> None:
    """Under `make faults`: the figures as a table and as JSON."""
    folder = os.environ.get("GRN_FAULTS_RESULTS")
    if not (WHOLE and folder and _figures):
        return
    total: Counter[str] = sum(_figures.values(), Counter())
    rows = {name: {key: counts[key] for key in ("injected", "survived", "lost")} for name, counts in _figures.items()}
    rows["all"] = {key: total[key] for key in ("injected", "survived", "lost")}
    path = Path(folder) / f"faults-{date.today():%Y%m%d}.json"
    path.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "faults": rows}, indent=1) + "\n")
    for name, row in rows.items():
        sys.stdout.write(f"\n{name:55}" + "".join(f"{key} {value:5}  " for key, value in row.items()))
