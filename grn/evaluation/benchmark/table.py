"""From the cells' files to tables: one row per result, means over seeds and replicates, geometric means by family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grn.evaluation.benchmark.plan import SHORTCUTS, Cell
from grn.evaluation.benchmark.runner import read_record

METRICS = (
    *("auprc_ratio", "auprc_ratio_levelled", "epr", "auroc", "auroc_by_target"),
    *("sign_accuracy", "sign_majority", "sign_auroc"),
)
COSTS = ("seconds", "peak_memory_bytes")
PAIR = ["convention", "family", "set", "reference"]
# Over the pairs of all families, where there are several.
ALL = "all"
# An EPR may be 0, and one such would make the whole geometric mean 0.
EPR_FLOOR = 0.1


@dataclass(frozen=True)
class Family:
    """A heading under which sets are averaged; `real` where a ratio must beat the shortcuts to mean anything."""

    title: str
    real: bool


@dataclass(frozen=True)
class Results:
    """The tables of a benchmark.

    Attributes
    ----------
    rows
        One row per method, set, replicate, seed, reference and convention of candidates: all metrics, `seconds`,
        `peak_memory_bytes`, the best shortcut with its ratio and, on real references, `no_evidence`.
    pairs
        Means over seeds and replicates, with the standard deviation of each (`<metric>_std`) and their number `runs`.
    families
        By convention, family and method: geometric means of the ratios over the pairs of set and reference, means of
        the rest, and the number of `pairs`.
    skipped, failed
        What has no result, with the reason.
    titles
        Titles of the families.
    """

    rows: pd.DataFrame
    pairs: pd.DataFrame
    families: pd.DataFrame
    skipped: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)


def collect(
    cells: Sequence[Cell], folder: Path, families: Mapping[str, Family], skipped: Sequence[dict[str, str]] = ()
) -> Results:
    """Gather the files of a run.

    Parameters
    ----------
    cells
        From `plan`, after `run`.
    folder
        The run's folder.
    families
        By their names in the suite.
    skipped
        From `plan`.
    """
    found, shortcuts, failed = (
        list[dict[str, Any]](),
        dict[tuple[Any, ...], tuple[str, float]](),
        list[dict[str, str]](),
    )
    for cell in cells:
        record = read_record(cell, folder) or {"status": "failed", "error": "it was not run"}
        if record["status"] == "failed":
            failed.append({"cell": cell.label, "method": cell.method.name, "error": record["error"]})
            continue
        for one in record["scores"]:
            key = (cell.spec.name, cell.replicate, one["reference"], one["candidates"])
            metrics = one["metrics"]
            if cell.method.name == SHORTCUTS:
                shortcuts[key] = (metrics["shortcut"], metrics["auprc_ratio"])
                continue
            found.append(
                {
                    "convention": one["candidates"],
                    "family": cell.spec.family,
                    "set": cell.spec.name,
                    "reference": one["reference"],
                    "method": cell.method.name,
                    "replicate": cell.replicate,
                    "seed": cell.seed if cell.method.seeded else None,
                    **{name: np.nan if value is None else value for name, value in metrics.items()},
                    **{name: np.nan if record[name] is None else record[name] for name in COSTS},
                    "commit": record["commit"],
                    "key": key,
                }
            )
    rows = pd.DataFrame(found, columns=None if found else [*PAIR, "method", *METRICS, *COSTS, "key"])
    best = [shortcuts.get(key, ("", np.nan)) for key in rows.pop("key")]
    rows["shortcut"] = [name for name, _ in best]
    rows["shortcut_ratio"] = np.array([ratio for _, ratio in best], dtype=np.float64)
    real = rows["family"].map({name: one.real for name, one in families.items()}).astype(bool)
    rows["no_evidence"] = real & (rows["auprc_ratio"] < rows["shortcut_ratio"])
    pairs = _pairs(rows, families)
    titles = {name: one.title for name, one in families.items()} | {ALL: "all families"}
    return Results(rows, pairs, family_means(pairs), list(skipped), failed, titles)


def _pairs(rows: pd.DataFrame, families: Mapping[str, Family]) -> pd.DataFrame:
    measured = [*METRICS, *COSTS, "shortcut_ratio"]
    grouped = rows.groupby([*PAIR, "method"], sort=False)
    pairs = grouped[measured].mean()
    # Of one run there is no spread.
    pairs = pairs.join(grouped[[*METRICS, *COSTS]].std(ddof=1).add_suffix("_std"))
    pairs["runs"] = grouped.size()
    pairs["shortcut"] = grouped["shortcut"].first()
    pairs = pairs.reset_index()
    real = pairs["family"].map({name: one.real for name, one in families.items()}).astype(bool)
    pairs["no_evidence"] = real & (pairs["auprc_ratio"] < pairs["shortcut_ratio"])
    return pairs


def family_means(pairs: pd.DataFrame) -> pd.DataFrame:
    """By convention, family and method: geometric means of ratios, means of the rest, over set and reference.

    Parameters
    ----------
    pairs
        As in `Results`.

    Returns
    -------
    DataFrame
        Columns `convention`, `family`, `method`, `pairs`, `no_evidence` (how many), geometric means of `auprc_ratio`,
        `auprc_ratio_levelled`, `epr` (values below 0.1 count as 0.1) and `shortcut_ratio`, means of the other
        metrics over the pairs that have them. Several families also make one called "all".
    """
    if len(pairs["family"].unique()) > 1:
        pairs = pd.concat([pairs, pairs.assign(family=ALL)], ignore_index=True)
    ratios = ["auprc_ratio", "auprc_ratio_levelled", "epr", "shortcut_ratio"]
    logs = pairs[["convention", "family", "method"]].copy()
    for name in ratios:
        values = pairs[name].to_numpy(dtype=np.float64)
        logs[name] = np.log(np.maximum(values, EPR_FLOOR) if name == "epr" else values)
    by = ["convention", "family", "method"]
    means = logs.groupby(by, sort=False)[ratios].mean().apply(np.exp)
    rest = [name for name in (*METRICS, *COSTS) if name not in ratios]
    grouped = pairs.groupby(by, sort=False)
    means = means.join(grouped[rest].mean())
    means.insert(0, "pairs", grouped.size())
    means["no_evidence"] = grouped["no_evidence"].sum()
    return means.reset_index()
