"""A data root with two tiny sets, and methods that another process can import."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import anndata
import numpy as np
import pandas as pd
import pytest

from grn.evaluation.benchmark import Method, Results, SetSpec, collect, plan, run
from grn.evaluation.benchmark.table import Family

METHODS = """
import os
import numpy as np
from pathlib import Path

def pearson(problem, seed):
    _note(problem, "pearson")
    return np.corrcoef(problem.x.T)[problem.regulators]

def noisy(problem, seed):
    _note(problem, f"noisy{seed}")
    shape = (len(problem.regulators), len(problem.genes))
    return pearson(problem, seed) + 0.3 * np.random.default_rng(seed).standard_normal(shape)

def broken(problem, seed):
    print("what it printed")
    raise RuntimeError("no convergence")

def undefined(problem, seed):
    return np.full((len(problem.regulators), len(problem.genes)), np.nan)

def dies(problem, seed):
    os._exit(3)

def sleeps(problem, seed):
    import time
    time.sleep(60)

def greedy(problem, seed):
    np.ones(40_000_000).sum()
    return pearson(problem, seed)

def threads(problem, seed):
    assert os.environ["OMP_NUM_THREADS"] == "1"
    return pearson(problem, seed)

def _note(problem, name):
    with open(os.environ["GRN_TEST_NOTES"], "a") as stream:
        stream.write(name + "\\n")
"""


@pytest.fixture(scope="session")
def _methods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("lib")
    (folder / "fake_methods.py").write_text(METHODS)
    # Spawned processes get this path too.
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("fake_methods")
    del sys.modules["fake_methods"]


@pytest.fixture
def fakes(_methods: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the methods above; `notes` in `tmp_path` gets a line for each call."""
    monkeypatch.setenv("GRN_TEST_NOTES", str(tmp_path / "notes"))
    return _methods


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sets of one's own, to be changed."""
    return make_sets(tmp_path / "sets")


@pytest.fixture(scope="session")
def results(_methods: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Tables of two good methods and one that fails, on both sets with two seeds."""
    folder = tmp_path_factory.mktemp("results")
    methods = [
        Method("pearson", _methods.pearson, seeded=False),
        Method("noisy", _methods.noisy),
        Method("broken", _methods.broken, seeded=False),
    ]
    sets = [SetSpec("counts", "real"), SetSpec("plain", "small")]
    cells, _ = plan(methods, sets, [0, 1], ["all_genes"], root=make_sets(folder / "sets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRN_TEST_NOTES", str(folder / "notes"))
        run(cells, folder, workers=2)
    families = {"small": Family("simulated, small", False), "real": Family("real", True)}
    return collect(cells, folder, families, [{"set": "gone", "reason": "no folder"}])


def make_sets(folder: Path) -> Path:
    """Two sets of 8 genes, three of them regulators: `counts` with two references, `plain` with one and replicates."""
    random = np.random.default_rng(0)
    genes = [f"g{number}" for number in range(8)]
    counts = random.poisson(5.0, (40, 8)).astype(np.float32)
    counts[:, 3] = 2 * counts[:, 0]
    counts[:, 4] = np.maximum(20 - 2 * counts[:, 0], 0)
    for name in ("counts", "plain"):
        (folder / name).mkdir(parents=True)
        (folder / name / "tfs.txt").write_text("g0\ng1\ng2\nabsent\n")
        adata = anndata.AnnData(np.log1p(counts), var=pd.DataFrame(index=genes))
        adata.obs_names = [f"c{number}" for number in range(40)]
        if name == "counts":
            adata.layers["counts"] = counts
        adata.write_h5ad(folder / name / "expression.h5ad")
        truth = pd.DataFrame({"source": ["g0", "g0", "g1"], "target": ["g3", "g4", "g5"], "sign": [1, -1, 1]})
        truth.to_csv(folder / name / "network.csv", index=False)
    truth.iloc[:2].assign(sign=0).to_csv(folder / "counts" / "network.other.csv", index=False)
    adata.obs["replicate"] = np.repeat([0, 1], 20)
    adata.write_h5ad(folder / "plain" / "replicates.h5ad")
    return folder
