"""Results on disk: results.csv (every run), results.json (with its origin), results.md (to be read)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd

from grn._files import atomic_path, write_text
from grn._tables import write_frame
from grn.evaluation.benchmark.table import Results

# Column of the page, metric, decimals.
_COLUMNS = (
    ("AUPRC ratio", "auprc_ratio", 2),
    ("levelled", "auprc_ratio_levelled", 2),
    ("EPR", "epr", 2),
    ("AUROC", "auroc", 3),
    ("AUROC by target", "auroc_by_target", 3),
    ("signs right", "sign_accuracy", 3),
    ("majority", "sign_majority", 3),
    ("sign AUROC", "sign_auroc", 3),
)
_KEY = """\
AUPRC ratio: 1 is chance. Levelled: the same after each target's scores were divided by their mean, so that knowing
popular targets gains nothing. AUROC by target: 0.5 is chance. Signs right: to be compared with the majority, what
guessing the commoner sign reaches. ± is the standard deviation over seeds and replicates. Seconds and memory: one
thread, a process of its own, inference only. **no evidence**: on a real reference, a ratio below that of the best of
eight scores that look at no pair of regulator and target."""


def write_results(results: Results, folder: Path, origin: Mapping[str, Any]) -> None:
    """Write the three files, each whole or not at all.

    Parameters
    ----------
    results
        From `collect`.
    folder
        The run's folder.
    origin
        How they came about: suite, command, commit, versions, machine, date.
    """
    with atomic_path(folder / "results.csv") as path:
        write_frame(results.rows, path)
    content = {
        **origin,
        "families": _records(results.families),
        "pairs": _records(results.pairs),
        "rows": _records(results.rows),
        "skipped": results.skipped,
        "failed": results.failed,
    }
    write_text(folder / "results.json", json.dumps(content, indent=1, default=str) + "\n")
    write_text(folder / "results.md", "\n".join(_page(results, origin)) + "\n")


def _page(results: Results, origin: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Benchmark {origin['suite']}"
    yield f"\n`{origin['command']}`\n"
    machine = origin["machine"]["processor"]
    yield f"{origin['date']}, commit {origin['commit']}, {machine}, {origin['workers']} at a time."
    yield f"\n{_KEY}"
    for convention in results.families["convention"].unique():
        chosen = results.families[results.families["convention"] == convention]
        yield f"\n## Candidates: {convention}"
        yield from _means(chosen, results.titles)
        for family in results.pairs["family"].unique():
            yield f"\n### {results.titles[family]}, by set and reference\n"
            yield from _pairs(results.pairs.query("convention == @convention and family == @family"))
    if results.failed:
        yield "\n## Failed\n"
        yield from (f"- {one['cell']}: {one['error']}" for one in results.failed)
    if results.skipped:
        yield "\n## Skipped\n"
        yield from (f"- {one['set']}: {one['reason']}" for one in results.skipped)


def _means(families: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[str]:
    yield (
        "\nGeometric means of AUPRC ratio, levelled ratio and EPR (values below 0.1 count as 0.1) over the pairs "
        "of set and reference, plain means of the rest.\n"
    )
    yield from _head(["family", "method", "pairs", *(title for title, _, _ in _COLUMNS), "best shortcut", "s"])
    for family in families["family"].unique():
        chosen = families[families["family"] == family].sort_values("auprc_ratio", ascending=False)
        most = int(chosen["pairs"].max())
        for row in chosen.to_dict("records"):
            # A mean over fewer pairs cannot be compared with the others.
            pairs = str(row["pairs"]) if row["pairs"] == most else f"{row['pairs']} of {most}"
            values = [number(row[name], digits) for _, name, digits in _COLUMNS]
            shortcut = number(row["shortcut_ratio"], 2)
            yield _line([titles[family], row["method"], pairs, *values, shortcut, number(row["seconds"], 2)])


def _pairs(pairs: pd.DataFrame) -> Iterator[str]:
    yield from _head(["set", "reference", "method", *(title for title, _, _ in _COLUMNS), "s", "MB", ""])
    for key, chosen in pairs.groupby(["set", "reference"], sort=False):
        name, reference = map(str, cast("tuple[object, object]", key))
        for row in chosen.sort_values("auprc_ratio", ascending=False).to_dict("records"):
            values = [number(row[metric], digits, row[f"{metric}_std"]) for _, metric, digits in _COLUMNS]
            costs = [number(row["seconds"], 2, row["seconds_std"]), number(row["peak_memory_bytes"] / 2**20, 0)]
            mark = "no evidence" if row["no_evidence"] else ""
            yield _line([name, reference, row["method"], *values, *costs, mark])
        first = chosen.iloc[0]
        best = [number(first["shortcut_ratio"], 2), *([""] * (len(_COLUMNS) + 2))]
        yield _line([name, reference, f"*best shortcut: {first['shortcut']}*", *best])


def number(value: float, digits: int, spread: float = float("nan")) -> str:
    """A figure of the page: `1.69 ± 0.02`, `1.69` without a spread, `–` where it is not defined."""
    if pd.isna(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text if pd.isna(spread) else f"{text} ± {spread:.{digits}f}"


def _head(titles: list[str]) -> list[str]:
    return [_line(titles), _line(["---"] * len(titles))]


def _line(fields: list[str]) -> str:
    return f"| {' | '.join(map(str, fields))} |"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    # JSON knows no NaN.
    records: Any = table.astype(object).where(table.notna(), None).to_dict("records")
    return list(records)
