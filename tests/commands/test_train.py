"""`grn train`: the run folder, sweeps, relaunches, and what goes wrong. The pipeline itself is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from grn._errors import InputError


def test_a_run_gets_its_folder(grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path) -> None:
    done = grn_command("train", "data=krumsiek11", "name=first", "seed=3")
    assert done.code == 0, done.err
    ((cfg, folder),) = fake_pipeline.calls
    assert folder == tmp_path / "outputs" / "first"
    assert (cfg.seed, cfg.data.name, cfg.tf) == (3, "krumsiek11", "all")
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").seed == 3
    assert list(OmegaConf.load(folder / ".hydra" / "overrides.yaml")) == [
        "data=krumsiek11",
        'name="first"',
        "seed=3",
    ]
    assert OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.job.name == "train"
    assert "Strongest edges" in done.out
    assert "represses" in done.out
    assert "outputs/first" in done.out


def test_without_a_name_the_folder_says_data_and_time(grn_command: Callable, fake_pipeline: SimpleNamespace) -> None:
    assert grn_command("train", "data=krumsiek11").code == 0
    ((_, folder),) = fake_pipeline.calls
    prefix, date, time, token = folder.name.split("-")
    assert (prefix, len(date), len(time), len(token)) == ("krumsiek11", 8, 6, 6)


@pytest.mark.parametrize("name", ["a/b", "two words", "../up", ".hidden", "ümlaut", "a" * 101, "end."])
def test_odd_names_are_refused(
    grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path, name: str
) -> None:
    done = grn_command("train", f"name={name}")
    assert done.code == 2
    assert "The run" in done.err
    assert "Traceback" not in done.err
    assert not fake_pipeline.calls
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_not_overwritten_by_accident(
    grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path
) -> None:
    fake_pipeline.action = lambda cfg, folder: (folder / "run.json").write_text("{}")
    assert grn_command("train", "name=x", "seed=1").code == 0
    done = grn_command("train", "name=x", "seed=2")
    assert done.code == 1
    assert "holds a finished run: give another name=..., or overwrite=true to replace it" in done.err
    folder = tmp_path / "outputs" / "x"
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").seed == 1
    assert grn_command("train", "name=x", "seed=2", "overwrite=true").code == 0
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").seed == 2


def test_users_errors_are_one_message(grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path) -> None:
    def refuse(cfg: object, folder: object) -> None:
        raise InputError("The matrix holds [NaN].")

    fake_pipeline.action = refuse
    done = grn_command("train", "name=x")
    assert (done.code, done.err.strip()) == (1, "Error: The matrix holds [NaN].")
    traced = grn_command("train", "name=y", "debug=trace")
    assert traced.code == 1
    assert "Traceback" in traced.err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.h5ad"), "No such file or directory: a.h5ad"),
        (PermissionError(13, "Permission denied", "b.h5ad"), "Permission denied: b.h5ad"),
        (OSError("unable to open file"), "unable to open file"),
    ],
)
def test_errors_of_the_file_system(
    grn_command: Callable, fake_pipeline: SimpleNamespace, error: Exception, message: str
) -> None:
    def fail(cfg: object, folder: object) -> None:
        raise error

    fake_pipeline.action = fail
    done = grn_command("train", "name=x")
    assert (done.code, done.err.strip()) == (1, f"Error: {message}")


def test_a_bug_shows_its_traceback(grn_command: Callable, fake_pipeline: SimpleNamespace) -> None:
    def fail(cfg: object, folder: object) -> None:
        raise RuntimeError("shapes differ")

    fake_pipeline.action = fail
    done = grn_command("train", "name=x")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "RuntimeError: shapes differ\nThis is a bug in grn" in done.err


def test_a_dead_peer_is_not_called_a_bug(grn_command: Callable, fake_pipeline: SimpleNamespace) -> None:
    def fail(cfg: object, folder: object) -> None:
        raise RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:7842.")

    fake_pipeline.action = fail
    done = grn_command("train", "name=x")
    assert done.code == 1
    assert "Error: another process of this run stopped" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("interrupt", ["plain", "lightning"])
def test_the_keyboard_stops_a_run(grn_command: Callable, fake_pipeline: SimpleNamespace, interrupt: str) -> None:
    def stop(cfg: object, folder: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if interrupt == "plain":
                raise
            sys.exit(1)  # what Lightning does after tidying up

    fake_pipeline.action = stop
    done = grn_command("train", "name=x")
    assert (done.code, done.err.strip()) == (130, "Stopped from the keyboard. To go on: grn train name=x resume=true")


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("data=pbmc68", 2, "data=pbmc68: there is no such choice. Did you mean 'pbmc68k'"),
        ("sed=1", 2, "sed is not a key of the configuration. Did you mean 'seed'"),
        ("seed=one", 1, "seed = 'one' (str) does not fit: expected a whole number"),
        ("+data.tff=x", 1, "data.tff is not a setting of grn.datasets.pbmc68k. Did you mean 'tf'"),
        ("seed=1,2", 2, "seed=1,2 names several values, because a comma separates them"),
        ("data=h5ad", 1, "data.path must be given"),
        ("model=null", 2, "must be a string or a list"),
        ("seed", 2, "written key=value"),
    ],
)
def test_errors_of_the_configuration(
    grn_command: Callable, fake_pipeline: SimpleNamespace, override: str, code: int, message: str
) -> None:
    done = grn_command("train", override, "name=x")
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert not fake_pipeline.calls
    assert not Path("outputs/x").exists()


def test_a_sweep_runs_every_combination(grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path) -> None:
    arguments: list[list[str]] = []
    fake_pipeline.action = lambda cfg, folder: arguments.append(list(sys.argv))
    done = grn_command("train", "-m", "seed=0,1", "tf=human,+GFP", "name=sweep")
    assert done.code == 0, done.err
    folders = [folder for _, folder in fake_pipeline.calls]
    assert folders == [tmp_path / "multirun" / "sweep" / str(job) for job in (0, 1)]
    assert [cfg.seed for cfg, _ in fake_pipeline.calls] == [0, 1]
    assert {cfg.tf for cfg, _ in fake_pipeline.calls} == {"human,+GFP"}
    assert all(OmegaConf.load(folder / ".hydra" / "config.yaml").seed == job for job, folder in enumerate(folders))
    assert all("-m" not in one for one in arguments)


def test_a_job_of_a_sweep_leaves_no_environment(grn_command: Callable, fake_pipeline: SimpleNamespace) -> None:
    """Lightning marks a process by LOCAL_RANK; the next job would take it for one started from outside."""
    seen = []

    def launch(cfg: object, folder: object) -> None:
        seen.append(os.environ.get("LOCAL_RANK"))
        os.environ["LOCAL_RANK"] = "0"

    fake_pipeline.action = launch
    assert grn_command("train", "-m", "seed=0,1").code == 0
    assert seen == [None, None]


@pytest.mark.parametrize(
    "arguments",
    [
        ("data=krumsiek11",),
        ("name=mine", "data=h5ad", "data.path=my cells (1).h5ad", "tf=human,+GFP"),
        ("data=krumsiek11", "--config-dir", "own", "seed=7"),
        ("-m", "data=krumsiek11", "seed=7"),
    ],
)
def test_a_relaunched_process_gets_the_same_run(
    grn_command: Callable,
    fake_pipeline: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
) -> None:
    """Lightning's own command for a second process, run by the shell, resolves to the first one's folder."""
    from lightning.fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd

    # As under the console script; under pytest the main module is pytest's.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    (tmp_path / "own").mkdir()
    commands = []
    fake_pipeline.action = lambda cfg, folder: commands.append(_hydra_subprocess_cmd(local_rank=1))
    assert grn_command("train", *arguments).code == 0
    ((cfg, folder),) = fake_pipeline.calls
    ((command, cwd),) = commands
    assert command[0] == sys.executable
    assert Path(command[1]).parts[-3:] == ("grn", "commands", "train.py")
    second = subprocess.run([*command, "--cfg", "all"], cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    job = OmegaConf.create(second.stdout)
    hydra = job.pop("hydra")
    assert job == OmegaConf.create(OmegaConf.to_yaml(cfg))
    assert (tmp_path / hydra.run.dir) == folder
    assert hydra.output_subdir is None
    assert hydra.mode is None or hydra.mode == "RUN"


# What Lightning, and grn, say to a process that the first one starts.
SECOND = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "GRN_FIRST_PROCESS": "1"}


def test_a_second_process_writes_nothing(
    grn_command: Callable, fake_pipeline: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECOND.items():
        monkeypatch.setenv(name, value)
    done = grn_command("train", "name=x", "trainer=ddp")
    assert done.code == 0
    assert done.out == ""
    ((_, folder),) = fake_pipeline.calls
    assert not list(folder.iterdir())


def test_errors_of_a_second_process_say_so(
    grn_command: Callable, fake_pipeline: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cfg: object, folder: object) -> None:
        raise InputError("no")

    for name, value in SECOND.items():
        monkeypatch.setenv(name, value)
    fake_pipeline.action = refuse
    assert grn_command("train", "name=x", "trainer=ddp").err.strip() == "Error: process 1: no"


def test_a_users_own_configuration_folder(
    grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nseed: 11\n")
    done = grn_command("train", "experiment=mine", "--config-dir", "own", "name=x")
    assert done.code == 0, done.err
    assert fake_pipeline.calls[0][0].seed == 11


def test_log_lines_go_to_the_screen_and_into_the_folder(
    grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path
) -> None:
    import logging

    def speak(cfg: object, folder: object) -> None:
        logging.getLogger("grn").info("layer counts chosen: it is there")
        logging.getLogger("grn").debug("not shown")
        logging.getLogger("other").info("chatter")
        logging.getLogger("lightning.pytorch").info("chatter")
        logging.getLogger("other").warning("careful")

    fake_pipeline.action = speak
    done = grn_command("train", "name=x")
    assert done.err.splitlines() == ["layer counts chosen: it is there", "warning: careful"]
    assert "layer counts chosen" in (tmp_path / "outputs" / "x" / "train.log").read_text()


def test_infer_has_a_folder_too(grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path) -> None:
    done = grn_command("infer", "run=outputs/x", "network.readout=effect", "name=again")
    assert done.code == 0, done.err
    ((cfg, folder),) = fake_pipeline.calls
    assert folder == tmp_path / "outputs" / "again"
    assert (cfg.run, cfg.data, cfg.network.readout) == ("outputs/x", None, "effect")


def test_a_failing_start_leaves_the_run_it_would_replace(
    grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path
) -> None:
    assert grn_command("train", "name=x").code == 0
    (folder,) = {folder for _, folder in fake_pipeline.calls}
    (folder / "run.json").write_text("old")

    def refuse(cfg: object, folder: object) -> None:
        raise InputError("no TF")

    fake_pipeline.action = refuse
    assert grn_command("train", "name=x", "overwrite=true").code == 1
    assert (folder / "run.json").read_text() == "old"
    assert not (folder / ".replaced").exists()


def test_infer_does_not_write_into_the_run_it_reads(grn_command: Callable, fake_pipeline: SimpleNamespace) -> None:
    assert grn_command("train", "name=x").code == 0
    done = grn_command("infer", "run=outputs/x", "name=x", "overwrite=true")
    assert done.code == 1
    assert "cannot be written into the run itself" in done.err


@pytest.mark.parametrize(
    ("key", "value"),
    [("_target_", "grn.plotting.report.facts.check_gate"), ("_target_", "os.system"), ("_args_", ["touch ran"])],
)
def test_a_resumed_config_is_checked_like_a_typed_one(
    key: str, value: object, grn_command: Callable, fake_pipeline: SimpleNamespace, tmp_path: Path
) -> None:
    assert grn_command("train", "data=krumsiek11", "name=x").code == 0
    stored = tmp_path / "outputs" / "x" / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(stored)
    OmegaConf.update(cfg, f"model.{key}", value, force_add=True)
    OmegaConf.save(cfg, stored)
    done = grn_command("train", "name=x", "resume=true")
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert len(fake_pipeline.calls) == 1  # the first run alone reached the pipeline
