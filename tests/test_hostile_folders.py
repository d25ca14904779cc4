"""A run's folder of a stranger: each entry of its files changed, files of another kind, links that lead out of it."""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grn._errors import InputError
from grn._lock import hold, let_go
from grn._stored import read_record, read_settings
from grn.config import compose, validate
from grn.config.registry import PLACES
from grn.network import GeneNetwork
from grn.plotting import write_report
from grn.plotting.report import page
from grn.run_folder import PRODUCTS, claim, resumed, save_config
from tests.plotting.test_report import RECORD

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 10**30, 1.5, float("nan"), "", "x<script>alert(1)</script>", "../../../etc/passwd"),
    *([], [None], {}, {"_target_": "os.system", "_args_": ["touch ran"]}, {"x": {"y": "z"}}),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in a tree of dictionaries and lists, inner and outer ones."""
    if path:
        yield path
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from places(node[key], (*path, key))


def changes(whole: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any, dict[str, Any]]]:
    """The tree with one value replaced or taken away: for every place four of `VALUES`, each in its turn."""
    values = itertools.cycle((*VALUES, ...))
    for path in places(whole):
        for value in itertools.islice(values, 4):
            found = copy.deepcopy(whole)
            holder: Any = found
            for key in path[:-1]:
                holder = holder[key]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            yield path, value, found


def settings(*overrides: str) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(compose("train", ["data=krumsiek11", *overrides]), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "theirs"
    folder.mkdir(parents=True)
    GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"]).write(folder / "network.parquet")
    return folder


def test_every_entry_of_the_record_changed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "figures", lambda network, record: [])
    refused = told = 0
    for path, value, record in changes({**RECORD, "config": settings()}):
        (run / "run.json").write_text(json.dumps(record))
        try:
            text = write_report(run).read_text(encoding="utf-8")
        except InputError:
            refused += 1
        except Exception as error:
            pytest.fail(f"{path} = {value!r}: {type(error).__name__}: {error}")
        else:
            assert "<script>alert" not in text
            told += 1
    assert refused > 20
    assert told > 100


def test_every_stored_setting_changed(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    now = compose("train", ["data=krumsiek11"])
    registered = {target for place in PLACES.values() for target in place.entries}
    refused = taken = 0
    for path, value, stored in changes(settings()):
        save_config(tmp_path, {"config": OmegaConf.create(stored)})
        try:
            found = resumed(tmp_path, now, ["resume=true"])
            validate(found, "train")
        except InputError:
            refused += 1
            continue
        except Exception as error:
            pytest.fail(f"{path} = {value!r}: {type(error).__name__}: {error}")
        taken += 1
        plain = OmegaConf.to_container(found, resolve=True)
        assert set(_targets(plain)) <= registered, (path, value)
    assert refused > 100
    assert taken > 20


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for child in node.values():
            yield from _targets(child)


ALIASES = "a: &a [x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in itertools.pairwise("abcdefgh"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: ${oc.env:HOME}\n", "data refers to another value"),
        ("data: {path: ['${name}']}\n", r"data.path\[0\] refers to another value"),
        ("'${oc.env:HOME}': 1\n", "refers to another value"),
        ("a: !!python/object/apply:os.system ['touch ran']\n", "cannot be read as the settings"),
        (ALIASES, "it holds an alias"),
        ("- 1\n- 2\n", "does not hold the settings"),
        ("a: [", "cannot be read as the settings"),
        ("[" * 200_000, "nested more than 50 levels"),
        ("a: ${\n", "refers to another value|cannot be read"),
        ("a: 1\n" + "#" * (1 << 20), "at most"),
    ],
)
def test_settings_of_another_kind(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_settings(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "not readable as JSON"),
        (b"{", "not readable as JSON"),
        (b"[1]", "holds no record"),
        (b"\xff\xfe{", "no text"),
        (b"", "not readable as JSON"),
    ],
)
def test_records_of_another_kind(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_record(tmp_path)


def test_a_stored_setting_is_what_a_variable_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was started with `${oc.env:...}` is resumed with what that was, not with what it is now."""
    from omegaconf import OmegaConf

    monkeypatch.setenv("WHERE", "there.h5ad")
    cfg = compose("train", ["data=h5ad", "data.path=${oc.env:WHERE}"])
    save_config(tmp_path, {"config": cfg})
    monkeypatch.delenv("WHERE")
    stored = read_settings(tmp_path / ".hydra" / "config.yaml")
    assert OmegaConf.select(stored, "data.path") == "there.h5ad"


NAMES = (".lock", ".moving", ".replaced", *(pattern.replace("*", "train") for pattern in PRODUCTS))


def _start(folder: Path, **options: bool) -> None:
    try:
        hold(folder)
        claim(folder, **options)
    finally:
        let_go(folder)


@pytest.mark.parametrize("target", ["folder", "file", "nothing"])
@pytest.mark.parametrize("name", NAMES)
def test_no_link_is_followed_out_of_the_folder(name: str, target: str, tmp_path: Path) -> None:
    """Not to write, not to rename, not to remove: what a link leads to stays as it was."""
    if not hasattr(os, "symlink"):
        pytest.skip("this system has no links")
    mine, theirs = tmp_path / "mine", tmp_path / "outputs" / "theirs"
    mine.mkdir()
    theirs.mkdir(parents=True)
    (mine / "diary.txt").write_text("secret")
    leads = {"folder": mine, "file": mine / "diary.txt", "nothing": mine / "absent"}[target]
    (theirs / name).symlink_to(leads)
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="is a link to"):
            _start(theirs, **options)
    assert [path.name for path in mine.iterdir()] == ["diary.txt"]
    assert (mine / "diary.txt").read_text() == "secret"
    assert [path.name for path in theirs.iterdir()] in ([name], sorted([".lock", name]))


def test_a_link_in_the_place_of_a_log(tmp_path: Path) -> None:
    import logging

    from grn.console import LogFile

    (tmp_path / "diary.txt").write_text("secret")
    (tmp_path / "train.log").symlink_to(tmp_path / "diary.txt")
    handler = LogFile(tmp_path / "train.log", delay=True, encoding="utf-8")
    with pytest.raises(InputError, match="is a link to"):
        handler.emit(logging.LogRecord("grn", logging.INFO, __file__, 1, "a line", None, None))
    assert (tmp_path / "diary.txt").read_text() == "secret"


def test_a_run_folder_that_is_a_link_itself_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "scratch")
    _start(tmp_path / "run")
    assert (tmp_path / "scratch").is_dir()
