"""`~`, `~name` and `$HOME` in every path that a user writes: in commands, in configuration files, in Python."""

from __future__ import annotations

import dataclasses
import getpass
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn._files import user_path
from grn.config import compose, expand_paths, prepare_override, validate
from grn.config.paths import paths_of
from grn.config.schema import COMMANDS
from grn.config.types import members_of
from grn.data.tfs import read_tf_file
from grn.evaluation.reference import read_reference
from grn.network import GeneNetwork
from grn.plotting import save
from grn.prior import read_prior

# Settings of these names hold a path wherever they stand.
NAMES = {"path", "run", "reference", "genes", "output", "network", "other", "root", "folder", "cache"}
NO_PATHS = {name: set[str]() for name in COMMANDS}
NO_PATHS["train"] = {"model.views.genes"}  # the noise of a view
NO_PATHS["differential"] = {"reference"}  # a group of cells
for one in ("train", "infer"):
    NO_PATHS[one].add("network")  # a node of its own
# How a command gets a value at each of its path settings.
GIVEN = {
    "train": ["data=h5ad", "data.path=~/a.h5ad", "prior=file", "prior.path=$HOME/b.csv"],
    "infer": ["run=~/a", "prior=file", "prior.path=~/b.csv", "data=beeline", "data.folder=~/c"],
    "evaluate": ["network=~/a", "reference=~/b", "genes=~/c", "output=~/d"],
    "export": ["network=~/a", "output=~/b"],
    "report": ["run=~/a", "output=~/b"],
    "compare": ["network=~/a", "other=~/b", "output=~/c"],
    "activity": ["network=~/a", "data=file", "data.path=~/b", "output=~/c"],
    "differential": ["data=h5ad", "data.path=~/a", "output=~/b", "group_by=c", "reference=~d"],
    "perturb": ["network=~/a", "data=h5ad", "data.path=~/b", "output=~/c", "ko=~d"],
    "simulate": ["output=~/a", "reference=~/b"],
    "benchmark": ["data.root=~/a"],
    "doctor": [],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.chdir(work)
    yield folder
    assert not list(work.iterdir())  # above all no folder called ~


def every_setting(schema: type, prefix: str = "") -> Iterator[str]:
    for name, annotation in typing.get_type_hints(schema).items():
        nested = next((one for one in members_of(annotation) if dataclasses.is_dataclass(one)), None)
        if nested is not None:
            yield from every_setting(typing.cast(type, nested), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_path_of_every_command(command: str, home: Path) -> None:
    cfg = compose(command, GIVEN[command])
    validate(cfg, command)
    marked = set(paths_of(COMMANDS[command], cfg))
    named = {key for key in every_setting(COMMANDS[command]) if key.rpartition(".")[2] in NAMES}
    assert named - marked <= NO_PATHS[command]
    expand_paths(cfg, command)
    for override in GIVEN[command]:
        key, _, value = override.partition("=")
        if key in marked:
            node: Any = cfg
            for part in key.split("."):
                node = node[part]
            assert node == re.sub(r"^(~|\$HOME)", str(home), value), key
        elif value.startswith("~"):
            assert cfg[key] == value  # a group may be called ~d


def test_what_it_stands_for(home: Path, tmp_path: Path) -> None:
    assert user_path("~/a") == user_path("$HOME/a") == user_path(Path("~/a")) == home / "a"
    assert user_path(f"~{getpass.getuser()}/a") == Path(f"~{getpass.getuser()}").expanduser() / "a"
    assert user_path("~no_such_user_here/a") == Path("~no_such_user_here/a")
    assert user_path("$NO_SUCH_VARIABLE/a") == Path("$NO_SUCH_VARIABLE/a")
    (tmp_path / "$HOME").write_text("")
    assert user_path(tmp_path / "$HOME") == tmp_path / "$HOME"


def test_the_folders_that_hydra_makes(home: Path) -> None:
    assert prepare_override("hydra.run.dir=~/a") == f"hydra.run.dir={home}/a"
    assert prepare_override("hydra.sweep.dir=$HOME/a") == f"hydra.sweep.dir={home}/a"


def test_python(home: Path) -> None:
    counts = anndata.AnnData(np.eye(4, dtype=np.float32))
    network = GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"])
    network.write("~/n.tsv")
    assert GeneNetwork.read("$HOME/n.tsv").genes.tolist() == ["A", "B", "C"]
    assert grn.pl.report(network, "~/r.html") == home / "r.html"
    assert save(grn.pl.network(network), "~/figures/n.png") == home / "figures" / "n.png"
    counts.write_h5ad(home / "a.h5ad")
    assert grn.data.read_expression("~/a.h5ad").shape == counts.shape
    (home / "t.csv").write_text("source,target,sign,weight\nA,B,1,1\n")
    assert len(read_reference("~/t.csv")) == len(read_prior("~/t.csv")) == 1
    (home / "tfs.txt").write_text("A\n")
    assert read_tf_file("~/tfs.txt") == ["A"]
    folder = home / "set"
    folder.mkdir()
    pd.DataFrame(np.eye(2), index=["A", "B"], columns=["c1", "c2"]).to_csv(folder / "ExpressionData.csv")
    assert grn.datasets.beeline("~/set").shape == (2, 2)


def test_a_command(home: Path, grn_command: Callable[..., Any]) -> None:
    GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"]).write(home / "n.parquet")
    done = grn_command("export", "network=~/n.parquet", "output=~/out/n.tsv")
    assert done.code == 0, done.err
    assert (home / "out" / "n.tsv").exists()
