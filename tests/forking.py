"""Runs `grn` in forked children of one process that has imported everything: a tenth of the time of a fresh process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Ended:
    """How a child ended."""

    code: int
    output: str
    log: Path  # what it and those that it started print, also later


def _kill(number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


class Server:
    """The other end of forking_server.py."""

    def __init__(self, scratch: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "COLUMNS": "200"}
        program = [sys.executable, str(Path(__file__).with_name("forking_server.py"))]
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
        draw: bool = False,
    ) -> Ended:
        """`grn ARGUMENTS` in a folder; `during` gets the child's number; after `limit` seconds it counts as hanging.

        Without `draw` figures are empty images, where they are not the point: drawing takes most of the time of a
        short run.
        """
        self.calls += 1
        log = self.scratch / f"{self.calls}.log"
        request = {"folder": str(folder), "log": str(log), "fault": fault, "arguments": arguments, "files": files}
        request["draw"] = draw
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
        return Ended(code, log.read_text(errors="replace"), log)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
