"""`grn compare`: lay two networks side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from grn._errors import InputError
from grn.commands._launch import launch, task
from grn.config import conf_dir, plain_config

if TYPE_CHECKING:
    import pandas as pd

    from grn.analysis import Comparison

_SHOWN = 10  # rows of the edges that differ most


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="compare")
@task
def compare(cfg: DictConfig) -> None:
    """Read, compare, show, and write where that is asked for."""
    from grn.analysis import compare as compare_networks
    from grn.network import GeneNetwork

    output = None if cfg.output is None else Path(cfg.output)
    if output is not None and output.suffix not in (".json", ".csv", ".tsv"):
        raise InputError(f"output={output} must end in .json, .csv or .tsv.")
    if cfg.other is None and cfg.other_group is None:
        raise InputError("Give other=..., another network, or group=... and other_group=..., two groups of this one.")
    network = GeneNetwork.read(cfg.network)
    found = compare_networks(
        network,
        network if cfg.other is None else GeneNetwork.read(cfg.other),
        top=plain_config(cfg)["top"],
        differences=cfg.differences,
        group=cfg.group,
        other_group=cfg.other_group,
    )
    _show(found, f"{_named(cfg.network, cfg.group)} and {_named(cfg.other or cfg.network, cfg.other_group)}")
    if output is not None:
        write_comparison(found, output)


def write_comparison(found: Comparison, path: Path) -> None:
    """Write everything as one JSON object, or the edges that differ most as a table."""
    from grn._files import write_text
    from grn.commands._files import write_table

    if path.suffix == ".json":
        write_text(path, f"{json.dumps(found.to_dict(), indent=2)}\n")
        return
    write_table(found.differences, path)


def _show(found: Comparison, title: str) -> None:
    from grn import console

    if "group" in found.summary:
        _show_table(title, found.summary)
    else:
        console.show_rows(title, [(str(name), _text(found.summary[name].iloc[0])) for name in found.summary])
    _show_table("Strongest edges", found.overlap)
    _show_table("Edges that differ most", found.differences.head(_SHOWN))


def _show_table(title: str, table: pd.DataFrame) -> None:
    from grn import console

    rows = [[_text(value) for value in row] for row in zip(*(table[name].tolist() for name in table), strict=True)]
    console.show_table(title, [str(name) for name in table], rows)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _named(network: str, group: str | None) -> str:
    return network if group is None else f"{network} ({group})"


def main() -> None:
    """Entry point of the command."""
    launch(compare, "compare")


if __name__ == "__main__":
    main()
