"""A full disk and missing permissions: one message that names the file, no half file, and a run that goes on later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = ("data=krumsiek11", "training.epochs=2", "training.steps_per_epoch=2", "network.formats=[tsv,h5ad,graphml]")
WHOLE = os.environ.get("GRN_FAULTS") == "whole"
# Files that `grn train` with these settings writes: the configuration, three in each epoch, the results.
WRITES = 17


def one_message(output: str) -> str:
    assert "Traceback" not in output, output
    assert "bug in grn" not in output, output
    messages = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(messages) == 1, output
    return messages[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("at", range(1, WRITES + 1) if WHOLE else [2, 5, 13, 15])
def test_the_disk_is_full_at_one_write(child: Callable, tmp_path: Path, tally: Callable, at: int) -> None:
    ended = child(tmp_path, "train", "name=full", *TINY, fault={"name": "full", "at": at})
    message = one_message(ended.output)
    told = re.search(r"The disk is full, so this file was not written: (.*)", message)
    left = list(tmp_path.rglob(".*.????????"))
    gone = told is not None and not Path(told[1]).is_symlink()
    tally("survived" if ended.code == 1 and gone and not left else "lost", ended)
    assert told, message
    again = child(tmp_path, "train", "name=full", *(TINY if at <= 3 else ()), *(("resume=true",) if at > 3 else ()))
    assert again.code == 0, again.output
    assert (tmp_path / "outputs" / "full" / "report.html").exists()


@pytest.mark.parametrize("bytes", [300, 20_000, 60_000] if WHOLE else [20_000])
def test_no_file_may_be_large(child: Callable, tmp_path: Path, tally: Callable, bytes: int) -> None:
    ended = child(tmp_path, "train", "name=small", *TINY, fault={"name": "small", "bytes": bytes})
    message = one_message(ended.output)
    tally("survived" if ended.code == 1 and not list(tmp_path.rglob(".*.????????")) else "lost", ended)
    assert re.search(r"grew beyond the size that the system allows, so this file was not written: \S+", message)


@pytest.fixture
def locked(tmp_path: Path, finished: Path) -> Path:
    """A folder of somebody else: a network, a file that may not be read, a folder that may not be written."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == tmp_path or folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)  # pytest closes its folders to others, each level of them
    (tmp_path / "network.tsv").write_bytes((finished / "outputs" / "whole" / "network.tsv").read_bytes())
    (tmp_path / "secret.tsv").write_bytes((tmp_path / "network.tsv").read_bytes())
    (tmp_path / "secret.h5ad").write_bytes(b"")
    (tmp_path / "secret.tsv").chmod(0)
    (tmp_path / "secret.h5ad").chmod(0)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "old.tsv").write_text("of the owner")
    (tmp_path / "closed").chmod(0o555)
    (tmp_path / "outputs").mkdir(mode=0o555)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("export", "network=secret.tsv", "output=/tmp/never.tsv"), "secret.tsv"),
        (("export", "network=network.tsv", "output=closed/out.tsv"), "closed/out.tsv"),
        (("export", "network=network.tsv", "output=closed/old.tsv"), "closed/old.tsv"),
        (("evaluate", "network=network.tsv", "reference=secret.tsv"), "secret.tsv"),
        (("train", "data=h5ad", "data.path=secret.h5ad", "hydra.run.dir=closed/run"), "closed/run"),
        (("train", "data=krumsiek11", "name=x"), "outputs/x"),
        (("infer", "method=pearson", "data=krumsiek11", "name=y"), "outputs/y"),
    ],
)
def test_permissions(child: Callable, locked: Path, tally: Callable, command: tuple[str, ...], file: str) -> None:
    ended = child(locked, *command, fault={"name": "stranger"})
    if "ModuleNotFoundError" in ended.output:
        pytest.skip("the package lies where other users may not read")
    message = one_message(ended.output)
    tally("survived" if ended.code in (1, 2) and (locked / "closed" / "old.tsv").read_text() else "lost", ended)
    assert "ermission denied" in message or "No permission" in message
    assert file in message
    assert not list(locked.rglob(".*.????????"))
