from __future__ import annotations

import grn.datasets
from grn.data.simulator.simulate import simulate


def test_the_face_offers_the_sets_of_the_room():
    assert grn.datasets.__all__ == ["beeline", "krumsiek11", "paul15", "pbmc3k", "pbmc68k", "simulated"]
    assert all(callable(getattr(grn.datasets, name)) for name in grn.datasets.__all__)
    assert grn.datasets.simulated is simulate


def test_known_truths_have_one_form():
    for adata in (grn.datasets.krumsiek11(), grn.datasets.simulated(20, 20, 5, n_masters=2)):
        reference = adata.uns["reference"]
        assert list(reference.columns) == ["source", "target", "sign"]
        assert reference["sign"].dtype == "int8"
        assert (reference["source"] != reference["target"]).all()
