"""A run may be continued only as what it was: the same settings, cells, genes, regulators and groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grn._errors import InputError
from grn._provenance import matrix_checksum
from grn._stored import read_record
from grn.data import CheckedData
from grn.training.checkpoints import LAST, load_checkpoint

# Settings that say where a run goes, on what it is computed or what is written, not what is trained.
_FREE = ("name", "resume", "overwrite", "network", "prior", "confidence")
_FREE_OF_TRAINER = ("accelerator", "devices", "num_nodes", "strategy")


def describe(config: Mapping[str, Any], checked: CheckedData) -> dict[str, Any]:
    """What makes a run the run it is: settings that matter to training, and a digest of the data."""
    parts: list[Any] = [[] if one is None else one.astype(str) for one in (checked.groups, checked.batches)]
    settings = _what_is_trained(config)
    return {
        "config": settings,
        "input": matrix_checksum(checked.x, checked.genes, checked.cells, checked.tf_names, *parts),
        "kind": checked.report.kind,
    }


def refuse_other_run(folder: Path, description: Mapping[str, Any]) -> None:
    """Raise where the folder's last checkpoint belongs to other settings or other data."""
    last = folder / "checkpoints" / LAST
    if not last.exists():
        return
    before = load_checkpoint(last, of_run=True)["grn"]
    _refuse_changes(folder, before["config"], description["config"])
    if before["input"] != description["input"]:
        raise InputError(
            f"The cells, genes, TFs, groups or batches are not those the run in {folder} was started with; "
            "overwrite=true starts again."
        )


def refuse_changes_to_finished(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise where a finished run is asked to resume with settings that it was not made with."""
    before = read_record(folder).get("config", {})
    now = json.loads(json.dumps(dict(config), default=str))
    _refuse_changes(folder, _what_is_trained(before), _what_is_trained(now))
    for key in ("network", "prior", "confidence"):
        if before.get(key) != now.get(key):
            raise InputError(
                f"The run in {folder} is finished with other settings of {key}. `grn infer run={folder.name}` reads it "
                "out again with these."
            )


def _what_is_trained(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _FREE}
    trainer = config.get("trainer") or {}
    kept["trainer"] = {key: value for key, value in trainer.items() if key not in _FREE_OF_TRAINER}
    return kept


def _refuse_changes(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        raise InputError(
            f"The run in {folder} was started with other settings of {', '.join(changed)}. Resume it with the same "
            "ones, or start again with overwrite=true."
        )
