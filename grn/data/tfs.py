"""Which genes may regulate: a TF list of the package, a file, a list of names, and changes to them.

`tf="human"`, `"mouse"`, `"all"`, `"tfs.txt"`, `["GATA1", "SPI1"]`, `"human,+GENE,-GENE"`. A name that was
asked for one by one and cannot be used is explained; nobody wants to read about the 900 names of a list that
are not expressed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from grn._errors import InputError, argument, did_you_mean, near_misses, setting
from grn._files import user_path
from grn._log import logger
from grn._tables import open_text
from grn.data.identifiers import is_ensembl

LISTS = ("human", "mouse")
ALL = "all"
# A comparison with every gene takes milliseconds a name, and a file may hold a thousand absent names.
_EXPLAINED = 20
_HEADERS = {"tf", "gene", "gene name", "gene symbol", "symbol", "name", "regulator", "transcription factor"}

TFSpec = str | os.PathLike[str] | Iterable[str]


@dataclass(frozen=True)
class TFSelection:
    """The regulators among the genes of a data set.

    Attributes
    ----------
    label
        Where the names come from, in words.
    listed
        The names asked for.
    names
        Those which are genes of the data, in the order of the genes.
    positions
        Their positions among the genes: int64, ascending.
    absent
        Names asked for one by one that cannot be used, with the reason.
    """

    label: str
    listed: tuple[str, ...]
    names: tuple[str, ...]
    positions: np.ndarray
    absent: dict[str, str]


@cache
def tf_list(name: str) -> tuple[str, ...]:
    """Names of the TF list `name` (`"human"` or `"mouse"`) of the package, in alphabetical order.

    Sources and dates stand at the head of `grn/data/resources/tfs_<name>.txt`.

    Examples
    --------
    >>> "GATA1" in tf_list("human"), "Gata1" in tf_list("mouse")
    (True, True)
    """
    if name not in LISTS:
        raise InputError(f"There is no TF list {name!r}; those of the package are {', '.join(LISTS)}.")
    text = resources.files("grn.data").joinpath("resources", f"tfs_{name}.txt").read_text(encoding="utf-8")
    return tuple(_names_in(text.splitlines()))


def read_tf_file(path: str | os.PathLike[str]) -> list[str]:
    """TF names in a text file: one a line (or the first column of a csv or tsv); `#` starts a comment.

    Raises
    ------
    InputError
        If the file cannot be read as text or holds no name.
    """
    path = Path(path)
    with open_text(path, "the TF file", pipe=True) as stream:
        text = stream.read()
    if "\x00" in text:
        raise InputError(f"{path} is no TF file, because it is not text. Expected text, one name a line.")
    names = _names_in(text.splitlines())
    if not names:
        raise InputError(f"The TF file {path} holds no name. Expected text, one name a line.")
    return names


def _names_in(lines: Iterable[str]) -> list[str]:
    rows = [line.partition("#")[0].strip() for line in lines]
    rows = [row.replace("\t", ",").replace(";", ",") for row in rows if row]
    fields = rows[0].split(",") if len(rows) == 1 else [row.split(",")[0] for row in rows]
    names = [field.strip().strip("\"'") for field in fields]
    if names and names[0].casefold().replace("_", " ").removesuffix("s") in _HEADERS:
        names = names[1:]
    return list(dict.fromkeys(name for name in names if name))


def resolve_tfs(spec: TFSpec, genes: Sequence[str] | pd.Index, *, dropped: Collection[str] = ()) -> TFSelection:
    """Regulators among `genes`.

    Parameters
    ----------
    spec
        `"human"` or `"mouse"` (lists of the package), `"all"` (every gene), a path to a file, or a list of
        names. Changes follow a comma: `"human,+GENE,-GENE"`, `"all,-GENE"`, `"tfs.txt,+GENE"`.
    genes
        Gene names of the data, without duplicates.
    dropped
        Genes of the data that were left out, to explain a TF among them.

    Returns
    -------
    TFSelection
        Possibly of no regulators: what that means is for the caller to say.

    Raises
    ------
    InputError
        If there is no such list or file, or `spec` names nothing.
    TypeError
        If `spec` is something else.

    Examples
    --------
    >>> resolve_tfs("human,+EGFP", ["ACTB", "EGFP", "GATA1"]).names
    ('EGFP', 'GATA1')
    """
    genes = pd.Index(genes)
    base, added, removed = _parse(spec, genes)
    asked_singly: list[str] = list(added)
    if isinstance(base, list):
        label, listed = "names given", base
        asked_singly = [*base, *added]
    elif base == ALL:
        label, listed = "all genes", [str(gene) for gene in genes]
    elif base in LISTS:
        label, listed = f"{base} list", list(tf_list(base))
    else:
        label, listed = f"file {Path(base).name}", read_tf_file(base)
        missing = [name for name in listed if name not in genes]
        # A short file was written for this data; a long one is a list of the species, of which most is
        # absent.
        asked_singly = [*(missing if len(missing) <= _EXPLAINED else []), *added]

    before = set(listed)
    gone = set(removed)
    listed = [name for name in dict.fromkeys([*listed, *added]) if name not in gone]
    if added or removed:
        changes = [f"+{name}" for name in added] + [f"-{name}" for name in removed]
        label = f"{label}, {', '.join(changes)}"

    position = {str(gene): index for index, gene in enumerate(genes)}
    listed = [same.get(name, name) for name in listed] if (same := _without_versions(listed, position)) else listed
    asked_singly = [name for name in asked_singly if name not in same]
    positions = np.array(sorted(position[name] for name in listed if name in position), dtype=np.int64)
    absent = _explain([name for name in asked_singly if name not in position], position, set(dropped))
    for name in removed:
        if name not in before:
            absent[name] = f"not in the list, so there is nothing to take out.{did_you_mean(name, before)}"
    names = tuple(str(name) for name in genes[positions])
    return TFSelection(label, tuple(listed), names, positions, absent)


def _without_versions(listed: Iterable[str], present: Collection[str]) -> dict[str, str]:
    """Listed Ensembl identifiers that the data have under another version, each with its name there."""
    missing = [name for name in listed if name not in present and is_ensembl(name)]
    if not missing:
        return {}
    versions: dict[str, list[str]] = {}
    for gene in present:
        if is_ensembl(gene):
            versions.setdefault(gene.partition(".")[0], []).append(gene)
    found = {name: versions.get(name.partition(".")[0], []) for name in missing}
    same = {name: genes[0] for name, genes in found.items() if len(genes) == 1}
    if same:
        name, gene = next(iter(same.items()))
        logger.info("%d Ensembl identifiers match without their version, such as %s and %s.", len(same), name, gene)
    return same


def _explain(missing: list[str], present: Collection[str], dropped: set[str]) -> dict[str, str]:
    """Why each missing name cannot be used."""
    folded = {name.casefold(): name for name in present}
    reasons: dict[str, str] = {}
    for count, name in enumerate(missing):
        if name in dropped:
            reasons[name] = "zero in all cells"
        elif name.casefold() in folded:
            reasons[name] = f"not in the data, which spells it {folded[name.casefold()]!r}"
        elif count < _EXPLAINED:
            reasons[name] = f"not in the data.{did_you_mean(name, present)}"
        else:
            reasons[name] = "not in the data"
    return reasons


def _parse(spec: TFSpec, genes: pd.Index) -> tuple[str | list[str], list[str], list[str]]:
    """The base (a list's name, a path or names) and the names added to it and taken out of it."""
    if isinstance(spec, os.PathLike):
        return _list_or_file(os.fspath(spec), genes), [], []
    if isinstance(spec, str):
        if user_path(spec).is_file() or "," not in spec:
            return _list_or_file(spec.strip(), genes), [], []
        items = [item.strip() for item in spec.split(",") if item.strip()]
    elif isinstance(spec, Iterable) and not isinstance(spec, Mapping | bytes):
        items = [str(item) if isinstance(item, os.PathLike) else item for item in spec]
        wrong = [item for item in items if not isinstance(item, str)]
        if wrong:
            raise TypeError(f"tf as a list must hold names, got {type(wrong[0]).__name__} ({wrong[0]!r}).")
    else:
        raise TypeError(
            f"tf must be 'human', 'mouse', 'all', a file or a list of names, got {type(spec).__name__} ({spec!r})."
        )
    changes = [item for item in items if item[:1] in "+-" and len(item) > 1]
    rest = [item for item in items if item not in changes]
    added = [item[1:].strip() for item in changes if item.startswith("+")]
    removed = [item[1:].strip() for item in changes if item.startswith("-")]
    if not rest:
        raise InputError(
            f"tf={spec!r} names no list to start from. Write {argument('tf', 'human,+GENE')} or {_several()}."
        )
    if isinstance(spec, str):
        if len(rest) > 1:
            raise InputError(
                f"tf={spec!r}: after the list's name, {rest[1]!r} needs + or - before it "
                f"({argument('tf', 'human,+GENE,-GENE')}). Names alone are given as a list: {_several()}."
            )
        return _list_or_file(rest[0], genes), added, removed
    if len(rest) == 1 and rest[0] not in genes and (rest[0] in (*LISTS, ALL) or user_path(rest[0]).is_file()):
        return rest[0], added, removed
    return list(dict.fromkeys(rest)), added, removed


def _several() -> str:
    return setting("tf=[GENE1,GENE2]", "tf=['GENE1', 'GENE2']")


def _list_or_file(name: str, genes: pd.Index) -> str:
    """`name` if it is a list of the package or a file; else an error with the near misses."""
    if name in (*LISTS, ALL) or user_path(name).is_file():
        return name
    if not name:
        raise InputError("tf is empty. Expected 'human', 'mouse', 'all', a file or a list of names.")
    path = user_path(name)
    if path.is_dir():
        raise InputError(f"tf={name!r} is a folder. Expected 'human', 'mouse', 'all', a file or a list of names.")
    if name in genes:
        raise InputError(
            f"tf={name!r} is a gene of the data, but neither a list nor a file. Names are given as a list: "
            f"{setting(f'tf=[{name},...]', f'tf=[{name!r}, ...]')}."
        )
    siblings: list[str] = []
    if path.parent.is_dir():
        close = near_misses(path.name, (entry.name for entry in path.parent.iterdir() if entry.is_file()))
        siblings = [str(path.parent / entry) for entry in close]
    close = near_misses(name, (*LISTS, ALL)) + siblings
    hint = f" Did you mean {' or '.join(repr(choice) for choice in close)}?" if close else ""
    where = f" (no such file in {path.parent.resolve()})" if path.suffix or len(path.parts) > 1 else ""
    raise InputError(
        f"tf={name!r} is neither a TF list nor a file{where}.{hint} "
        "Expected 'human', 'mouse', 'all', a file with one name a line, or a list of names."
    )
