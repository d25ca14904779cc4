"""What the report says about a run, taken from its record (run.json) and from the network."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from grn._errors import InputError
from grn.config.types import describe, fits
from grn.data.report import GateReport
from grn.network.network import GeneNetwork
from grn.plotting.report.tables import WORDS, number

Rows = list[tuple[str, str]]

FEW_CELLS = 200  # below this the weak edges are mostly chance (docs/model.md)
FEW_IN_GROUP = 50
_UNITS = ("B", "kB", "MB", "GB", "TB")
# What says where a run is kept, not what it computes.
_HOUSEKEEPING = ("name", "resume", "overwrite", "run")
# Groups of the configuration whose choice is known by its name.
_CHOICES = ("data", "model", "prior", "dynamics")
_TOLD = (
    *("finished", "command", "seed", "device", "input", "gate", "seconds", "peak_memory_bytes", "versions"),
    *("commit", "python", "platform", "config", "best_epoch", "run"),
)
_SET_CITATIONS = {
    "pbmc68k": "the bundled blood cells: Zheng et al. 2017, Nature Communications 8:14049",
    "krumsiek11": "the simulated set: Krumsiek et al. 2011, PLoS ONE 6:e22649",
}


def numbers(network: GeneNetwork, record: dict[str, Any]) -> Rows:
    """The few figures that head the page: value and what it counts."""
    gate = record.get("gate") or {}
    rows = [(f"{gate['cells']:,}", "cells")] if "cells" in gate else []
    rows += [
        (f"{len(network.genes):,}", "genes"),
        (f"{len(network.regulators):,}", "regulators"),
        (f"{len(network):,}", "edges"),
    ]
    if network.groups:
        rows.append((f"{len(network.groups):,}", "groups of cells"))
    return rows


def summary(network: GeneNetwork, record: dict[str, Any]) -> str:
    """The run in one sentence or two."""
    gate, config = record.get("gate") or {}, record.get("config") or {}
    cells = f" from {gate['cells']:,} cells" if "cells" in gate else ""
    name = (record.get("input") or {}).get("name")
    data = f" of {_file_name(record) or name}" if cells and name else ""
    by = f", one network for each of {len(network.groups)} groups ({config.get('group_by')})" if network.groups else ""
    method = network.params.get("method")
    how = f" by {'the model ' if 'model' in network.params else ''}{method}" if method else ""
    if not len(network):
        return f"No edge was found between {len(network.regulators):,} regulators and {len(network.genes):,} genes."
    kind = "signed edges" if network.signed else "edges without signs"
    first = network.edges.iloc[0]
    where = f" in {first['group']}" if network.groups else ""
    return (
        f"{len(network):,} {kind} from {len(network.regulators):,} regulators to {len(network.genes):,} genes, "
        f"inferred{cells}{data}{how}{by}. The strongest: {first['source']} {WORDS[int(first['sign'])]} "
        f"{first['target']}{where} (weight {number(float(first['weight']))})."
    )


def check_gate(record: dict[str, Any]) -> None:
    """Refuse a record whose report on the data is not what the gate writes.

    Raises
    ------
    grn._errors.InputError
        If an entry has another type than that of `grn.data.report.GateReport`.
    """
    gate = record.get("gate") or {}
    hints = get_type_hints(GateReport)
    for name, value in gate.items():
        of_each = {"tf_absent": str, "groups": int}.get(name)
        inner = value.values() if of_each is not None and isinstance(value, dict) else ()
        if name in hints and not (fits(hints[name], value) and all(fits(of_each, one) for one in inner)):
            raise InputError(
                f"run.json was changed or is damaged: its gate.{name} is {str(value)[:60]!r}, expected "
                f"{describe(hints[name])}."
            )


def gate_rows(record: dict[str, Any]) -> Rows:
    """What the gate found and did, as the terminal shows it; its notes are among the cautions."""
    gate = record.get("gate")
    if not gate:
        return []
    known = {field.name: gate[field.name] for field in fields(GateReport) if field.name in gate}
    needed = {field.name for field in fields(GateReport) if field.default is field.default_factory is MISSING}
    if not needed <= set(known):
        # Written by another version of grn, whose gate reported something else.
        return [(str(key), _plain(value)) for key, value in gate.items() if key != "notes"]
    return GateReport(**{**known, "notes": ()}).rows()


def cautions(network: GeneNetwork, record: dict[str, Any]) -> list[str]:
    """What a reader of this very network should know before trusting it."""
    gate = record.get("gate") or {}
    found = [f"Input: {note}." for note in gate.get("notes", ())]
    cells = gate.get("cells")
    if cells is not None and cells < FEW_CELLS:
        found.append(f"Only {cells:,} cells: the weak edges are chance, and the strong ones are uncertain.")
    small = [name for name, count in (gate.get("groups") or {}).items() if count < FEW_IN_GROUP]
    if small:
        shown = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        found.append(f"Groups of fewer than {FEW_IN_GROUP} cells say little of their own: {shown}.")
    if gate.get("tf_list") and len(network.regulators) == len(network.genes):
        found.append("Every gene was allowed as a regulator: the direction of an edge then says little.")
    if not network.signed:
        found.append("This method does not tell activation from repression.")
    if network.params.get("method") == "transformer":
        found.append("The transformer is there for comparison: its map follows co-expression, and so do its signs.")
    return found


def evidence(network: GeneNetwork) -> str:
    """How many edges pass a false discovery rate; empty without q-values."""
    if "qvalue" not in network.edges:
        return ""
    q = network.edges["qvalue"]
    counts = " and ".join(f"{int((q <= limit).sum()):,} have q \u2264 {limit:g}" for limit in (0.05, 0.2))
    return f"Of {len(q):,} tested edges {counts}."


def made_rows(network: GeneNetwork, record: dict[str, Any]) -> Rows:
    """How the network was made: everything that another needs to make it again."""
    given, versions = record.get("input") or {}, record.get("versions") or {}
    params, seconds = network.params, record.get("seconds") or {}
    memory = record.get("peak_memory_bytes") or {}
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "grn")
    phases = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    rows = [
        ("Command", record.get("command")),
        ("Read out from", record.get("run")),
        ("Finished", record.get("finished")),
        ("grn", versions.get("grn") or params.get("version")),
        ("Commit", record.get("commit")),
        ("Method", params.get("method")),
        ("Read-out", params.get("readout")),
        ("Confidence", _in_words(params["confidence"]) if params.get("confidence") else None),
        ("Seed", record.get("seed", params.get("seed"))),
        ("Device", record.get("device")),
        ("Input", _file_name(record) or given.get("name")),
        ("SHA-256", f"{given['sha256']} (of the {given.get('of', 'input')})" if given.get("sha256") else None),
        ("Best epoch", record.get("best_epoch")),
        ("Seconds", f"{sum(seconds.values()):.1f} ({phases})" if seconds else None),
        ("Peak memory", ", ".join(f"{size(value)} ({name})" for name, value in memory.items())),
        *((key.replace("_", " ").capitalize(), _in_words(value)) for key, value in record.items() if key not in _TOLD),
        ("Python", record.get("python")),
        ("Platform", record.get("platform")),
        ("Packages", others),
    ]
    return [(label, _plain(value)) for label, value in rows if value not in (None, "", {})]


def settings(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Settings that differ from the defaults of the choices made: key, value, default.

    The defaults are those of the installed version; a choice other than the default one (`data=h5ad`) is a row too.
    """
    config = record.get("config")
    if not config:
        return []
    command = "train" if "training" in config else "infer"
    plain, chosen = _defaults(command, ()), _chosen(config)
    rows = []
    for group, choice in chosen.items():
        before = (plain.get(group) or {}).get("name")
        if choice != before:
            rows.append((group, choice, _plain(before)))
    expected = dict(_leaves(_defaults(command, tuple(chosen.items()))))
    for key, value in _leaves(config):
        default = expected.get(key)
        if key in _HOUSEKEEPING or value == default or key in {f"{group}.name" for group in chosen}:
            continue
        rows.append((key, _plain(value), _plain(default)))
    return rows


def whole_config(record: dict[str, Any]) -> str:
    """The whole configuration, as YAML."""
    config = record.get("config")
    if not config:
        return ""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config))


def citation(record: dict[str, Any], network: GeneNetwork) -> list[str]:
    """What to cite, as in the README."""
    version = (record.get("versions") or {}).get("grn") or network.params.get("version")
    commit = record.get("commit")
    package = "grn" + (f", version {version}" if version else "") + (f", commit {commit}" if commit else "")
    lines = [f"This package: \u201c{package}, signed gene regulatory networks by spherical attention\u201d."]
    method = network.params.get("method")
    from grn.evaluation.baselines import BASELINES

    if method in BASELINES:
        lines.append(f"The method {method}: {BASELINES[method].source}.")
    else:
        lines.append("The attention: Abbott et al. 2025, arXiv 2505.09326.")
    data = (record.get("input") or {}).get("name")
    if data in _SET_CITATIONS:
        lines.append(f"For {_SET_CITATIONS[data]}.")
    return lines


def size(count: float) -> str:
    """Bytes in the unit that fits.

    Examples
    --------
    >>> size(780386304), size(512)
    ('780 MB', '512 B')
    """
    value, power = float(count), 0
    while value >= 1000 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.1f} {_UNITS[power]}" if value < 10 and power else f"{value:.0f} {_UNITS[power]}"


def _chosen(config: dict[str, Any]) -> dict[str, str]:
    """The choices of the configuration's groups that this version knows, by group."""
    from grn.config import conf_dir

    chosen = {}
    for group in _CHOICES:
        node = config.get(group)
        name = node.get("name") if isinstance(node, dict) else None
        if isinstance(name, str) and name in {path.stem for path in (conf_dir() / group).glob("*.yaml")}:
            chosen[group] = str(name)
    return chosen


@functools.lru_cache(maxsize=8)
def _defaults(command: str, chosen: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    from grn.config import compose

    composed = compose(command, [f"{group}={choice}" for group, choice in chosen])
    plain = OmegaConf.to_container(_without_missing(composed), resolve=True)
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def _without_missing(composed: Any) -> Any:
    """Values that a user must give have no default: they become empty, so that those referring to them resolve."""
    from omegaconf import OmegaConf

    for key in OmegaConf.missing_keys(composed):
        OmegaConf.update(composed, key, None)
    return composed


def _leaves(config: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _file_name(record: dict[str, Any]) -> str | None:
    """The input's name without its folder: a report is sent to others."""
    path = (record.get("input") or {}).get("path")
    return None if path is None else Path(str(path)).name


def _in_words(value: Any) -> str:
    """Facts of a run as a line: "regulators 1.45, genes 12.4"."""
    if isinstance(value, dict):
        inner = (
            f"{key} {'(' + _in_words(one) + ')' if isinstance(one, dict) else _in_words(one)}"
            for key, one in value.items()
        )
        return ", ".join(inner)
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
