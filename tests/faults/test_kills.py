"""SIGKILL at any moment: every file that is left is whole, and a resumed run is an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from grn.network import GeneNetwork
from grn.training.checkpoints import load_checkpoint

TINY = ("data=krumsiek11", "training.epochs=2", "training.steps_per_epoch=2", "network.formats=[tsv]")
WHOLE = os.environ.get("GRN_FAULTS") == "whole"

COMMANDS = {
    "train": ("train", "name=killed", *TINY),
    "infer": ("infer", "run={}", "name=killed", "network.formats=[tsv,graphml,h5ad]"),
    "export": ("export", "network={}", "output=killed.h5ad"),
    "report": ("report", "run={}", "output=killed.html"),
}


_read: set[tuple[str, bytes]] = set()  # the moments of a run share most files


def read_whole(path: Path) -> None:
    """Raises where a file is not what its reader expects, from its beginning to its end."""
    if path.suffix == ".ckpt":
        assert load_checkpoint(path)["grn"]["genes"]
    elif path.suffix in (".parquet", ".tsv", ".graphml", ".h5ad"):
        assert len(GeneNetwork.read(path))
    elif path.suffix == ".csv":
        assert pd.read_csv(path).notna().all().all()
        assert path.read_text().endswith("\n")
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".yaml":
        assert OmegaConf.load(path) is not None
    elif path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    else:
        assert path.suffix == ".log", f"{path.name} was not expected"


def whole(folder: Path) -> bool:
    """Whether all that stands under its own name can be read; what was being written stands under a hidden one."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") and part != ".hydra" for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            content = (path.suffix, path.read_bytes())
            if content not in _read:
                read_whole(path)
                _read.add(content)
    return True


def same(folder: Path, expected: Path) -> bool:
    """Whether a run has the files of another, the network and the losses byte for byte."""
    names = {path.relative_to(expected) for path in expected.rglob("*") if path.is_file()}
    equal = [(folder / name).read_bytes() == (expected / name).read_bytes() for name in ("network.tsv", "metrics.csv")]
    return all(equal) and {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} >= names


def state(folder: Path) -> frozenset[tuple[str, int]]:
    return frozenset(
        (str(path.relative_to(folder)), path.stat().st_size) for path in folder.rglob("*") if path.is_file()
    )


def resume(child: Callable, folder: Path) -> str:
    """Go on with the run, or begin it where there is nothing to go on with."""
    started = (folder / "outputs" / "killed" / ".hydra" / "config.yaml").exists()
    ended = child(folder, "train", "name=killed", *(("resume=true",) if started else TINY))
    assert ended.code == 0, ended.output
    return ended.output


def test_every_moment_of_a_run(child: Callable, finished: Path, tmp_path: Path, tally: Callable) -> None:
    """What a kill before each write leaves is whole; from a choice of them, the run goes on to the same network."""
    (tmp_path / "work").mkdir()
    (tmp_path / "moments").mkdir()
    fault = {"name": "snapshot", "into": str(tmp_path / "moments")}
    assert child(tmp_path / "work", *COMMANDS["train"], fault=fault).code == 0
    moments = sorted((tmp_path / "moments").iterdir())
    assert len(moments) > 40
    for moment in moments:
        tally("survived" if whole(moment) else "lost", moment)
    different = list({state(moment): moment for moment in moments}.values())
    chosen = different if WHOLE else [different[place] for place in (len(different) // 3, -2)]
    for moment in chosen:
        resume(child, moment)
        right = same(moment / "outputs" / "killed", finished / "outputs" / "whole")
        tally("survived" if right and whole(moment) else "lost", moment)


@pytest.mark.parametrize("command", ["infer", "export", "report"])
def test_every_moment_of(child: Callable, finished: Path, tmp_path: Path, tally: Callable, command: str) -> None:
    """Whatever stood at the output stands there until the new file is whole."""
    (tmp_path / "work").mkdir()
    (tmp_path / "moments").mkdir()
    for name in ("killed.h5ad", "killed.html"):
        (tmp_path / "work" / name).write_text("of the user")
    arguments = [part.format(finished / "outputs" / "whole") for part in COMMANDS[command]]
    fault = {"name": "snapshot", "into": str(tmp_path / "moments")}
    assert child(tmp_path / "work", *arguments, fault=fault).code == 0
    moments = sorted((tmp_path / "moments").iterdir())
    assert moments
    for moment in moments:
        old = {path for path in moment.glob("killed.*") if path.read_bytes() == b"of the user"}
        for path in old:
            path.unlink()
        tally("survived" if old and whole(moment) else "lost", moment)
    assert whole(tmp_path / "work" / "outputs") if command == "infer" else True


@pytest.mark.parametrize("command", COMMANDS if WHOLE else ["train", "export"])
@pytest.mark.parametrize("draw", range(15 if WHOLE else 1))
def test_killed_at_a_random_time(
    child: Callable, finished: Path, tmp_path: Path, tally: Callable, command: str, draw: int
) -> None:
    """Also where libraries write, which no hook of Python sees."""
    after = random.Random(f"{command} {draw}").uniform(0.05, {"train": 2.5, "infer": 1.5}.get(command, 0.8))
    arguments = [part.format(finished / "outputs" / "whole") for part in COMMANDS[command]]

    def kill(number: int) -> None:
        threading.Event().wait(after)
        with suppress(ProcessLookupError):  # it may have ended before: then all must be there
            os.kill(number, signal.SIGKILL)

    child(tmp_path, *arguments, during=kill)
    tally("survived" if whole(tmp_path) else "lost", (command, after))
    if command == "train":
        resume(child, tmp_path)
        tally(
            "survived" if same(tmp_path / "outputs" / "killed", finished / "outputs" / "whole") else "lost",
            (command, after),
        )
    elif not (tmp_path / "outputs" / "killed" / "run.json").exists():
        assert child(tmp_path, *arguments).code == 0
        tally("survived" if whole(tmp_path) else "lost", (command, after))
    shutil.rmtree(tmp_path)
