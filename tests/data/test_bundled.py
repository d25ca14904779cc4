from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grn.data.bundled import krumsiek11, pbmc68k


def test_pbmc68k_is_the_log_normalised_matrix():
    adata = pbmc68k()
    assert adata.shape == (700, 765)
    assert adata.raw is None
    assert adata.X.dtype == np.float32
    assert adata.X.min() == 0
    assert 5 < adata.X.max() < 10
    assert adata.obs["bulk_labels"].nunique() == 10
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    assert adata.obsm["X_umap"].shape == (700, 2)


def test_krumsiek11_is_clipped_and_its_names_are_unique():
    import scanpy as sc

    adata = krumsiek11()
    with pytest.warns(UserWarning, match="not unique"):
        shipped = sc.datasets.krumsiek11().X
    np.testing.assert_array_equal(adata.X, np.maximum(shipped, 0))
    assert adata.obs_names.is_unique
    assert adata.obs["cell_type"].value_counts().to_dict() == {
        "progenitor": 320,
        "Mo": 80,
        "Ery": 80,
        "Mk": 80,
        "Neu": 80,
    }
    assert adata.obs["time"].tolist() == list(range(160)) * 4


def test_krumsiek11_truth_is_that_of_the_model_scanpy_simulates():
    import scanpy

    lines = (Path(scanpy.__file__).parent / "sim_models" / "krumsiek11.txt").read_text().splitlines()
    couplings = [line.split() for line in lines[lines.index("# coupling list:") + 1 :] if line.strip()]
    expected = {(source, target): np.sign(float(k)) for target, source, k in couplings if source != target}
    reference = krumsiek11().uns["reference"]
    found = {(s, t): sign for s, t, sign in reference.itertuples(index=False)}
    assert found == expected
    assert len(reference) == 26
    assert (reference["sign"] > 0).sum() == 11
    assert set(reference["source"]) | set(reference["target"]) == set(krumsiek11().var_names)


@pytest.mark.shared_data
def test_krumsiek11_truth_is_that_of_beeline(shared_data):
    theirs = pd.read_csv(shared_data / "beeline-HSC" / "network.csv").replace(
        {"Pu1": "Pu.1", "Eklf": "EKLF", "Scl": "SCL"}
    )
    theirs = theirs[theirs["source"] != theirs["target"]]
    ours = krumsiek11().uns["reference"]
    assert set(theirs.itertuples(index=False, name=None)) == set(ours.itertuples(index=False, name=None))
