"""Run commands as the console script does, in a folder of their own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def grn_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Call `grn ARGUMENTS` in this process, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    # Wide enough that no table is folded.
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", list(sys.path))
    root = logging.getLogger()
    handlers, levels = (
        list(root.handlers),
        [(logger, logger.level) for logger in (root, logging.getLogger("grn"))],
    )

    def call(*arguments: str) -> Done:
        from grn.commands.main import main

        monkeypatch.setattr(sys, "argv", ["grn", *arguments])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    yield call
    root.handlers[:] = handlers
    for logger, level in levels:
        logger.setLevel(level)


@pytest.fixture
def fake_pipeline(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A pipeline that trains nothing: it notes its calls and returns a small network."""
    import grn
    from grn._processes import is_first_process
    from grn.network import GeneNetwork

    fake = SimpleNamespace(calls=[], network=None, action=None)

    def run(cfg: Any, folder: Path) -> GeneNetwork | None:
        fake.calls.append((cfg, folder))
        if fake.action is not None:
            fake.action(cfg, folder)
        if not is_first_process():
            return None
        return GeneNetwork.from_matrix(np.array([[0, 0.5, -0.2]]), ["A"], ["A", "B", "C"])

    fake.train = fake.infer_command = run
    monkeypatch.setitem(sys.modules, "grn.pipeline", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(grn, "pipeline", fake, raising=False)
    return fake
