"""What the pipeline refuses, and what a trained run says about groups and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grn
from grn._errors import InputError
from grn.config import compose, plain_config
from grn.data.statistics import gene_statistics
from grn.network import GeneNetwork
from grn.pipeline import infer, infer_command, train

QUICK = ["debug=quick", "data=krumsiek11"]
SHORT = ["training.epochs=4", "training.steps_per_epoch=4"]


@pytest.fixture(scope="module")
def grouped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run with a network for each cell type."""
    folder = tmp_path_factory.mktemp("run")
    train(compose("train", [*QUICK, "group_by=cell_type"]), folder)
    return folder


def test_infer_names_groups_as_the_run_did(grouped_run: Path, tmp_path: Path) -> None:
    """The order in which the cells' groups are listed does not rename the networks."""
    cells = grn.datasets.krumsiek11()
    types = cells.obs["cell_type"]
    cells.obs["cell_type"] = types.cat.reorder_categories(list(types.cat.categories[::-1]))
    cells.write_h5ad(tmp_path / "cells.h5ad")
    settings = [f"run={grouped_run}", "data=h5ad", f"data.path={tmp_path}/cells.h5ad", "group_by=cell_type"]
    again = infer_command(compose("infer", settings), tmp_path / "out")
    trained = GeneNetwork.read(grouped_run)
    assert sorted(again.groups) == sorted(types.cat.categories)
    for group in trained.groups:
        np.testing.assert_allclose(again.matrix(group), trained.matrix(group), rtol=1e-4, atol=1e-6)
    first, *others = trained.groups
    assert not any(np.allclose(trained.matrix(first), trained.matrix(other)) for other in others)


def written(cells: Any, folder: Path) -> list[str]:
    """Settings that read these cells."""
    cells.write_h5ad(folder / "cells.h5ad")
    return ["data=h5ad", f"data.path={folder}/cells.h5ad"]


def test_any_run_is_read_out_with_any_groups(grouped_run: Path, tmp_path: Path) -> None:
    """Groups are no part of what was trained: other names, other groups, or groups where training knew none."""
    cells = grn.datasets.krumsiek11()
    cells.obs["stage"] = np.where(cells.obs["cell_type"] == "progenitor", "early", "late")
    renamed = {"Mo": "Monocyte", "Ery": "CD71+/GlyA+"}
    cells.obs["renamed"] = cells.obs["cell_type"].cat.rename_categories(renamed)
    data = written(cells, tmp_path)
    train(compose("train", [*QUICK]), tmp_path / "plain")
    trained = GeneNetwork.read(grouped_run)
    for number, run in enumerate((grouped_run, tmp_path / "plain")):
        again = infer_command(compose("infer", [f"run={run}", *data, "group_by=renamed"]), tmp_path / f"named{number}")
        for group in trained.groups:
            of = again.matrix(renamed.get(group, group))
            np.testing.assert_allclose(of, trained.matrix(group), rtol=1e-4, atol=1e-6)
        stages = infer_command(compose("infer", [f"run={run}", *data, "group_by=stage"]), tmp_path / f"stage{number}")
        assert stages.groups == ["early", "late"]
        assert not np.allclose(stages.matrix("early"), stages.matrix("late"), atol=0.01)


def test_groups_are_read_out_of_the_network_of_all_cells(grouped_run: Path, tmp_path: Path) -> None:
    """The mean of the groups' networks is near the one of all cells, and no group's is equal to it."""
    train(compose("train", [*QUICK]), tmp_path)
    whole, trained = GeneNetwork.read(tmp_path).matrix(), GeneNetwork.read(grouped_run)
    for group in trained.groups:
        one = trained.matrix(group).loc[whole.index, whole.columns]
        assert not np.allclose(one, whole, atol=1e-3)
        assert np.corrcoef(one.to_numpy().ravel(), whole.to_numpy().ravel())[0, 1] > 0.5


def batched_cells(shift: float = 0.0) -> Any:
    """The cells with two plates that have nothing to do with their types; on one every gene but the first is higher."""
    cells = grn.datasets.krumsiek11()
    cells.obs["plate"] = np.random.default_rng(0).permutation(np.repeat(["p", "q"], cells.n_obs // 2))
    rows = (cells.obs["plate"] == "q").to_numpy()
    cells.X = cells.X + (shift * np.arange(cells.n_vars) * rows[:, None]).astype(np.float32)
    return cells


def test_a_shift_between_batches_does_not_change_the_network_with_batch_key(tmp_path: Path) -> None:
    def network_of(shift: float, *more: str) -> np.ndarray:
        cells = batched_cells(shift)
        cells.X = cells.X + np.float32(0.5)  # detected everywhere: a constant moves no detection
        config = plain_config(compose("train", ["data=krumsiek11", *SHORT, *more]))
        found = infer(cells, config, tmp_path / f"{shift} {more}").network
        assert found is not None
        return found.matrix().to_numpy()

    plain, shifted = (network_of(shift, "batch_key=plate") for shift in (0.0, 0.3))
    np.testing.assert_allclose(shifted, plain, rtol=0, atol=1e-5)
    one, other = (network_of(shift) for shift in (0.0, 0.3))
    assert np.abs(one - plain).max() < 0.1  # without a shift plates matter little
    assert np.abs(other - one).max() > 0.2


@pytest.mark.parametrize("method", ["ridge", "pearson", "spearman"])
def test_methods_measure_genes_from_the_batch_too(method: str, tmp_path: Path) -> None:
    found = []
    for shift, key in ((0.0, "batch_key=plate"), (0.5, "batch_key=plate"), (0.5, "batch_key=null")):
        data = written(batched_cells(shift), tmp_path)
        cfg = compose("infer", [f"method={method}", *data, "tf=all", key])
        found.append(infer_command(cfg, tmp_path / f"out{len(found)}").matrix().to_numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=2e-2 if method == "spearman" else 1e-4)
    assert np.abs(found[2] - found[0]).max() > 0.1


@pytest.fixture(scope="module")
def batched_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batched")
    data = written(batched_cells(), folder)
    train(compose("train", ["debug=quick", *data, "tf=all", "batch_key=plate"]), folder / "run")
    return folder / "run"


def test_a_run_with_batches_is_read_out_on_them(batched_run: Path, tmp_path: Path) -> None:
    again = infer_command(compose("infer", [f"run={batched_run}"]), tmp_path / "again")
    trained = GeneNetwork.read(batched_run)
    np.testing.assert_allclose(again.matrix(), trained.matrix(), rtol=1e-4, atol=1e-6)
    assert trained.params["batch_key"] == "plate"
    few = written(batched_cells()[::3].copy(), tmp_path)
    less = infer_command(compose("infer", [f"run={batched_run}", *few, "group_by=cell_type"]), tmp_path / "few")
    assert len(less.groups) > 1


def test_other_batches_are_refused(batched_run: Path, tmp_path: Path) -> None:
    cells = batched_cells()
    cells.obs["plate"] = cells.obs["plate"].replace("q", "new")
    with pytest.raises(InputError, match=r"trained on the batches p, q, and these data have new, p\..*same batches"):
        infer_command(compose("infer", [f"run={batched_run}", *written(cells, tmp_path)]), tmp_path / "out")
    del cells.obs["plate"]
    with pytest.raises(InputError, match="no column 'plate'"):
        infer_command(compose("infer", [f"run={batched_run}", *written(cells, tmp_path)]), tmp_path / "out")


def test_resume_notices_other_batches(tmp_path: Path) -> None:
    config = plain_config(compose("train", [*QUICK, "batch_key=plate"]))
    cells = batched_cells()
    infer(cells, config, tmp_path / "run")
    with pytest.raises(InputError, match="other settings of batch_key"):
        infer(cells, {**config, "batch_key": None}, tmp_path / "run", resume=True)
    cells.obs["plate"] = cells.obs["plate"].to_numpy()[::-1]
    with pytest.raises(InputError, match="batches are not those"):
        infer(cells, config, tmp_path / "run", resume=True)


def test_confidence_where_halves_miss_a_batch() -> None:
    """Two cells on a plate, each of another type: one half of the cells may have neither."""
    cells = batched_cells()
    alone = [np.flatnonzero(cells.obs["cell_type"] == kind)[3] for kind in ("Mo", "Ery")]
    cells.obs.iloc[alone, cells.obs.columns.get_loc("plate")] = "a"
    settings = ["confidence=default", "confidence.resamples=4", "confidence.permutations=2", *SHORT]
    grn.tl.infer(cells, "all", group_by="cell_type", batch_key="plate", overrides=settings)
    assert np.isfinite(grn.get.edges(cells).select_dtypes("number")).all(axis=None)


def test_an_unknown_column_of_batches_is_named(tmp_path: Path) -> None:
    data = written(batched_cells(), tmp_path)
    with pytest.raises(InputError, match=r"no column 'plates'.*Did you mean 'plate'"):
        train(compose("train", [*data, "tf=all", "batch_key=plates"]), tmp_path / "run")


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
    with pytest.raises(InputError, match="TFs, groups or batches are not those"):
        infer(relabelled, config, tmp_path / "run", resume=True)
    tfs.write_text("\n".join(adata.var_names[:5]))
    with pytest.raises(InputError, match="TFs, groups or batches are not those"):
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


@pytest.mark.parametrize("unknown_then", [("batch_key", "confidence"), ("batch_key", "confidence", "dynamics")])
def test_settings_of_an_earlier_version_are_refused(unknown_then: tuple[str, ...], tmp_path: Path) -> None:
    config = plain_config(compose("train", []))
    for name in unknown_then:
        del config[name]
    with pytest.raises(InputError, match="made by an earlier version of grn"):
        infer(grn.datasets.krumsiek11(), config, tmp_path)
