"""The benchmark script on a tiny set of its own: its rows, its tables, its record."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "dynamics.py"


@pytest.fixture
def root(cells_in_time: Callable, system: Callable, tmp_path: Path) -> Path:
    adata, weights = cells_in_time(), system().weights
    folder = tmp_path / "beeline-dyn-LI"
    folder.mkdir()
    adata.obs["replicate"] = 0
    adata.write_h5ad(folder / "replicates.h5ad")
    (folder / "tfs.txt").write_text("\n".join(adata.var_names[:6]))
    edges = [(f"G{one}", f"G{other}", int(np.sign(weights[one, other]))) for one, other in np.argwhere(weights)]
    pd.DataFrame(edges, columns=["source", "target", "sign"]).to_csv(folder / "network.csv", index=False)
    return tmp_path


def test_the_benchmark(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("dynamics_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dynamics_benchmark", script)
    spec.loader.exec_module(script)
    arguments = ["--root", str(root), "--replicates", "1", "--results", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["dynamics.py", *arguments, "--sets", "beeline-dyn-LI", "mDC-500"])
    try:
        with warnings.catch_warnings():
            script.main()
    finally:
        logging.disable(logging.NOTSET)
    shown = capsys.readouterr()
    assert "mDC-500 is skipped: no expression.h5ad and no tfs.txt" in shown.err
    assert "| beeline-dyn-LI | 400 | pseudotime | truth | open |" in shown.out
    (path,) = (tmp_path / "results").glob("dynamics-*.json")
    result = json.loads(path.read_text())
    assert {"command", "date", "commit", "machine", "versions", "means", "gates"} <= set(result)
    (entry,) = result["means"]
    ratio = entry["auprc_ratio"]
    assert ratio["gated"] == pytest.approx(ratio["sum"], abs=2e-3)
    assert ratio["dynamics"] > 2 * ratio["permuted"]
    assert ratio["sum"] > ratio["steady"] > 0
    assert ratio["lagged"] > 0
    assert result["gates"][0]["reliability"] > 0.9
