"""The commands without a run folder: evaluate, export, simulate, doctor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def files(tmp_path: Path) -> None:
    edges = pd.DataFrame({"source": ["A", "A", "B"], "target": ["B", "C", "C"], "weight": [0.9, -0.5, 0.1]})
    edges.to_csv(tmp_path / "network.tsv", sep="\t", index=False)
    truth = pd.DataFrame({"source": ["A", "B"], "target": ["B", "C"], "sign": [1, 1]})
    truth.to_csv(tmp_path / "truth.csv", index=False)


@pytest.mark.usefixtures("files")
def test_evaluate_shows_and_writes_the_python_result(grn_command: Callable, tmp_path: Path) -> None:
    from grn.evaluation import evaluate
    from grn.network import GeneNetwork

    done = grn_command("evaluate", "network=network.tsv", "reference=truth.csv", "output=scores.json")
    assert done.code == 0, done.err
    expected = evaluate(GeneNetwork.read(tmp_path / "network.tsv"), tmp_path / "truth.csv")
    written = json.loads((tmp_path / "scores.json").read_text())
    assert {name: value for name, value in written.items() if value is not None} == pytest.approx(
        {name: value for name, value in expected.items() if value == value}
    )
    assert f"{expected['auprc']:.4f}" in done.out
    assert grn_command("evaluate", "network=network.tsv", "reference=truth.csv", "output=scores.csv").code == 0
    table = pd.read_csv(tmp_path / "scores.csv", index_col="metric")["value"]
    assert table["auprc"] == pytest.approx(expected["auprc"])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("suffix", ["txt", "h5ad"])
def test_evaluate_takes_the_genes_of_the_data(suffix: str, grn_command: Callable, tmp_path: Path) -> None:
    import anndata

    genes = ["A", "B", "C", "D", "E"]
    (tmp_path / "genes.txt").write_text("\n".join(genes))
    anndata.AnnData(np.zeros((2, 5)), var=pd.DataFrame(index=genes)).write_h5ad(tmp_path / "genes.h5ad")
    given = ("network=network.tsv", "reference=truth.csv", "output=scores.json")
    assert grn_command("evaluate", *given, f"genes=genes.{suffix}").code == 0
    # Two regulators times four other genes; without the list the table's three genes are all there are.
    assert json.loads((tmp_path / "scores.json").read_text())["candidates"] == 8
    assert grn_command("evaluate", *given).code == 0
    assert json.loads((tmp_path / "scores.json").read_text())["candidates"] == 4
    absent = grn_command("evaluate", *given, "genes=no.txt")
    assert absent.code != 0
    assert "There is no file no.txt in " in absent.err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["network=network.tsv"], "reference must be given: add reference=..."),
        (["network=netwrk.tsv", "reference=truth.csv"], "netwrk.tsv"),
        (["network=network.tsv", "reference=truth.csv", "candidates=all"], "expected one of 'all_genes'"),
        (["network=network.tsv", "reference=truth.csv", "output=scores.xlsx"], "must end in .json or .csv"),
        (["network=network.tsv", "reference=truth.csv", "group=T"], "has no groups"),
    ],
)
def test_evaluate_refuses(grn_command: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = grn_command("evaluate", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.tsv", "truth.csv"]


@pytest.mark.usefixtures("files")
def test_export(grn_command: Callable, tmp_path: Path) -> None:
    from grn.network import GeneNetwork

    done = grn_command("export", "network=network.tsv", "output=small/n.graphml", "top=2")
    assert done.code == 0, done.err
    assert "2 edges written to small/n.graphml" in done.out
    assert len(GeneNetwork.read(tmp_path / "small" / "n.graphml")) == 2
    assert grn_command("export", "network=network.tsv", "output=n.txt", "format=sif", "per_target=1").code == 0
    assert len((tmp_path / "n.txt").read_text().splitlines()) == 2
    done = grn_command("export", "network=network.tsv", "output=n.graphm")
    assert (done.code, "Did you mean '.graphml'" in done.err) == (1, True)
    assert not (tmp_path / "n.graphm").exists()


def test_simulate(grn_command: Callable, tmp_path: Path) -> None:
    import anndata

    small = ["data.n_cells=60", "data.n_genes=30", "data.n_tfs=6", "data.n_masters=2", "output=sim (1).h5ad"]
    done = grn_command("simulate", *small)
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(tmp_path / "sim (1).h5ad")
    assert adata.shape == (60, 30)
    reference = pd.read_csv(tmp_path / "sim (1)_reference.csv")
    assert list(reference.columns) == ["source", "target", "sign"]
    again = grn_command("simulate", *small)
    assert (again.code, "would be replaced" in again.err) == (1, True)
    assert grn_command("simulate", *small, "overwrite=true", "data.seed=1").code == 0
    wrong = grn_command("simulate", "output=sim.csv")
    assert (wrong.code, "must end in .h5ad" in wrong.err) == (1, True)


def test_doctor(grn_command: Callable, tmp_path: Path) -> None:
    done = grn_command("doctor")
    assert done.code == 0, done.err
    for word in ("torch", "cpu", "threads", "Attention", "Memory", "downloads", "configuration"):
        assert word in done.out
    assert not list(tmp_path.iterdir())


def test_doctor_knows_the_devices(grn_command: Callable) -> None:
    done = grn_command("doctor", "device=cuda:7")
    assert done.code == 1
    assert "device=cuda:7: there is no such device here" in done.err
