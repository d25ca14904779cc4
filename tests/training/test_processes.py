"""Watching the first process; whole runs of two processes are in tests/end_to_end."""

from __future__ import annotations

import os
import threading

import pytest

from grn.training import processes


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ("Connection closed by peer [127.0.0.1]:7842", True),
        ("Read error [127.0.0.1]: Connection reset by peer", True),
        ("NCCL communicator was aborted: remote process exited", True),
        ("Timed out waiting 1800000ms for recv operation", True),
        ("shapes (3, 4) and (5, 4) differ", False),
    ],
)
def test_lost_peers_are_told_from_other_errors(message: str, lost: bool) -> None:
    assert processes.lost_peer(RuntimeError(message)) is lost


def test_the_first_process_leaves_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with processes.one_fate():
        assert os.environ["GRN_FIRST_PROCESS"] == str(os.getpid())
    assert "GRN_FIRST_PROCESS" not in os.environ


def test_a_process_started_from_outside_watches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv("GRN_FIRST_PROCESS", raising=False)
    before = threading.active_count()
    with processes.one_fate():
        assert threading.active_count() == before


def test_the_watch_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("GRN_FIRST_PROCESS", str(os.getppid()))
    with processes.one_fate():
        (watch,) = [thread for thread in threading.enumerate() if thread.name == "first-process-watch"]
    watch.join(timeout=5)
    assert not watch.is_alive()


def test_the_first_process_is_gone_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("GRN_FIRST_PROCESS", "1234567890")
    with pytest.raises(ConnectionError, match="first process of this run ended early"), processes.one_fate():
        pass


def test_the_watch_ends_the_process(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    codes: list[int] = []
    monkeypatch.setattr(processes.os, "_exit", codes.append)
    processes._watch(first=1234567890, done=threading.Event(), every=0.01, grace=0.01)
    assert codes == [1]
    assert "first process of this run ended early" in caplog.text
