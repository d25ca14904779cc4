"""The console script: choosing the command, help, completion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from grn.commands.main import COMMANDS


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command(grn_command: Callable, arguments: tuple[str, ...]) -> None:
    done = grn_command(*arguments)
    assert done.code == 0
    assert all(f"  {name}" in done.out and purpose in done.out for name, purpose in COMMANDS.items())


def test_version(grn_command: Callable) -> None:
    assert grn_command("--version").out.startswith("grn 0.")


def test_unknown_command(grn_command: Callable) -> None:
    done = grn_command("evalute")
    assert done.code == 2
    assert "there is no command 'evalute'. Did you mean 'evaluate'?" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_hydras_help(grn_command: Callable, command: str) -> None:
    done = grn_command(command, "--help")
    assert done.code == 0
    assert done.out.startswith(f"grn {command}: ")
    assert "Settings" in done.out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_prints_its_configuration(grn_command: Callable, command: str) -> None:
    done = grn_command(command, "--cfg", "job")
    assert done.code == 0
    assert ": " in done.out
    assert "hydra:" not in done.out


def test_options_may_stand_anywhere(grn_command: Callable) -> None:
    done = grn_command("train", "data=krumsiek11", "--cfg", "job", "seed=5", "--resolve")
    assert done.code == 0
    assert "seed: 5" in done.out
    assert "name: krumsiek11" in done.out


def test_info_without_a_value(grn_command: Callable) -> None:
    done = grn_command("train", "seed=5", "--info")
    assert done.code == 0
    assert "seed: 5" in done.out


def test_completion_is_installed_for_the_console_script(grn_command: Callable) -> None:
    for arguments in (("-sc", "install=bash"), ("train", "-sc", "install=bash")):
        done = grn_command(*arguments)
        assert done.code == 0
        assert done.out.rstrip().endswith("-F hydra_bash_completion grn")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("grn tr", "train"),
        ("grn ", "doctor"),
        ("grn train data=pbm", "data=pbmc3k"),
        ("grn train see", "seed="),
        ("grn train data=h5ad data.ba", "data.backed="),
        ("grn evaluate can", "candidates="),
        ("grn unknown x", ""),
    ],
)
def test_completion(grn_command: Callable, monkeypatch: pytest.MonkeyPatch, line: str, expected: str) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    done = grn_command("-sc", "query=bash")
    assert done.code == 0
    assert expected in done.out.split() or expected == done.out.strip()


def test_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "grn.commands.evaluate", "--cfg", "job"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "candidates: all_genes" in done.stdout
