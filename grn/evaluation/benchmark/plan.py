"""The plan: which cells the table has, and what it leaves out and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn._files import sha256, user_path
from grn.evaluation.benchmark.sets import Problem, SetSpec, absent, find_references, fingerprint

SHORTCUTS = "shortcuts"
_FILE_KEYS = ("name", "path", "set", "signed")


@dataclass(frozen=True)
class Method:
    """A method of the bench.

    Attributes
    ----------
    name
        As it stands in the table.
    function
        From a problem and a seed to weights `(regulators, genes)`, or to a table of edges. A function of a module,
        because it is sent to another process; none for the shortcuts.
    signed
        Whether the sign of its weights means anything.
    seeded
        Whether it depends on the seed; if not it runs once.
    measured
        Whether its seconds and its memory are its own: not where a network is read from a file.
    settings
        What else decides its result; kept with every cell, so that a resumed table does not mix.
    imports
        Modules that are loaded before the clock starts.
    """

    name: str
    function: Callable[[Problem, int], np.ndarray | pd.DataFrame] | None
    signed: bool = True
    seeded: bool = True
    measured: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One run: a method on a set with a seed, scored against all references of the set."""

    method: Method
    spec: SetSpec
    root: Path | None
    replicate: int | None
    seed: int
    candidates: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def label(self) -> str:
        """For the log."""
        part = "" if self.replicate is None else f" replicate {self.replicate}"
        return f"{self.spec.name}{part}, {self.method.name}, seed {self.seed}"

    @property
    def name(self) -> str:
        """Of its file."""
        parts = [self.spec.name, self.method.name, f"seed{self.seed}"]
        if self.replicate is not None:
            parts.insert(1, f"replicate{self.replicate}")
        return re.sub(r"[^\w.+-]", "_", "--".join(parts))


def plan(
    methods: Sequence[Method],
    sets: Sequence[SetSpec],
    seeds: Sequence[int],
    candidates: Sequence[str],
    *,
    root: Path | None = None,
    files: Sequence[dict[str, Any]] = (),
) -> tuple[list[Cell], list[dict[str, str]]]:
    """All cells of a table, and what is left out with the reason.

    Parameters
    ----------
    methods, sets, seeds, candidates
        What is combined. The shortcuts are added to every set.
    root
        Folder of the sets.
    files
        Networks of other tools: `name`, `path`, `set`, and `signed` where their weights have signs.

    Raises
    ------
    InputError
        If nothing is left, a name is given twice, or an entry of `files` is not understood.
    """
    if not methods and not files:
        raise InputError("There is nothing to compare: give methods=[...] or files=[...].")
    _refuse_repeats("methods", [one.name for one in methods])
    _refuse_repeats("seeds", seeds)
    outside = [(entry, _file_method(entry, methods, sets)) for entry in files]
    _refuse_repeats("files", [(entry["name"], entry["set"]) for entry, _ in outside])
    cells, skipped = [], []
    for spec in sets:
        reason = absent(spec, root) or (None if find_references(spec, root) else "none of its references is there")
        if reason is not None:
            skipped.append({"set": spec.name, "reason": reason})
            continue
        wanted = () if spec.references is None else spec.references
        skipped += [
            {"set": spec.name, "reason": f"there is no reference {name}"}
            for name in wanted
            if name not in find_references(spec, root)
        ]
        facts = fingerprint(spec, root)
        here = [*methods, *(method for entry, method in outside if entry["set"] == spec.name)]
        for replicate in spec.replicates or (None,):
            for method in [Method(SHORTCUTS, None, seeded=False, measured=False), *here]:
                for seed in seeds if method.seeded else seeds[:1]:
                    settings = {"set": facts, "method": method.settings, "candidates": list(candidates)}
                    cells.append(Cell(method, spec, root, replicate, seed, tuple(candidates), settings))
    if not cells:
        reasons = "; ".join(f"{one['set']}: {one['reason']}" for one in skipped)
        raise InputError(f"No set of the suite can be read ({reasons}). Give data.root=FOLDER, the folder of the sets.")
    return cells, skipped


def read_edges(problem: Problem, seed: int, *, path: str, signed: bool) -> pd.DataFrame:
    """Another tool's edges, their signs those of the weights if `signed`; the seed plays no part."""
    from grn.network import GeneNetwork

    edges = GeneNetwork.read(path).ungrouped().edges
    known = (edges["source"].isin(problem.genes) & edges["target"].isin(problem.genes)).to_numpy()
    if not known.any():
        raise InputError(f"None of the {len(edges)} edges of {path} has both ends among the genes of the data.")
    return edges.assign(sign=np.sign(edges["weight"]).astype(np.int8)) if signed else edges


def _file_method(entry: dict[str, Any], methods: Sequence[Method], sets: Sequence[SetSpec]) -> Method:
    for key in entry:
        if key not in _FILE_KEYS:
            raise InputError(
                f"files: {key!r} is not a key of a network.{did_you_mean(str(key), _FILE_KEYS)} "
                f"There are: {', '.join(_FILE_KEYS)}."
            )
    missing = [key for key in ("name", "path", "set") if not isinstance(entry.get(key), str)]
    if missing:
        raise InputError(f"files: {entry} needs {' and '.join(missing)}, as text.")
    names = [one.name for one in sets]
    if entry["set"] not in names:
        raise InputError(
            f"files: the suite has no set {entry['set']!r}.{did_you_mean(entry['set'], names)} "
            f"It has: {', '.join(names)}."
        )
    if entry["name"] in (SHORTCUTS, *(one.name for one in methods)):
        raise InputError(f"files: {entry['name']!r} is the name of a method of this table; give another name.")
    path = user_path(entry["path"])
    if not path.is_file():
        raise FileNotFoundError(f"files: there is no file {path}.")
    return Method(
        entry["name"],
        partial(read_edges, path=str(path.absolute()), signed=bool(entry.get("signed", False))),
        signed=bool(entry.get("signed", False)),
        seeded=False,
        measured=False,
        settings={"sha256": sha256(path), "signed": bool(entry.get("signed", False))},
    )


def _refuse_repeats(what: str, names: Sequence[Any]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InputError(f"{what}: {twice!r} is given twice.")
