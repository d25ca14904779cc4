"""Predictions for geneRNIB, read as its metrics read them."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.network import GeneNetwork

GENES = ["SPI1", "NA", "1e5", "007"]


@pytest.fixture
def network() -> GeneNetwork:
    values = np.random.default_rng(2).normal(size=(2, 4)).astype(np.float32)
    return GeneNetwork.from_matrix(values, GENES[:2], GENES, params={"method": "regulatory", "dataset_id": "replogle"})


def test_slots_and_types(network: GeneNetwork, tmp_path: Path) -> None:
    network.write(tmp_path / "p.genernib.h5ad")
    uns = anndata.read_h5ad(tmp_path / "p.genernib.h5ad").uns
    assert (uns["dataset_id"], uns["method_id"]) == ("replogle", "regulatory")
    net = uns["prediction"]
    assert isinstance(net, pd.DataFrame)
    assert net.columns.tolist() == ["source", "target", "weight"]
    assert net["weight"].abs().is_monotonic_decreasing
    assert net["weight"].dtype == np.float32
    assert all(isinstance(name, str) for name in [*net["source"], *net["target"]])
    # What the metrics do first: text, no self-edges, numbers, the mean of an edge's copies, strongest first.
    cleaned = net.astype({"source": str, "target": str}).assign(weight=pd.to_numeric(net["weight"], errors="coerce"))
    cleaned = cleaned.groupby(["source", "target"], as_index=False)["weight"].mean()
    assert len(cleaned) == len(network)
    assert cleaned["weight"].notna().all()


def test_it_comes_back(network: GeneNetwork, tmp_path: Path) -> None:
    network.write(tmp_path / "p.h5ad", format="genernib")
    back = GeneNetwork.read(tmp_path / "p.h5ad", format="genernib")
    pd.testing.assert_frame_equal(back.edges, network.edges)
    assert back.params == network.params


def test_a_dataset_without_a_name_is_told(
    network: GeneNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="grn"):
        GeneNetwork.from_edges(network.edges).write(tmp_path / "p.genernib.h5ad")
    assert "names no dataset: set network.params['dataset_id']" in caplog.text
    assert GeneNetwork.read(tmp_path / "p.genernib.h5ad").params == {"method": "grn"}


def test_a_prediction_of_theirs_is_read(tmp_path: Path) -> None:
    """Their methods write weights as text."""
    net = pd.DataFrame({"source": ["A", "B"], "target": ["B", "A"], "weight": ["0.25", "-1.5"]})
    anndata.AnnData(uns={"dataset_id": "op", "method_id": "x", "prediction": net}).write_h5ad(tmp_path / "p.h5ad")
    back = GeneNetwork.read(tmp_path / "p.h5ad", format="genernib")
    assert back.edges["weight"].tolist() == [-1.5, 0.25]
    assert back.params == {"dataset_id": "op", "method": "x"}


def test_other_files_are_refused(network: GeneNetwork, tmp_path: Path) -> None:
    network.write(tmp_path / "n.h5ad")
    with pytest.raises(InputError, match=r"holds no table uns\['prediction'\].*format=h5ad"):
        GeneNetwork.read(tmp_path / "n.h5ad", format="genernib")
    network.write(tmp_path / "p.h5ad", format="genernib")
    with pytest.raises(InputError, match=r"holds no network.*format=genernib"):
        GeneNetwork.read(tmp_path / "p.h5ad")
    (tmp_path / "p.h5ad").write_bytes(b"no h5")
    with pytest.raises(InputError, match=r"p\.h5ad is not an HDF5 file"):
        GeneNetwork.read(tmp_path / "p.h5ad", format="genernib")
