"""`grn train dynamics=time`: the line it says, the record of the run, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from grn.network import GeneNetwork


@pytest.fixture
def base(tmp_path: Path) -> tuple[str, ...]:
    """Settings of a short run on eight genes that go round at four speeds."""
    generator = np.random.default_rng(0)
    time = generator.uniform(0, 12.6, 1000)
    x = np.column_stack([wave(speed * time) for speed in (0.5, 1, 1.5, 2) for wave in (np.sin, np.cos)])
    x = np.exp(0.3 * x + 0.05 * generator.normal(size=x.shape)).astype(np.float32)
    cells = [f"cell{number}" for number in range(len(x))]
    adata = anndata.AnnData(x, obs=pd.DataFrame({"pseudotime": time}, index=cells))
    adata.var_names = [f"G{number}" for number in range(8)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    short = ("trainer.accelerator=cpu", "training.epochs=1", "training.steps_per_epoch=2")
    return ("train", "data=h5ad", "data.path=cells.h5ad", "tf=all", *short)


def test_the_run(grn_command: Callable, base: tuple[str, ...], tmp_path: Path) -> None:
    done = grn_command(*base, "dynamics=time", "dynamics.columns=[pseudotime]", "name=one")
    assert done.code == 0, done.err
    assert done.err.count("dynamics=time: the gate is open and the map is added: gain") == 1
    folder = tmp_path / "outputs" / "one"
    assert (folder / "train.log").read_text().count("dynamics=time: the gate is open") == 1
    record = json.loads((folder / "run.json").read_text())
    facts = record["dynamics"]
    assert facts == GeneNetwork.read(folder).params["dynamics"]
    assert facts.items() >= {"name": "time", "columns": ["pseudotime"], "open": True, "added": True}.items()
    assert {"gain", "gain_permuted", "reliability", "richness", "cells", "distinct_times", "reason"} <= set(facts)
    assert record["config"]["dynamics"] == {"name": "time", "columns": ["pseudotime"], "gate": True}


def test_what_goes_wrong(grn_command: Callable, base: tuple[str, ...]) -> None:
    refused = grn_command(*base, "dynamics=time", "dynamics.columns=[pseudotim]", "name=two")
    assert refused.code == 1
    assert "Error: adata.obs has no column 'pseudotim'. Did you mean 'pseudotime'?" in refused.err
    assert "Traceback" not in refused.err
    unknown = grn_command(*base, "dynamics=tme", "name=two")
    assert unknown.code == 2
    assert "Did you mean 'time'" in unknown.err
