"""Faults on purpose: commands in forked children, and what was injected, survived and lost, counted."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from forking import Ended, Server

from grn._provenance import commit, machine, versions

TINY = ("data=krumsiek11", "training.epochs=2", "training.steps_per_epoch=2", "network.formats=[tsv]")
WHOLE = os.environ.get("GRN_FAULTS") == "whole"
_figures: dict[str, Counter[str]] = {}


@pytest.fixture(scope="session")
def child(forked: Server) -> Callable[..., Ended]:
    """Runs `grn` in a forked child: `child(folder, *arguments, fault=...)`; figures are drawn by `make faults` only."""
    return functools.partial(forked, draw=WHOLE)


@pytest.fixture(scope="session")
def finished(child: Callable[..., Ended], tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    origin = {
        "command": "make faults",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }
    path.write_text(json.dumps({**origin, "faults": rows}, indent=1) + "\n")
    for name, row in rows.items():
        sys.stdout.write(f"\n{name:55}" + "".join(f"{key} {value:5}  " for key, value in row.items()))
