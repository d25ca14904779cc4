"""The tables of the report as columns for its script: names once and then by number, numbers to three digits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import printable
from grn.network.network import GeneNetwork

WORDS = {1: "activates", -1: "represses", 0: "regulates"}
MOST = 20_000  # edges in the page; a browser filters them in a few milliseconds
FIRST = 50  # rows that stand in the page before its script runs, and rows of one page of the table
COUNTED = 1000  # edges among which a regulator's targets are counted
# Below and above these a number is written with an exponent, or as a whole.
SMALL, LARGE = 1e-3, 1000.0
HEADINGS = {"confidence": "confidence", "pvalue": "p", "qvalue": "q"}


@dataclass(frozen=True)
class Table:
    """One table of the page.

    Attributes
    ----------
    data
        For the script: `names`, `columns` (each with `label`, `kind` and `values`), `signed`.
    heads
        Label and kind of every column.
    rows
        The first rows as text, for a reader without JavaScript.
    total
        Rows there would be if none had been left out.
    """

    data: dict[str, Any]
    heads: list[tuple[str, str]]
    rows: list[list[str]]
    total: int

    @property
    def shown(self) -> int:
        """Rows that the table holds."""
        return len(self.data["columns"][0]["values"]) if self.data["columns"] else 0

    @property
    def size(self) -> int:
        """Bytes of the data, about."""
        return len(json.dumps(self.data, separators=(",", ":"), ensure_ascii=False).encode())


def number(value: float) -> str:
    """A number of a cell, as `tables.js` writes it too.

    Examples
    --------
    >>> number(0.4), number(-0.25), number(1234.5), number(2.5e-7), number(0.0)
    ('0.400', '\u22120.250', '1,234', '2.5e\u22127', '0')
    """
    size = abs(value)
    if size == 0:
        text = "0"
    elif size < SMALL:
        mantissa, _, exponent = f"{size:.1e}".partition("e")
        text = f"{mantissa}e\u2212{int(exponent[1:])}"
    else:
        text = f"{size:,.0f}" if size >= LARGE else f"{size:#.3g}".rstrip(".")
    return f"\u2212{text}" if value < 0 else text


def three_digits(values: Iterable[float]) -> list[float]:
    """Numbers rounded to three significant digits (`LARGE` ones to whole)."""
    return [round(value) if abs(value) >= LARGE else float(f"{value:.3g}") for value in map(float, values)]


def edge_table(network: GeneNetwork, most: int = MOST) -> Table:
    """The strongest edges, of each group alike, strongest first.

    Parameters
    ----------
    network
        The network.
    most
        At most so many edges.
    """
    groups = network.groups
    chosen = network.top(max(1, most // max(1, len(groups)))).edges if len(network) else network.edges
    names, (source, target) = _by_number(chosen["source"], chosen["target"])
    columns: list[dict[str, Any]] = [
        {"key": "source", "label": "regulator", "kind": "name", "values": source},
        {"key": "sign", "label": "sign", "kind": "sign", "values": chosen["sign"].tolist()},
        {"key": "target", "label": "target", "kind": "name", "values": target},
        {"key": "weight", "label": "weight", "kind": "weight", "values": three_digits(chosen["weight"])},
    ]
    for name, label in HEADINGS.items():
        if name in chosen:
            kind = "share" if name == "confidence" else "chance"
            columns.append({"key": name, "label": label, "kind": kind, "values": three_digits(chosen[name])})
    if groups:
        place = {name: i for i, name in enumerate(groups)}
        values = [place[name] for name in chosen["group"]]
        columns.append(
            {"key": "group", "label": "group", "kind": "level", "levels": [*map(printable, groups)], "values": values}
        )
    return _table(columns, names, len(network))


def regulator_table(network: GeneNetwork) -> Table:
    """The regulators that have an edge, strongest first."""
    table = network.regulator_table(COUNTED)
    table = table[table["strongest"] != ""]
    names, (regulator, strongest) = _by_number(table.index.to_series(), table["strongest"])
    columns: list[dict[str, Any]] = [
        {"key": "regulator", "label": "regulator", "kind": "name", "values": regulator},
        {
            "key": "strength",
            "label": "summed |weight|",
            "kind": "number",
            "values": three_digits(table["out_strength"]),
        },
    ]
    if network.signed:
        counts = {"activates": table["activated"].tolist(), "represses": table["repressed"].tolist()}
    else:
        pairs = network.top(COUNTED).edges.drop_duplicates(["source", "target"])
        counts = {"targets": pairs["source"].value_counts().reindex(table.index, fill_value=0).tolist()}
    columns += [{"key": name, "label": name, "kind": "count", "values": values} for name, values in counts.items()]
    columns.append({"key": "strongest", "label": "strongest target", "kind": "name", "values": strongest})
    return _table(columns, names, len(table))


def _by_number(*columns: pd.Series) -> tuple[list[str], list[list[int]]]:
    """All names in alphabetical order, and each column as positions among them."""
    numbers, names = pd.factorize(np.concatenate([column.to_numpy(dtype=object) for column in columns]), sort=True)
    places = np.cumsum([len(column) for column in columns])[:-1]
    return [printable(str(name)) for name in names], [part.tolist() for part in np.split(numbers, places)]


def _table(columns: list[dict[str, Any]], names: list[str], total: int) -> Table:
    texts = []
    for column in columns:
        values, kind = column["values"][:FIRST], column["kind"]
        if kind == "name":
            texts.append([names[value] for value in values])
        elif kind == "sign":
            texts.append([WORDS[value] for value in values])
        elif kind == "level":
            texts.append([column["levels"][value] for value in values])
        else:
            texts.append([f"{value:,}" if kind == "count" else number(value) for value in values])
    rows = [list(row) for row in zip(*texts, strict=True)]
    heads = [(column["label"], column["kind"]) for column in columns]
    return Table({"names": names, "columns": columns}, heads, rows, total)
