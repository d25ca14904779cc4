"""A folder belongs to one run at a time, and a run that is gone holds none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grn._errors import InputError
from grn._lock import LOCK, hold, holds, let_go

# Many processes at once, cheap because they are forked before anything large is imported.
CLAIMS = """
import os, sys, time
from pathlib import Path
from grn._errors import InputError
from grn._lock import hold
root, ready = Path(sys.argv[1]), os.pipe()
done_read, done_write = os.pipe()
children = []
for number in range(100):
    child = os.fork()
    if child == 0:
        os.close(ready[1])
        os.read(ready[0], 1)  # ends when all are there
        won = 0
        for bit, folder in enumerate((root / "one", root / "other")):
            try:
                hold(folder)
                won += 1 << bit
            except InputError:
                pass
        os.write(done_write, b"%d" % won)
        time.sleep(60)  # holds what it has until it is killed
    children.append(child)
os.close(ready[0]); os.close(ready[1])
answers = b""
while len(answers) < 100:
    answers += os.read(done_read, 100)
won = [int(chr(answer)) for answer in answers]
print(sum(one & 1 for one in won), sum(one >> 1 for one in won))
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
hold(root / "one"); hold(root / "other")
print("free again")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_hundred_claims_at_once_give_each_folder_to_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLAIMS, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    claimed, free = done.stdout.splitlines()
    assert claimed == "1 1"
    assert free == "free again"  # the lock of a process that was killed is nobody's


def test_threads_of_one_process(tmp_path: Path) -> None:
    def claim(number: int) -> bool:
        try:
            hold(tmp_path / str(number % 10))
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(claim, range(200)))
    assert sum(won) == 10
    assert all(holds(tmp_path / str(number)) for number in range(10))
    for number in range(10):
        let_go(tmp_path / str(number))


def test_who_holds_it_is_said(tmp_path: Path) -> None:
    hold(tmp_path)
    with pytest.raises(InputError, match=rf"belongs to a run that is going on \(process {os.getpid()} on .*, since 2"):
        hold(tmp_path)
    let_go(tmp_path)
    assert not holds(tmp_path)
    assert not list(tmp_path.iterdir())
    hold(tmp_path)
    let_go(tmp_path)
    let_go(tmp_path)  # of nothing


def test_a_lock_file_without_a_holder_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("what a killed run left")
    hold(tmp_path)
    assert re.search(r'"process": \d+', (tmp_path / LOCK).read_text())
    let_go(tmp_path)


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder removes it between our opening and our locking: the lock would be on a file nobody sees."""
    from grn import _lock

    lock, times = _lock._lock, []

    def removed_before(stream: object) -> None:
        if not times:
            (tmp_path / LOCK).unlink()
        times.append(1)
        lock(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(_lock, "_lock", removed_before)
    hold(tmp_path)
    assert len(times) == 2
    assert (tmp_path / LOCK).exists()
    let_go(tmp_path)


def test_signals_are_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    hold(tmp_path)
    let_go(tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before
