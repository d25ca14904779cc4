"""The console script: `grn COMMAND [overrides]`. Nothing heavy is imported before the command is known."""

from __future__ import annotations

import os
import sys
from importlib import import_module

COMMANDS = {
    "train": "from expression to a signed network, with everything in one run folder",
    "infer": "read a trained run out again, or infer by a method without training",
    "evaluate": "score a network against a reference",
    "export": "write a network in another format",
    "report": "make the report of a finished run again: one page with tables and figures",
    "compare": "lay two networks side by side: shared edges, correlations, the edges that differ",
    "differential": "edges that differ between groups of cells",
    "perturb": "what a knock-out or overexpression does to the other genes",
    "activity": "score every regulator in every cell by the expression of its targets",
    "simulate": "make expression from a random signed network that is known",
    "benchmark": "compare methods, other tools' networks too, on sets whose network is known",
    "doctor": "versions, devices, attention backend, memory, cache",
}
_COMPLETION = ("-sc", "--shell-completion")


def main() -> None:
    """Run the command named by the first argument."""
    arguments = sys.argv[1:]
    first = arguments[0] if arguments else "--help"
    if first in _COMPLETION:
        _complete(arguments)
    elif first in COMMANDS:
        from grn.commands._stopping import stoppable

        with stoppable():
            del sys.argv[1]
            import_module(f"grn.commands.{first}").main()
    elif first in ("--help", "-h", "help"):
        _show_help()
    elif first == "--version":
        from importlib.metadata import version

        _write(f"grn {version('grn')}")
    else:
        from grn._errors import did_you_mean
        from grn.console import show_error

        show_error(f"there is no command {first!r}.{did_you_mean(first, COMMANDS)} `grn --help` lists them.")
        raise SystemExit(2)


def _show_help() -> None:
    width = max(map(len, COMMANDS))
    lines = ["Signed gene regulatory networks from single-cell expression.", ""]
    lines += ["grn COMMAND [KEY=VALUE ...]", ""]
    lines += [f"  {name:{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    lines += [
        "",
        "`grn train` alone runs on a bundled set. `grn COMMAND --help` shows a command's keys and choices,",
        '`grn --version` the version. Shell completion: eval "$(grn -sc install=bash)"',
    ]
    _write("\n".join(lines))


def _complete(arguments: list[str]) -> None:
    """Shell completion calls `grn` alone: the command stands in the line that is being completed."""
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.lstrip().partition(" ")
    command, space, _ = rest.lstrip().partition(" ")
    if not any(argument.startswith("query=") for argument in arguments):
        command = "train"
    elif not space:
        _write("\n".join(name for name in COMMANDS if name.startswith(command)))
        return
    elif command in COMMANDS:
        os.environ["COMP_LINE"] = f"{program} {rest.lstrip().removeprefix(command).lstrip(' ')}"
    else:
        return
    import_module(f"grn.commands.{command}").main()


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
