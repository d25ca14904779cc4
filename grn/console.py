"""What a command shows in the terminal: tables, messages, log lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grn._errors import printable
from grn._files import open_inside
from grn._processes import is_first_process

if TYPE_CHECKING:
    from grn.data.report import GateReport
    from grn.network import GeneNetwork

# Others' loggers whose plain messages a user needs; of the rest, warnings and worse are shown.
_SHOWN = ("grn", "lightning.fabric.strategies.launchers")


class LogHandler(logging.Handler):
    """Log lines on standard error, wherever it points at that moment (a progress bar redirects it)."""

    def filter(self, record: logging.LogRecord) -> bool:  # type: ignore[override]
        """Keep our own lines, others' warnings, and everything under `hydra.verbose=true`.

        Where several processes train together, only the first tells what all of them do.
        """
        if record.levelno < logging.WARNING and not is_first_process():
            return False
        ours = record.name.startswith(_SHOWN) or logging.getLogger().level <= logging.DEBUG
        return bool(super().filter(record)) and (ours or record.levelno >= logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        try:
            sys.stderr.write(f"{level}{printable(self.format(record))}\n")
        except OSError:
            self.handleError(record)


class LogFile(logging.FileHandler):
    """The log of a run; where it cannot be written, the run goes on and says so once."""

    _failed = False

    def _open(self) -> TextIOWrapper:
        # A stranger's run folder may hold a link under this name.
        return open_inside(Path(self.baseFilename), self.mode)

    def format(self, record: logging.LogRecord) -> str:
        """The line, fit for a terminal."""
        return printable(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless one before could not be."""
        if not self._failed:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say it in one line, where logging would print a traceback for every record."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        self.stream = None  # type: ignore[assignment]
        sys.stderr.write(f"warning: the log {self.baseFilename} is not written on: {error.strerror}\n")


def show(text: str) -> None:
    """Print one line of plain text."""
    _console().print(_text(text), soft_wrap=True)


def show_error(text: str) -> None:
    """Print an error message on standard error."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text("Error: ", style="bold red") + _text(text), soft_wrap=True)


def show_rows(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print label and value pairs under a title."""
    table = _table(["", ""], header=False)
    for label, value in rows:
        table.add_row(_text(label), _text(value))
    _print_table(title, table)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text under a title; all columns but the first two are aligned to the right."""
    table = _table(columns, right=columns[2:])
    for row in rows:
        table.add_row(*map(_text, row))
    _print_table(title, table)


def show_gate(report: GateReport) -> None:
    """Print what the gate found out about the data, before training."""
    show_rows("Data", report.rows())


def show_scores(scores: dict[str, float | int], title: str) -> None:
    """Print metrics, one per row."""
    show_rows(
        title,
        [(name, f"{value:.4f}" if isinstance(value, float) else f"{value}") for name, value in scores.items()],
    )


def show_first_sight(network: GeneNetwork, folder: Path, edges: int = 10, regulators: int = 8) -> None:
    """Print the strongest signed edges, the main regulators, and where everything lies.

    Parameters
    ----------
    network
        The network of the run.
    folder
        The run's folder.
    edges, regulators
        At most this many rows of each.
    """
    strongest = network.edges.head(edges)  # over all groups; `top` takes so many of each
    columns = [name for name in ("source", "target", "sign", "weight", "group") if name in strongest]
    table = _table(columns, right=("weight",))
    for row in strongest[columns].to_dict("records"):
        table.add_row(*(_text(_cell(name, row[name])) for name in columns))
    _print_table("Strongest edges", table)
    main = network.regulator_table().head(regulators).reset_index()
    names = [str(name) for name in main.columns if name != "index" or main[name].dtype == object]
    table = _table(names, right=[name for name in names if main[name].dtype.kind in "if"])
    for row in main[names].to_dict("records"):
        table.add_row(*(_text(_cell(name, row[name])) for name in names))
    _print_table("Main regulators", table)
    for figure in sorted((folder / "figures").glob("*.png")):
        show(f"Figure  {_short(figure)}")
    if (folder / "report.html").exists():
        show(f"Report  {_short(folder / 'report.html')}")
    show(f"Folder  {_short(folder)}")


def _cell(name: str, value: Any) -> str:
    if name == "sign":
        return {1: "activates", -1: "represses"}.get(int(value), "unknown")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> Any:
    """What stands there, letter by letter: rich would take a gene called `[b]` for a command."""
    from rich.text import Text

    return Text(printable(str(value)))


def _print_table(title: str, table: Any) -> None:
    # Not the table's own title, which would be wrapped to the width of the columns.
    _console().print("")
    _console().print(_text(title), style="bold", soft_wrap=True)
    _console().print(table)


def _table(columns: Sequence[str], right: Sequence[str] = (), header: bool = True) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if header else None, show_header=header)
    for column in columns:
        # Folded, not cut: a name or a path that is cut is of no use.
        table.add_column(_text(column), justify="right" if column in right else "left", overflow="fold")
    return table


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
