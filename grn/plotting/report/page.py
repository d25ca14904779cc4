"""The page: everything gathered, and the template filled."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from grn._errors import printable
from grn.network.network import GeneNetwork
from grn.plotting.report import facts, tables, words
from grn.plotting.report.figures import figures, training_figure

LIMIT = 2_000_000  # bytes of the whole page; edges are left out until it is kept
EPOCHS = 200  # rows of the table of losses
_HERE = Path(__file__).resolve().parent


def page(network: GeneNetwork, record: dict[str, Any], metrics: pd.DataFrame | None, title: str) -> str:
    """The report as HTML.

    Parameters
    ----------
    network
        The network.
    record
        Content of run.json; empty where there is none.
    metrics
        Losses of every epoch, where the method was trained.
    title
        Heading of the page.
    """
    script = (_HERE / "tables.js").read_text(encoding="utf-8")
    content: dict[str, Any] = {
        "title": title,
        "style": (_HERE / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "summary": facts.summary(network, record),
        "numbers": facts.numbers(network, record),
        "cautions": facts.cautions(network, record),
        "gate": facts.gate_rows(record),
        "settings": facts.settings(record),
        "config": facts.whole_config(record),
        "figures": figures(network, record),
        "training": training_figure(metrics),
        "regulators": tables.regulator_table(network),
        "counted": tables.COUNTED,
        "page_rows": tables.FIRST,
        "columns": set(network.edges.columns),
        "signed": network.signed,
        "groups": network.groups,
        "evidence": facts.evidence(network),
        "meaning": words.meaning(network),
        "limits": words.limits(network),
        "losses": _losses(metrics),
        "made": facts.made_rows(network, record),
        "citation": facts.citation(record, network),
        "in_folder": bool(record),
    }
    most = tables.MOST
    while True:
        edges = tables.edge_table(network, most)
        text = _environment().get_template("page.html").render(edges=edges, **content)
        excess = len(text.encode()) - LIMIT
        if excess <= 0 or edges.shown <= max(tables.FIRST, len(network.groups)):
            return text
        kept = max(0.0, 1.0 - 1.05 * excess / max(edges.size, 1))
        most = max(tables.FIRST, int(min(most, edges.shown) * kept))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    return environment


def _shown(value: Any) -> Any:
    """A value as the page may show it: what turns the reading order or steers a terminal is written out."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _losses(metrics: pd.DataFrame | None) -> tuple[list[str], list[list[str]]] | None:
    """Heads and rows of the table of losses; the last epochs, if there are very many."""
    if metrics is None or metrics.empty:
        return None
    rows = [
        ["" if pd.isna(value) else str(int(value)) if float(value).is_integer() else f"{value:.6g}" for value in row]
        for row in metrics.tail(EPOCHS).itertuples(index=False)
    ]
    return [str(name).replace("_", " ") for name in metrics.columns], rows
