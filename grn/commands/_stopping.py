"""A command that is told to stop ends within seconds, with the signal's exit code and one line on how to go on.

A Python handler runs between two instructions of Python, so the main thread stops in order: what is being written is
removed, what was put aside is put back. A long call into a library can delay that; then a second thread, which the
signal wakes at once, removes what is being written and ends the process.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from grn import _files
from grn._processes import FIRST_PROCESS, is_first_process
from grn._provenance import command_line
from grn._stored import RECORD

# Of those a system lacks (Windows has no SIGHUP) there is none to handle.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name))
# Seconds for an end in order. Schedulers give 10 to 30 before they kill; the promise is 5.
GRACE = 1.5
# Where grn.training.processes leaves the number of the process that started those which train with it.

_watch: _Watch | None = None


class Stopped(SystemExit):
    """A signal asked the command to stop; as a SystemExit it has the exit code 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """While the block runs, SIGTERM, SIGHUP and SIGINT end this process as a command has to end.

    Signals that were ignored before (nohup, a shell's background jobs) stay ignored. Within another such block, and
    outside the main thread, which alone may handle signals, it changes nothing.

    Raises
    ------
    Stopped
        If a signal came, however the block ended.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _watch = _Watch(command_line(sys.argv))
    try:
        yield
    except BaseException as error:
        if watch.number is None and not _by_keyboard(error):
            raise
        watch.say()
        raise Stopped(watch.number or signal.SIGINT) from None
    else:
        if watch.number is not None:  # a library has swallowed what the handler raised
            watch.say()
            raise Stopped(watch.number)
    finally:
        if watch.number is None:
            watch.close()
            _watch = None
        else:
            watch.end_others()  # and the thread goes on watching until the interpreter has ended


def _by_keyboard(error: BaseException) -> bool:
    # Lightning makes a SystemExit out of it.
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )


def stop_if_asked() -> None:
    """Raise Stopped where a signal came and a library answered it by an error of its own."""
    if _watch is not None and _watch.number is not None:
        raise Stopped(_watch.number)


def advise(how: Callable[[str], str]) -> None:
    """What the command's one line says after the signal's name; `how` gets the user's line when it is needed."""
    if _watch is not None:
        _watch.how = how


def how_to_go_on(command: str, folder: Path, setting: str, *, resumable: bool) -> Callable[[str], str]:
    """Advice of a command with a run folder, by what stands there when it is stopped.

    Parameters
    ----------
    command
        Its name.
    folder
        The run's folder.
    setting
        The override that leads to this folder again, such as ``name=my_run``.
    resumable
        Whether the command has `resume`.
    """
    here = Path.cwd()
    place = folder.relative_to(here) if folder.is_relative_to(here) else folder
    report = shlex.join(["grn", "report", f"run={place}"])
    earlier = _identity(folder / RECORD)

    def how(line: str) -> str:
        record = _identity(folder / RECORD)
        if record is not None and record == earlier:
            return f"The finished run in {place} is as it was. To start again: {line}"
        if resumable and (folder / ".hydra" / "config.yaml").exists():
            return f"To go on: {shlex.join(['grn', command, setting, 'resume=true'])}"
        if record is None:
            return f"There is no finished network in {place}. To start again: {line}"
        return f"The network in {place} is finished; its report is made by: {report}"

    return how


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file keeps where it is moved aside and back; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class _Watch:
    """Handlers of the signals, and the thread that ends the process where they cannot."""

    def __init__(self, command: str) -> None:
        self.number: int | None = None  # of the signal that came
        self.how: Callable[[str], str] = _what_was_written
        self._command = command
        self._process = os.getpid()
        self._said = threading.Lock()
        self._raised = False
        self._before: dict[int, Any] = {}
        _files.written = []
        self._end, self._start = os.pipe()
        os.set_blocking(self._start, False)  # as Python asks of what a signal writes to
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._handle)
        self._descriptor = signal.set_wakeup_fd(self._start, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, daemon=True, name="stop-watch").start()

    def close(self) -> None:
        """Put the handlers back that were there before."""
        _files.written = None
        signal.set_wakeup_fd(self._descriptor)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._start)  # which ends the thread
        if os.getpid() != self._process:
            os.close(self._end)

    def say(self, write: Callable[[str], object] | None = None) -> None:
        """Write the one line, once, in the first of several processes."""
        if not self._said.acquire(blocking=False) or not is_first_process():
            return
        keyboard = self.number in (None, signal.SIGINT)
        by = "from the keyboard" if keyboard else f"by {signal.Signals(self.number or 0).name}"
        with suppress(OSError, ValueError):
            (write or sys.stderr.write)(f"Stopped {by}. {self.how(self._command)}\n")

    def end_others(self) -> None:
        """End the processes that this one started, or wait until the one that started this has gone."""
        for child in _children():
            with suppress(OSError):
                os.kill(child, signal.SIGTERM)
        first = os.environ.get(FIRST_PROCESS)
        if first is not None and not is_first_process():
            # Lightning kills the first process, which has its line to say, where another ends before it.
            patience = threading.Event()
            for _ in range(40):
                if os.getppid() != int(first):
                    return
                patience.wait(0.1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raised:
            return  # this process is ending already, which nothing should disturb
        self._raised, self.number = True, self.number or number
        raise Stopped(self.number)

    def _wait(self) -> None:
        while (came := os.read(self._end, 1)) and came[0] not in self._before:
            pass
        if came:
            self.number = self.number or came[0]
            self._give_time()
            _files.remove_open()
            self.say(_write_at_once)
            self.end_others()
            os._exit(128 + self.number)
        os.close(self._end)

    def _give_time(self) -> None:
        until = time.monotonic() + GRACE
        while select.select([self._end], [], [], max(0.0, until - time.monotonic()))[0]:
            # Who presses Ctrl-C twice does not want to wait. Others repeat themselves: `timeout` does.
            if os.read(self._end, 1) == bytes([signal.SIGINT]):
                return


def _what_was_written(line: str) -> str:
    """Advice of a command without a run folder."""
    if not _files.written:
        return f"Nothing was written. To start again: {line}"
    names = ", ".join(dict.fromkeys(map(str, _files.written)))
    return f"Written, and whole: {names}. To start again: {line}"


def _write_at_once(text: str) -> None:
    """Past `sys.stderr`, which the stuck thread may hold; into nothing where nobody reads."""
    descriptor = 2
    if select.select([], [descriptor], [], 0)[1]:
        cursor = "\x1b[?25h\n" if os.isatty(descriptor) else ""  # which a progress bar has hidden
        os.write(descriptor, f"{cursor}{text}".encode())


def _children() -> list[int]:
    """Numbers of the processes that this one started, where the system lists them."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        for thread in Path("/proc/self/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _forget() -> None:
    """In a forked process: it shares the pipe, and is no command."""
    global _watch
    if _watch is not None:
        _watch.close()
        _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
