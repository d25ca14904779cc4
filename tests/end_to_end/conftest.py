"""Run `grn` as a user does, in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forking import Server
from forking_server import draw_nothing

import grn
from grn.network import GeneNetwork

# Enough for a network with structure, done in a second.
SHORT = ("training.epochs=6", "training.steps_per_epoch=5")
# What the script of a job of Slurm, another program and a cell of Jupyter leave to what they start.
LEFT_OVER = {
    **{"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
    **{"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1"},
    **{"MPLBACKEND": "module://matplotlib_inline.not_there"},
}


def console_script(folder: Path, *arguments: str) -> str:
    """What the `grn` that was installed with this interpreter prints, called in a folder."""
    script = Path(sys.executable).with_name("grn.exe" if sys.platform == "win32" else "grn")
    assert script.exists(), "install the package into the environment that runs the tests"
    # One thread: tests run side by side.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **LEFT_OVER}
    done = subprocess.run(
        [script, *arguments], cwd=folder, env=environment, text=True, timeout=120, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def short() -> tuple[str, ...]:
    """Settings of the short runs."""
    return SHORT


@pytest.fixture(scope="session")
def run_grn(forked: Server) -> Callable[..., str]:
    """Call `grn ARGUMENTS` in a folder, wait, and return what it printed."""

    def run(folder: Path, *arguments: str, **options: Any) -> str:
        ended = forked(folder, *arguments, **options)
        assert ended.code == 0, ended.output
        return ended.output

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a short run on krumsiek11, by the console script as a user calls it; tests only read it."""
    folder = tmp_path_factory.mktemp("trained")
    output = console_script(folder, "train", "data=krumsiek11", "name=first", *SHORT)
    assert "Strongest edges" in output
    return folder / "outputs" / "first"


@pytest.fixture
def train_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GeneNetwork]:
    """The job of `grn train` in this process, in a folder of `tmp_path`: quick, where the command is not the point.

    Figures are empty images: drawing them would take most of the time.
    """
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", draw_nothing)

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
