"""Every model of the configuration, from data to files; groups of cells; backends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest

import grn
from grn._errors import InputError
from grn.kernels.dispatch import BACKENDS
from grn.network import GeneNetwork

TINY = {
    "regulatory": (),
    "contextual": ("model.encoder.dim=8", "model.encoder.heads=2", "model.encoder.layers=1"),
    "transformer": ("model.dim=8", "model.heads=2"),
}


def correlation(one: GeneNetwork, other: GeneNetwork, group: str | None = None) -> float:
    first = one.matrix(group)
    second = other.matrix(group).loc[first.index, first.columns]
    return float(np.corrcoef(first.to_numpy().ravel(), second.to_numpy().ravel())[0, 1])


@pytest.mark.parametrize("model", TINY)
def test_every_model_trains(model: str, train_here: Callable[..., GeneNetwork], tmp_path: Path) -> None:
    network = train_here("plain", f"model={model}", *TINY[model])
    assert (tmp_path / "plain" / "run.json").exists()
    assert network.params["method"] == model
    assert network.groups is None or not len(network.groups)
    assert len(network) == 110
    assert {1, -1} == set(network.edges["sign"])


@pytest.mark.parametrize("model", TINY)
def test_every_model_gives_one_network_per_group(
    model: str, train_here: Callable[..., GeneNetwork], krumsiek: anndata.AnnData, tmp_path: Path
) -> None:
    network = train_here("grouped", f"model={model}", "group_by=cell_type", *TINY[model])
    groups = sorted(krumsiek.obs["cell_type"].astype(str).unique())
    assert sorted(network.edges["group"].unique()) == groups
    assert sorted(GeneNetwork.read(tmp_path / "grouped").edges["group"].unique()) == groups
    one, other = network.matrix(groups[0]), network.matrix(groups[1])
    assert not np.allclose(one, other.loc[one.index, one.columns])


@pytest.mark.parametrize("attention", ["spherical", "softmax"])
@pytest.mark.parametrize("model", ["regulatory", "transformer"])
def test_softmax_is_never_negative(model: str, attention: str, train_here: Callable[..., GeneNetwork]) -> None:
    network = train_here("run", f"model={model}", f"model.attention={attention}", *TINY[model])
    # The map itself is positive; the regulatory effect carries no sign from anywhere else.
    assert ((network.edges["sign"] == 1).all()) == (attention == "softmax")


@pytest.mark.parametrize("model", ["regulatory", "transformer"])
def test_backends_give_the_same_network(model: str, train_here: Callable[..., GeneNetwork]) -> None:
    networks = {form: train_here(form, f"model={model}", f"model.backend={form}", *TINY[model]) for form in BACKENDS}
    assert correlation(networks["linear"], networks["reference"]) > 0.999
    assert correlation(networks["flashsign"], networks["reference"]) > 0.999


def test_an_unknown_group_column_is_named(train_here: Callable[..., GeneNetwork]) -> None:
    with pytest.raises(InputError, match=r"cell_typ.*Did you mean 'cell_type'"):
        train_here("run", "group_by=cell_typ")


def test_group_names_with_a_slash_survive(krumsiek: anndata.AnnData, short: tuple[str, ...], tmp_path: Path) -> None:
    names = {"Mo": "CD4/CD8", "Ery": "B cells (naive)"}
    krumsiek.obs["kind"] = [names.get(kind, "other") for kind in krumsiek.obs["cell_type"]]
    grn.tl.infer(krumsiek, tf="all", group_by="kind", overrides=short)
    krumsiek.write_h5ad(tmp_path / "cells.h5ad")
    again = anndata.read_h5ad(tmp_path / "cells.h5ad")
    edges = grn.get.edges(again, group="CD4/CD8")
    assert len(edges) == 110
    np.testing.assert_array_equal(edges["weight"], grn.get.edges(krumsiek, group="CD4/CD8")["weight"])
    assert set(grn.get.edges(again)["group"]) == {"CD4/CD8", "B cells (naive)", "other"}


def test_train_writes_groups_with_a_slash(
    krumsiek: anndata.AnnData, train_here: Callable[..., GeneNetwork], tmp_path: Path
) -> None:
    krumsiek.obs["kind"] = np.where(krumsiek.obs["cell_type"] == "Mo", "CD4/CD8", "other")
    krumsiek.write_h5ad(tmp_path / "cells.h5ad")
    train_here("run", "data=h5ad", f"data.path={tmp_path / 'cells.h5ad'}", "tf=all", "group_by=kind")
    for name in ("parquet", "tsv", "h5ad", "graphml"):
        network = GeneNetwork.read(tmp_path / "run" / f"network.{name}")
        assert set(network.edges["group"]) == {"CD4/CD8", "other"}, name


def test_formats_of_one_network_are_refused_for_groups(train_here: Callable[..., GeneNetwork]) -> None:
    with pytest.raises(InputError, match=r"names sif.*there is one for each group"):
        train_here("run", "group_by=cell_type", "network.formats=[sif]")


def test_infer_groups_with_a_contextual_run(train_here: Callable[..., GeneNetwork], tmp_path: Path) -> None:
    """A map that depends on the cell can be averaged over groups that training did not know."""
    from grn.config import compose
    from grn.pipeline import infer_command

    train_here("run", "model=contextual", *TINY["contextual"])
    cfg = compose("infer", [f"run={tmp_path / 'run'}", "group_by=cell_type"])
    (tmp_path / "groups").mkdir()
    network = infer_command(cfg, tmp_path / "groups")
    assert "Mo" in set(network.edges["group"])
