"""Sets of the bench: expression, regulators and reference networks, read by one protocol for all methods.

A set is a folder with `expression.h5ad`, `tfs.txt` and `network.csv` or `network.<reference>.csv`; where it has
replicates they are in `replicates.h5ad`, numbered by `obs["replicate"]`. Or it is a function of `grn.datasets`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn._files import sha256
from grn.data.layers import pick
from grn.data.matrix import TARGET_SUM, describe, normalise, to_memory
from grn.data.readers import read_expression
from grn.evaluation.reference import clean_reference, read_reference

if TYPE_CHECKING:
    from anndata import AnnData

EXPRESSION, REPLICATES, REGULATORS = "expression.h5ad", "replicates.h5ad", "tfs.txt"
# What the one reference of a set is called where it has no name of its own.
ONLY = "truth"


@dataclass(frozen=True)
class SetSpec:
    """One set of a suite.

    Attributes
    ----------
    name
        Its folder in the data root.
    family
        Which of the suite's families it belongs to.
    references
        Names of its references: "string" is `network.string.csv`, "truth" is `network.csv`. None: all there are.
    cells
        At most so many cells, drawn with seed 0. None: all.
    replicates
        Which of its replicates are data of their own. None: `expression.h5ad`.
    data
        A configuration with `_target_` that makes the set, instead of a folder: its regulators are where
        `var["is_tf"]` says so, else all genes, and its reference is `uns["reference"]`.
    """

    name: str
    family: str
    references: tuple[str, ...] | None = None
    cells: int | None = None
    replicates: tuple[int, ...] | None = None
    data: dict[str, Any] | None = None

    @classmethod
    def of(cls, entry: dict[str, Any]) -> SetSpec:
        """From an entry of a suite; InputError for keys that a set does not have, or lacks."""
        known = list(cls.__dataclass_fields__)
        for key in entry:
            if key not in known:
                raise InputError(
                    f"suite.sets: {key!r} is not a key of a set.{did_you_mean(str(key), known)} "
                    f"There are: {', '.join(known)}."
                )
        missing = [key for key in ("name", "family") if not isinstance(entry.get(key), str)]
        if missing:
            raise InputError(f"suite.sets: {entry} needs {' and '.join(missing)}, as text.")
        if entry.get("cells") is not None and (type(entry["cells"]) is not int or entry["cells"] < 2):
            raise InputError(f"suite.sets: cells = {entry['cells']!r} of {entry['name']}: expected at least 2.")
        for key in ("references", "replicates"):
            if entry.get(key) is not None:
                if not isinstance(entry[key], list) or not entry[key]:
                    raise InputError(f"suite.sets: {key} = {entry[key]!r} of {entry['name']}: expected a list.")
                entry = {**entry, key: tuple(entry[key])}
        return cls(**entry)


@dataclass(frozen=True)
class Problem:
    """What every method is given.

    Attributes
    ----------
    adata
        The cells as they come, for methods that normalise by themselves.
    x
        `(cells, genes)` float64, brought to log1p of counts per 1,000 in the same way as by :func:`grn.pp.check`.
    genes
        Names of the columns.
    regulators
        Positions of the genes that may regulate.
    """

    adata: AnnData
    x: np.ndarray
    genes: pd.Index
    regulators: np.ndarray


def absent(spec: SetSpec, root: Path | None) -> str | None:
    """Why the set cannot be read, or None."""
    if spec.data is not None:
        return None
    if root is None:
        return "no data.root was given"
    needed = [EXPRESSION if spec.replicates is None else REPLICATES, REGULATORS]
    missing = [name for name in needed if not (root / spec.name / name).is_file()]
    return f"no {' and no '.join(missing)} in its folder" if missing else None


def find_references(spec: SetSpec, root: Path | None) -> dict[str, Path | None]:
    """Files of the set's references by name; None for the one that comes with the data."""
    if spec.data is not None or root is None:
        return {ONLY: None}
    found = {
        ONLY if path.name == "network.csv" else path.name.removeprefix("network.").removesuffix(".csv"): path
        for path in sorted((root / spec.name).glob("network*.csv"))
    }
    return {name: path for name, path in found.items() if spec.references is None or name in spec.references}


def fingerprint(spec: SetSpec, root: Path | None) -> dict[str, Any]:
    """What decides a result on this set: its settings, the checksums of its files, the size of normalised cells."""
    files = {}
    if spec.data is None and root is not None:
        names = [EXPRESSION if spec.replicates is None else REPLICATES, REGULATORS]
        paths = [root / spec.name / name for name in names]
        paths += [path for path in find_references(spec, root).values() if path is not None]
        files = {path.name: sha256(path) for path in paths}
    settings = asdict(spec)
    # Neither decides the result: which replicates are run, and under which heading it is shown.
    decisive = {key: settings[key] for key in ("name", "cells", "data")}
    return {**decisive, "files": files, "counts_per_cell": TARGET_SUM}


def load_problem(
    spec: SetSpec, root: Path | None, replicate: int | None = None
) -> tuple[Problem, dict[str, pd.DataFrame]]:
    """Read a set: what the methods get, and the references by name.

    Raises
    ------
    InputError
        Where a name in `tfs.txt`, the replicate or the references are not in the data.
    """
    if spec.data is not None:
        from grn.config import instantiate

        adata = instantiate("suite.sets.*.data", spec.data, where=f"suite.sets: {spec.name}: data")
        tfs = adata.var_names[adata.var["is_tf"]] if "is_tf" in adata.var else adata.var_names
        references = {ONLY: clean_reference(adata.uns["reference"])}
    else:
        adata, tfs, references = _read_folder(spec, Path(root or "."), replicate)
    if spec.cells is not None and adata.n_obs > spec.cells:
        chosen = np.sort(np.random.default_rng(0).choice(adata.n_obs, spec.cells, replace=False))
        adata = adata[chosen].copy()
    genes = pd.Index(adata.var_names.astype(str), dtype=object)
    regulators = np.flatnonzero(genes.isin(tfs))
    if not len(regulators):
        raise InputError(f"{spec.name}: none of the {len(tfs)} names in {REGULATORS} is a gene of the data.")
    return Problem(adata, log_normalised(adata), genes, regulators), references


def log_normalised(adata: AnnData) -> np.ndarray:
    """`(cells, genes)` float64: what the input check would hand on, with no gene left out and nothing refused."""
    source = pick(adata, None)
    values = to_memory(source.matrix, source.label)
    values, _ = normalise(values, describe(values, logged="log1p" in adata.uns))
    return np.asarray(values if isinstance(values, np.ndarray) else values.toarray(), dtype=np.float64)


def _read_folder(spec: SetSpec, root: Path, replicate: int | None) -> tuple[AnnData, pd.Index, dict[str, pd.DataFrame]]:
    folder = root / spec.name
    adata = read_expression(folder / (EXPRESSION if replicate is None else REPLICATES))
    if replicate is not None:
        mine = (adata.obs["replicate"].astype(str) == str(replicate)).to_numpy()
        if not mine.any():
            numbers = ", ".join(sorted(adata.obs["replicate"].astype(str).unique()))
            raise InputError(f"{spec.name} has no replicate {replicate}; there are {numbers}.")
        adata = adata[mine].copy()
    tfs = pd.Index((folder / REGULATORS).read_text(encoding="utf-8").split())
    references = {name: read_reference(path) for name, path in find_references(spec, root).items() if path is not None}
    return adata, tfs, references
