"""What the console shows of names that would steer it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from grn import console
from grn._errors import printable

HOSTILE = ["[b]", "[/b]", "[link=x]", "A\x1b[2JB", "A\x9b2JB", "A\rB", "\u202eBA"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.show(name)
    console.show_rows(name, [(name, name)])
    console.show_table(name, [name, "target"], [[name, name]])
    console.show_error(name)
    found = capsys.readouterr()
    shown = printable(name)
    assert found.out.count(shown) == 8
    assert found.err.count(shown) == 1
    # Nothing that a terminal would obey is left of it.
    assert not {"\x1b[2J", "\x9b", "\r", "\u202e"} & set(found.out + found.err)
    assert name not in found.out or name.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_log_line_steers_no_terminal(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"name": "grn", "levelno": logging.INFO, "msg": f"gene {name}, kept"})
    file = console.LogFile(tmp_path / "grn.log", "a")
    file.emit(record)
    file.close()
    console.LogHandler().emit(record)
    line = f"gene {printable(name)}, kept"
    assert (tmp_path / "grn.log").read_text().strip() == line
    assert capsys.readouterr().err.strip() == line


def test_what_a_terminal_shows_is_left_as_it_is() -> None:
    for name in ("GATA1", "HLA-A*02", "Nkx2.5 (β)", "遺伝子", "two\nlines\tand a tab"):
        assert printable(name) == name
