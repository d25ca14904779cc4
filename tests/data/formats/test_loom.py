"""Loom files whose expression is sound are read, whatever their other attributes are."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest

from grn._errors import InputError
from grn.data import check, read_expression
from grn.data.formats import loom


@pytest.fixture
def scenic(counts: anndata.AnnData, tmp_path: Path) -> Path:
    """As SCENIC writes it: regulons as compound attributes, no version, names as bytes of fixed length."""
    cells, genes = counts.shape
    regulons = np.dtype([("GATA1(+)", "f8"), ("SPI1(+)", "f8")])
    with h5py.File(tmp_path / "a.loom", "w") as file:
        file["matrix"] = counts.X.toarray().T
        file["row_attrs/Gene"] = np.array(counts.var_names, dtype="S")
        file["row_attrs/Regulons"] = np.zeros(genes, dtype=regulons)
        file["col_attrs/CellID"] = np.array(counts.obs_names, dtype="S")
        file["col_attrs/RegulonsAUC"] = np.zeros(cells, dtype=regulons)
        file["col_attrs/cell_type"] = np.array(counts.obs["cell_type"], dtype=object)
        file["col_attrs/n_genes"] = counts.obs["n_genes"].to_numpy()
        file["col_attrs/empty"] = np.array([], dtype="S1")
        file["col_attrs/null"] = h5py.Empty("f4")
        file["col_attrs/embedding"] = np.zeros((cells, 2))
        file["layers/spliced"] = counts.X.toarray().T
    return tmp_path / "a.loom"


def test_a_loom_of_scenic(scenic: Path, counts: anndata.AnnData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="grn"):
        read = read_expression(scenic)
    np.testing.assert_array_equal(read.X.toarray(), counts.X.toarray())
    np.testing.assert_array_equal(read.layers["spliced"].toarray(), counts.X.toarray())
    assert read.var_names.tolist() == counts.var_names.tolist()
    assert read.obs_names.tolist() == counts.obs_names.tolist()
    assert list(read.obs) == ["cell_type", "n_genes"]
    assert check(read, group_by="cell_type").group_names == ["B", "T"]
    assert "col_attrs: RegulonsAUC, embedding, empty, null do not hold one value for each" in caplog.text


def test_blocks_of_cells_give_the_whole(scenic: Path, counts: anndata.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loom, "_VALUES_AT_ONCE", 7 * counts.n_vars)
    np.testing.assert_array_equal(read_expression(scenic).X.toarray(), counts.X.toarray())


def test_names_that_are_empty_are_taken_from_the_next_attribute(scenic: Path) -> None:
    with h5py.File(scenic, "r+") as file:
        del file["row_attrs/Gene"]
        file["row_attrs/Gene"] = h5py.Empty("S1")
        file["row_attrs/Accession"] = np.array([f"ENSG{number:011d}" for number in range(12)], dtype=object)
    assert read_expression(scenic).var_names[0] == "ENSG00000000000"


@pytest.mark.parametrize("content", ["text", 3.0, [1.0, 2.0]])
def test_a_matrix_that_is_none_is_refused(scenic: Path, content: object) -> None:
    with h5py.File(scenic, "r+") as file:
        del file["matrix"]
        file["matrix"] = content
    with pytest.raises(InputError, match="no two dimensions"):
        read_expression(scenic)
