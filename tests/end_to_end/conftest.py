"""Run `grn` as a user does: the console script, in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import grn
from grn.network import GeneNetwork

# Enough for a network with structure, done in a second.
SHORT = ("training.epochs=6", "training.steps_per_epoch=5")


def console_script() -> str:
    """The `grn` that was installed with this interpreter."""
    folder = Path(sys.executable).parent
    name = "grn.exe" if sys.platform == "win32" else "grn"
    assert (folder / name).exists(), "install the package into the environment that runs the tests"
    return str(folder / name)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`grn ARGUMENTS` in `folder`, with what it prints in one stream."""
    # One thread each: tests run side by side.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        [console_script(), *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """What the process printed; the test fails where it failed."""
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="session")
def short() -> tuple[str, ...]:
    """Settings of the short runs."""
    return SHORT


@pytest.fixture
def begin() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start`, with the processes killed at the end of a test that did not wait for them."""
    running: list[subprocess.Popen[str]] = []

    def run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        running.append(start(folder, *arguments))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def run_grn() -> Callable[..., str]:
    """Call `grn ARGUMENTS` in a folder, wait, and return what it printed."""
    return lambda folder, *arguments: finish(start(folder, *arguments))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, run_grn: Callable[..., str]) -> Path:
    """Folder of a short run on krumsiek11; tests only read it."""
    folder = tmp_path_factory.mktemp("trained")
    run_grn(folder, "train", "data=krumsiek11", "name=first", *SHORT)
    return folder / "outputs" / "first"


@pytest.fixture
def train_here(tmp_path: Path) -> Callable[..., GeneNetwork]:
    """The job of `grn train` in this process, in a folder of `tmp_path`: quick, where the command is not the point."""

    def run(name: str, *overrides: str) -> GeneNetwork:
        from grn.config import compose, validate
        from grn.pipeline import train

        cfg = compose("train", ["data=krumsiek11", f"name={name}", *SHORT, *overrides])
        validate(cfg, "train")
        (tmp_path / name).mkdir(exist_ok=True)
        network = train(cfg, tmp_path / name)
        assert network is not None
        return network

    return run


@pytest.fixture
def krumsiek() -> Any:
    """The data of the runs."""
    return grn.datasets.krumsiek11()
