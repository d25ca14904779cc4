"""A process that has imported everything once, and forks one child for each command or file that is tried.

Run by `forking.py`; one JSON object a line on standard input, two lines of answer: the child's number at its start,
its exit code at its end (negative: the signal that killed it). It never trains itself, so that a fork finds no threads.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

LATE = (
    *("anndata", "h5py", "networkx", "PIL.Image", "scanpy", "grn.evaluation", "grn.pipeline"),
    *("grn.plotting.report.page", *(f"grn.commands.{name}" for name in ("train", "infer", "export", "report"))),
)
WRITING = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")


def serve() -> None:
    """Answer requests until standard input ends."""
    warm_up()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            # What nohup, and a shell that puts the tests into the background, ignore for all they start.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                code = work(**request)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        print(json.dumps(child), file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), file=answers, flush=True)


def warm_up() -> None:
    """Import what commands import when they need it."""
    for module in LATE:
        import_module(module)
    from grn.config import compose, load_data, validate
    from grn.network import GeneNetwork

    cfg = compose("train", ["data=krumsiek11"])
    validate(cfg, "train")
    load_data(cfg.data)
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("parquet", "tsv", "h5ad", "graphml"):
            path = Path(folder) / f"network.{ending}"
            GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"]).write(path)
            GeneNetwork.read(path)


def draw_nothing(figure: Any, target: Any, **settings: Any) -> None:
    """In the place of `Figure.savefig`."""
    import PIL.Image

    PIL.Image.new("RGB", (1, 1)).save(target, format="png")


def work(
    folder: str, log: str, fault: dict[str, Any] | None, arguments: list[str], files: list[str], draw: bool
) -> int:
    """The child: `grn ARGUMENTS` in a folder with a fault, or the readers on `files`."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    if not draw:
        import matplotlib.figure

        matplotlib.figure.Figure.savefig = draw_nothing  # type: ignore[method-assign]
    if fault:
        FAULTS[fault.pop("name")](**fault)
    if files:
        for path in files:
            sys.stdout.write(json.dumps([path, read(path)]) + "\n")
            sys.stdout.flush()
        return 0
    from grn.commands.main import main

    sys.argv = ["grn", *arguments]
    main()
    return 0


def read(path: str) -> Any:
    """What a reader makes of a file: the network or the expression as plain values, or the error."""
    import pandas as pd

    from grn.data import check, read_expression
    from grn.network import GeneNetwork

    try:
        if Path(path).parent.name == "networks":
            network = GeneNetwork.read(path)
            edges = network.edges.astype({name: str for name in network.edges if network.edges[name].dtype != float})
            digest = pd.util.hash_pandas_object(edges, index=False).sum().item()
            return {"read": [digest, sorted(network.genes), sorted(network.regulators), network.params]}
        checked = check(read_expression(path), tf="all", layer="X")
        return {"read": [float(checked.x.sum()), sorted(checked.genes), sorted(checked.cells)]}
    except Exception as error:
        chain = traceback.format_exception(error)
        return {"error": type(error).__name__, "text": str(error), "trace": "".join(chain)[-3000:]}


class Moments:
    """Calls `act` at the moments at which a process that died would leave something behind.

    A moment comes before each file opened for writing, each folder made, renamed or removed under the working folder.
    """

    def __init__(self) -> None:
        self.here, self.count, self.busy = Path.cwd(), 0, False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or not (event in WRITING or event == "open"):
            return
        path = arguments[0]
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)) or not Path(path).absolute().is_relative_to(self.here):
            return
        self.busy = True
        try:
            self.count += 1
            self.act()
        finally:
            self.busy = False

    def act(self) -> None:
        """At each moment."""


class Signal(Moments):
    """A signal at the moment `at`, some more behind it; counts the moments into a file when the process ends."""

    def __init__(self, at: int, number: int, again: list[int]) -> None:
        super().__init__()
        self.at, self.number, self.again = at, number, again

    def act(self) -> None:
        if self.count == self.at:
            for number in (self.number, *self.again):
                os.kill(os.getpid(), number)


class Snapshot(Moments):
    """A copy of the working folder at each moment: what a kill at that moment would leave."""

    def __init__(self, into: str) -> None:
        super().__init__()
        self.into = Path(into)

    def act(self) -> None:
        shutil.copytree(self.here, self.into / f"{self.count:04d}", symlinks=True)


def full(at: int) -> None:
    """The disk is full for the file that is written as number `at`."""
    import grn._files

    make, calls = tempfile.mkdtemp, []

    def mkdtemp(prefix: str, dir: Any) -> str:
        folder = make(prefix=prefix, dir=dir)
        calls.append(prefix)
        if len(calls) == at:
            (Path(folder) / prefix[1:-1]).symlink_to("/dev/full")
        return folder

    grn._files.tempfile = type("tempfile", (), {"mkdtemp": staticmethod(mkdtemp)})  # type: ignore[assignment]


def stuck(seconds: float) -> None:
    """A long call into a library, deaf to signals, in the place of training."""
    import ctypes

    import grn._files
    from grn.pipeline import training

    def fit(*arguments: Any, **settings: Any) -> None:
        # Then the kernel gives the signal to the watching thread, and this one sleeps on as in a long product.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        with grn._files.atomic_path("half.txt") as path:
            path.touch()
            ctypes.CDLL(None).poll(None, 0, int(seconds * 1000))
        raise AssertionError("nobody ended this call")

    training.fit = fit  # type: ignore[assignment]


def ignored(number: int) -> None:
    """A signal that the process ignores from its start, and that comes at its first write."""
    signal.signal(number, signal.SIG_IGN)
    Signal(at=1, number=number, again=[])


def stranger() -> None:
    """The process of a user who may write nothing that is not his own."""
    if os.getuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)


def small(bytes: int) -> None:
    """No file may grow beyond so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))


def variables(values: dict[str, str]) -> None:
    """Variables of the environment, as schedulers set them."""
    os.environ.update(values)


FAULTS: dict[str, Any] = {
    **{"signal": Signal, "snapshot": Snapshot, "full": full, "stuck": stuck},
    **{"ignored": ignored, "stranger": stranger, "small": small, "variables": variables},
}

if __name__ == "__main__":
    serve()
