"""The run folder: names, claiming, run.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from grn import _provenance
from grn._errors import InputError
from grn._provenance import command_line, commit, matrix_checksum, peak_memory, versions
from grn.config import compose, plain_config
from grn.run_folder import Stopwatch, claim, new_token, record, run_name, settle


def test_names() -> None:
    assert run_name("my_run-1.2", "x", "t") == "my_run-1.2"
    name = run_name(None, "pbmc68k", "20250101-120000")
    assert re.fullmatch(r"pbmc68k-20250101-120000-[0-9a-f]{6}", name)
    assert run_name(None, "pbmc68k", "20250101-120000") == name  # Hydra asks more than once
    new_token()
    assert run_name(None, "pbmc68k", "20250101-120000") != name
    for wrong in ("", "a b", "a/b", "-x", "é", "...", "a."):
        with pytest.raises(InputError, match=r"cannot be called .* use letters"):
            run_name(wrong, "x", "t")
    with pytest.raises(InputError, match="101 characters; at most 100"):
        run_name("a" * 101, "x", "t")


def test_claim(tmp_path: Path) -> None:
    folder = claim(tmp_path / "outputs" / "x")
    (folder / "notes.txt").write_text("mine")
    claim(folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_text("")
    with pytest.raises(InputError, match=r"unfinished run: resume=true continues it, overwrite=true starts it again"):
        claim(folder)
    claim(folder, resume=True)
    assert (folder / "checkpoints" / "last.ckpt").exists()
    (folder / "run.json").write_text("{}")
    (folder / "network.tsv").write_text("")
    with pytest.raises(InputError, match="holds a finished run"):
        claim(folder)
    with pytest.raises(InputError, match="give one of them"):
        claim(folder, resume=True, overwrite=True)
    claim(folder, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == [".replaced", "notes.txt"]
    settle(folder, failed=False)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_replaced_run_comes_back_where_the_new_one_fails_before_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("old")
    claim(tmp_path, overwrite=True)
    (tmp_path / "metrics.csv").write_text("new")
    settle(tmp_path, failed=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"run.json": "old"}
    claim(tmp_path, overwrite=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_text("new")
    settle(tmp_path, failed=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".replaced", "checkpoints"]


@pytest.mark.parametrize("fate", ["put aside", "given back"])
def test_a_run_that_is_stopped_between_two_renames_loses_nothing(
    tmp_path: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the old run's files some stand here and some there; they are not taken for those of the new one."""
    for name in ("run.json", "metrics.csv", "network.tsv"):
        (tmp_path / name).write_text("old")
    if fate == "given back":
        claim(tmp_path, overwrite=True)
        (tmp_path / "metrics.csv").write_text("new")
    rename, moved = Path.rename, []

    def stop(path: Path, target: Path) -> Path:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            claim(tmp_path, overwrite=True) if fate == "put aside" else settle(tmp_path, failed=True)
    settle(tmp_path, failed=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("run.json", "metrics.csv", "network.tsv"), "old"
    )


def test_record(tmp_path: Path) -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    report = SimpleNamespace(to_dict=lambda: {"cells": 2})
    checked = SimpleNamespace(x=matrix, cells=["c1", "c2"], genes=["A", "B", "C"], report=report)
    watch = Stopwatch()
    with watch.phase("train"):
        pass
    config = plain_config(compose("train", ["data=krumsiek11", "seed=4"]))
    path = record(tmp_path, config, checked, watch, device="cpu", extra={"epochs": 3})  # type: ignore[arg-type]
    run = json.loads(path.read_text())
    assert (run["seed"], run["device"], run["epochs"], run["gate"]) == (4, "cpu", 3, {"cells": 2})
    assert run["config"]["data"]["name"] == "krumsiek11"
    assert run["seconds"].keys() == {"train"}
    assert run["versions"]["torch"]
    assert run["peak_memory_bytes"].get("cpu", 1) > 0
    assert run["input"]["sha256"] == matrix_checksum(matrix, ["A", "B", "C"], ["c1", "c2"])
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]
    with pytest.raises(KeyError, match="already has seed"):
        record(tmp_path, config, extra={"seed": 5})


def test_record_of_a_file_has_the_files_checksum(tmp_path: Path) -> None:
    from grn._files import sha256

    (tmp_path / "a.h5ad").write_bytes(b"cells")
    config = plain_config(compose("train", ["data=h5ad", f"data.path={tmp_path}/a.h5ad"]))
    run = json.loads(record(tmp_path, config).read_text())
    assert run["input"]["sha256"] == sha256(tmp_path / "a.h5ad")
    assert run["input"]["of"] == "file"


def test_matrix_checksum_sees_every_change() -> None:
    matrix = np.array([[0, 1.5], [2, 0]], dtype=np.float32)
    changed = matrix.copy()
    changed[0, 0] = 1
    sums = [
        matrix_checksum(matrix, ["A", "B"]),
        matrix_checksum(changed, ["A", "B"]),
        matrix_checksum(matrix, ["A", "C"]),
        matrix_checksum(matrix.T, ["A", "B"]),
        matrix_checksum(sparse.csr_matrix(matrix), ["A", "B"]),
    ]
    assert len(set(sums)) == len(sums)
    assert matrix_checksum(np.asfortranarray(matrix), ["A", "B"]) == sums[0]


def test_phases_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr("grn.run_folder.time.perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    for _ in range(2):
        with watch.phase("load"):
            pass
    assert watch.seconds == {"load": 3.0}


def test_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions()["grn"]
    assert peak_memory() is not None
    found = commit()
    assert found is None or len(found.removesuffix("+changes")) == 40
    assert (
        command_line(["/x/grn/commands/train.py", "data=h5ad", "data.path=a b"])
        == "grn train data=h5ad 'data.path=a b'"
    )
    assert command_line(["/x/notebook.py"]) == "notebook.py"

    def no_git(*arguments: object) -> str:
        raise FileNotFoundError("git")

    monkeypatch.setattr(_provenance, "_git", no_git)
    assert commit() is None
