"""What the pipeline refuses, and what a trained run says about groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grn
from grn._errors import InputError
from grn.config import compose, plain_config
from grn.data.statistics import gene_statistics
from grn.network import GeneNetwork
from grn.pipeline import infer, infer_command, train

QUICK = ["debug=quick", "data=krumsiek11"]


@pytest.fixture(scope="module")
def grouped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run trained with a map for each cell type."""
    folder = tmp_path_factory.mktemp("run")
    train(compose("train", [*QUICK, "group_by=cell_type"]), folder)
    return folder


def test_groups_need_a_model_that_tells_them_apart() -> None:
    adata = grn.datasets.krumsiek11()
    with pytest.raises(InputError, match=r"model\.context=none makes one map for all cells"):
        grn.tl.infer(adata, "all", group_by="cell_type", overrides=["model.context=none"])
    with pytest.raises(InputError, match=r"model\.context=group makes a map for each group"):
        grn.tl.infer(adata, "all", overrides=["model.context=group"])


def test_infer_names_groups_as_the_run_did(grouped_run: Path, tmp_path: Path) -> None:
    """The order in which the cells' groups are listed does not rename the maps."""
    cells = grn.datasets.krumsiek11()
    types = cells.obs["cell_type"]
    cells.obs["cell_type"] = types.cat.reorder_categories(list(types.cat.categories[::-1]))
    cells.write_h5ad(tmp_path / "cells.h5ad")
    settings = [f"run={grouped_run}", "data=h5ad", f"data.path={tmp_path}/cells.h5ad", "group_by=cell_type"]
    again = infer_command(compose("infer", settings), tmp_path / "out")
    trained = GeneNetwork.read(grouped_run)
    assert sorted(again.groups) == sorted(types.cat.categories)
    for group in trained.groups:
        np.testing.assert_allclose(again.matrix(group), trained.matrix(group), rtol=1e-6)
    first, *others = trained.groups
    assert not any(np.allclose(trained.matrix(first), trained.matrix(other)) for other in others)


def test_infer_refuses_groups_the_run_does_not_know(grouped_run: Path, tmp_path: Path) -> None:
    cells = grn.datasets.krumsiek11()
    cells.obs["cell_type"] = cells.obs["cell_type"].cat.rename_categories({"Mo": "Monocyte"})
    cells.write_h5ad(tmp_path / "cells.h5ad")
    settings = [f"run={grouped_run}", "data=h5ad", f"data.path={tmp_path}/cells.h5ad", "group_by=cell_type"]
    with pytest.raises(InputError, match="knows no group 'Monocyte'"):
        infer_command(compose("infer", settings), tmp_path / "out")


def test_the_known_truth_lies_beside_the_network(grouped_run: Path) -> None:
    assert len((grouped_run / "reference.csv").read_text().splitlines()) == 27


def test_infer_measures_effects_around_the_cells_own_mean(tmp_path: Path) -> None:
    """A regulator that does not vary in the cells given moves nothing there, wherever it is constant."""
    train(compose("train", QUICK), tmp_path / "run")
    cells = grn.datasets.krumsiek11()
    cells.X[:, 0] = 5.0
    cells.write_h5ad(tmp_path / "cells.h5ad")
    settings = [f"run={tmp_path}/run", "data=h5ad", f"data.path={tmp_path}/cells.h5ad"]
    again = infer_command(compose("infer", settings), tmp_path / "out")
    constant, varying = again.matrix().iloc[0].abs().max(), again.matrix().iloc[1:].abs().max(axis=1).min()
    assert constant < 1e-3 * varying


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["seed=1"], "other settings of seed"),
        (["trainer.gradient_clip_val=0.1"], "other settings of trainer"),
        (["callbacks.early_stopping.patience=1"], "other settings of callbacks"),
        (["network.readout=sphere"], "grn infer run="),
    ],
)
def test_a_finished_run_does_not_resume_as_another(grouped_run: Path, change: list[str], message: str) -> None:
    settings = [*QUICK, "group_by=cell_type", "resume=true", *change]
    with pytest.raises(InputError, match=message):
        train(compose("train", settings), grouped_run)


def test_a_finished_run_resumes_as_itself(grouped_run: Path) -> None:
    network = train(compose("train", [*QUICK, "group_by=cell_type", "resume=true", "trainer.devices=2"]), grouped_run)
    assert network is not None
    assert network.edges.equals(GeneNetwork.read(grouped_run).edges)


def test_resume_notices_other_regulators_and_groups(tmp_path: Path) -> None:
    """Cells and settings are as before; what the file of TFs or the column of groups says is not."""
    adata = grn.datasets.krumsiek11()
    tfs = tmp_path / "tfs.txt"
    tfs.write_text("\n".join(adata.var_names[:6]))
    config = plain_config(compose("train", [*QUICK, f"tf={tfs}", "group_by=cell_type"]))
    infer(adata, config, tmp_path / "run")
    relabelled = adata.copy()
    relabelled.obs["cell_type"] = relabelled.obs["cell_type"].cat.rename_categories({"Mo": "Neu", "Neu": "Mo"})
    with pytest.raises(InputError, match="TFs or groups are not those"):
        infer(relabelled, config, tmp_path / "run", resume=True)
    tfs.write_text("\n".join(adata.var_names[:5]))
    with pytest.raises(InputError, match="TFs or groups are not those"):
        infer(adata, config, tmp_path / "run", resume=True)


@pytest.mark.parametrize("override", ["tf=mouse", "data.layer=X", "resume=true", "network.figure_top=3", "seed=3"])
def test_what_is_an_argument_is_no_override(override: str) -> None:
    with pytest.raises(InputError, match="is an argument of `infer`"):
        grn.tl.infer(grn.datasets.krumsiek11(), "all", overrides=[override])


def test_scaled_data_have_no_detection_channel() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert (gene_statistics(x).detection == 1).all()
    assert (gene_statistics(np.abs(x)).detection == 1).all()
    assert (gene_statistics(np.maximum(x, 0)).detection < 1).all()


def test_settings_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    config = plain_config(compose("train", []))
    del config["dynamics"]
    with pytest.raises(InputError, match="made by an earlier version of grn"):
        infer(grn.datasets.krumsiek11(), config, tmp_path)
