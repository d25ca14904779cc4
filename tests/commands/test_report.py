"""`grn report`: the page of a finished run, made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from grn.network import GeneNetwork


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "mine"
    folder.mkdir(parents=True)
    GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"]).write(folder / "network.parquet")
    (folder / "run.json").write_text(json.dumps({"seed": 3, "command": "grn train seed=3"}))
    return folder


def test_the_report_is_written_into_the_folder(grn_command: Callable, run: Path) -> None:
    done = grn_command("report", "run=outputs/mine")
    assert done.code == 0, done.err
    assert "Report  outputs/mine/report.html" in done.out
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<h1>mine</h1>" in page
    assert "grn train seed=3" in page


def test_the_report_is_written_elsewhere(grn_command: Callable, run: Path, tmp_path: Path) -> None:
    done = grn_command("report", "run=outputs/mine", "output=pages/a.html", "title='Blood & bone'")
    assert done.code == 0, done.err
    assert not (run / "report.html").exists()
    assert "<h1>Blood &amp; bone</h1>" in (tmp_path / "pages" / "a.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "run must be given: add run=..."),
        (
            ["run=outputs/mne"],
            "outputs/mne is not the folder of a finished run: it has no run.json. Finished",
        ),
        (["run=outputs/mine", "output=a.pdf"], "must end in .html"),
    ],
)
def test_what_is_refused(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("report", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.html"))
