"""The examples in the docstrings of `grn.pl` run, and every figure is on its page."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import grn
from grn import pl
from grn.network import GeneNetwork, add_to_anndata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plots.md"


@pytest.mark.parametrize(
    "name",
    ["activity", "confidence", "differential", "heatmap", "network", "precision_recall", "regulators", "training"],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"grn.plotting.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_figure_is_documented() -> None:
    shown = set(re.findall(r"grn\.pl\.(\w+)", PAGE.read_text(encoding="utf-8")))
    assert shown == set(pl.__all__)


def test_the_lines_of_the_page_run(
    make: Callable[..., GeneNetwork], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the first block, in place of which a small network under the page's names is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "my_run").mkdir(parents=True)
    losses = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0]})
    losses.to_csv(tmp_path / "outputs" / "my_run" / "metrics.csv", index=False)
    names = ["SPI1", "HOPX", "GATA2", "SPIB", *(f"G{i}" for i in range(26))]
    edges = make(4, 30).edges.replace({f"GENE{i}": name for i, name in enumerate(names)})
    edges = edges.assign(confidence=0.9, qvalue=0.01)
    adata = anndata.AnnData(np.ones((5, 30), dtype=np.float32), var=pd.DataFrame(index=names))
    add_to_anndata(adata, GeneNetwork.from_edges(edges))
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(5, 2))
    adata.obsm["grn_activity"] = pd.DataFrame(adata.X[:, :4], index=adata.obs_names, columns=names[:4])
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert "grn.tl.infer" in blocks[0]
    known: dict[str, object] = {"grn": grn, "adata": adata}
    for block in blocks[1:]:
        exec(compile(block, PAGE.name, "exec"), known)
    assert (tmp_path / "both.png").stat().st_size > 1000
