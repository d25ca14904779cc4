"""`grn train`, and what the other commands and Python make of its run."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

import grn
from grn._errors import InputError
from grn.config import compose, plain_config, validate
from grn.network import GeneNetwork
from grn.tl import METHODS

FILES = {
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "figures/network.png",
    "metrics.csv",
    "network.graphml",
    "network.h5ad",
    "network.parquet",
    "network.tsv",
    "reference.csv",
    "report.html",
    "run.json",
    "train.log",
}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def infer_again(run: Path, folder: Path, *overrides: str) -> GeneNetwork:
    """The job of `grn infer`, in this process."""
    from grn.pipeline import infer_command

    cfg = compose("infer", [f"run={run}", *overrides])
    validate(cfg, "infer")
    folder.mkdir()
    return infer_command(cfg, folder)


def test_the_run_folder_is_complete(trained: Path) -> None:
    # Nothing else: no temporary, no half-written file.
    assert files_of(trained) == FILES
    assert OmegaConf.load(trained / ".hydra" / "config.yaml").data.name == "krumsiek11"
    assert (trained / "figures" / "network.png").read_bytes().startswith(b"\x89PNG")
    metrics = pd.read_csv(trained / "metrics.csv")
    assert metrics["epoch"].tolist() == list(range(6))
    assert metrics["step"].tolist() == [5, 10, 15, 20, 25, 30]
    assert metrics["train_loss"].notna().all()
    assert "val_loss" not in metrics  # no cells are held out


def test_what_a_scheduler_and_a_notebook_leave_in_the_environment_is_no_matter(trained: Path) -> None:
    """`trained` was started with it: Slurm's script, another program's ranks, a backend that is not there."""
    assert "one process trains, although SLURM_NTASKS=4 and WORLD_SIZE=8" in (trained / "train.log").read_text()
    assert (trained / "figures" / "network.png").stat().st_size > 10_000


def test_the_record_says_what_was_run(trained: Path) -> None:
    record = json.loads((trained / "run.json").read_text())
    assert record["seed"] == 0
    assert record["device"].startswith("cpu")
    assert record["command"].startswith("grn train data=krumsiek11")
    assert record["gate"]["cells"] == 640
    assert len(record["input"]["sha256"]) == 64
    assert record["versions"]["torch"] == torch.__version__
    assert set(record["seconds"]) == {"load", "check", "prepare", "train", "extract", "write"}
    assert record["peak_memory_bytes"]["cpu"] > 1e8
    assert record["config"]["training"]["epochs"] == 6
    assert record["best_epoch"] == pd.read_csv(trained / "metrics.csv")["train_loss"].idxmin()


def test_formats_agree(trained: Path) -> None:
    network = GeneNetwork.read(trained / "network.parquet")
    assert len(network) == 110
    text = pd.read_csv(trained / "network.tsv", sep="\t", comment="#")
    pd.testing.assert_frame_equal(text[["source", "target"]], network.edges[["source", "target"]], check_dtype=False)
    np.testing.assert_allclose(text["weight"], network.edges["weight"], rtol=1e-6)
    for name in ("tsv", "graphml", "h5ad"):
        other = GeneNetwork.read(trained / f"network.{name}")
        # A weight of the text formats may differ in the last digit.
        pd.testing.assert_frame_equal(other.matrix(), network.matrix(), check_like=True, rtol=1e-6)
    adata = anndata.read_h5ad(trained / "network.h5ad")
    pd.testing.assert_frame_equal(grn.get.network(adata).edges, network.edges, check_dtype=False)


def test_the_truth_is_written_and_scored(trained: Path, run_grn: Callable[..., str], tmp_path: Path) -> None:
    truth = pd.read_csv(trained / "reference.csv")
    assert list(truth.columns) == ["source", "target", "sign"]
    output = run_grn(
        tmp_path, "evaluate", f"network={trained}", f"reference={trained / 'reference.csv'}", "output=scores.json"
    )
    scores = json.loads((tmp_path / "scores.json").read_text())
    from grn.evaluation import evaluate

    assert scores == pytest.approx(evaluate(GeneNetwork.read(trained), trained / "reference.csv"))
    assert scores["edges"] == len(truth)
    assert "auprc_ratio" in output


def test_export(trained: Path, run_grn: Callable[..., str], tmp_path: Path) -> None:
    output = run_grn(tmp_path, "export", f"network={trained}", "output=strong.graphml", "top=12")
    assert "12 edges" in output
    strong = GeneNetwork.read(tmp_path / "strong.graphml")
    best = GeneNetwork.read(trained).top(12)
    assert set(zip(strong.edges["source"], strong.edges["target"], strong.edges["sign"], strict=True)) == set(
        zip(best.edges["source"], best.edges["target"], best.edges["sign"], strict=True)
    )


def test_infer_reads_a_run_out_again(trained: Path, run_grn: Callable[..., str], tmp_path: Path) -> None:
    output = run_grn(tmp_path, "infer", f"run={trained}", "network.readout=effect", "name=effect")
    folder = tmp_path / "outputs" / "effect"
    assert "Strongest edges" in output
    assert files_of(folder) >= {"network.parquet", "network.tsv", "run.json", "figures/network.png"}
    effect, sphere = GeneNetwork.read(folder), GeneNetwork.read(trained)
    assert (effect.params["readout"], sphere.params["readout"]) == ("effect", "sphere")
    one, other = sphere.matrix(), effect.matrix()
    other = other.loc[one.index, one.columns]
    # On the sphere no target's effects are longer than 1, and most edges keep their sign.
    assert (one**2).sum().max() < 1
    assert (np.sign(one) == np.sign(other)).to_numpy().mean() > 0.8
    assert not np.allclose(one, other, rtol=0.05)


def test_the_sphere_of_one_view_scales_each_target(train_here: Callable[..., GeneNetwork], tmp_path: Path) -> None:
    """Effects are divided by a positive number for each target: signs stay."""
    one = train_here("run", "model.views.genes=null").matrix()
    other = infer_again(tmp_path / "run", tmp_path / "effect", "network.readout=effect").matrix()
    pd.testing.assert_frame_equal(np.sign(one), np.sign(other), check_like=True)
    ratio = (one / other.loc[one.index, one.columns]).to_numpy()
    assert np.nanmax(np.nanstd(ratio, axis=0) / np.nanmean(ratio, axis=0)) < 1e-4
    assert np.nanstd(np.nanmean(ratio, axis=0)) > 0.01


def test_infer_again_gives_the_run(trained: Path, tmp_path: Path) -> None:
    again = infer_again(trained, tmp_path / "again")
    pd.testing.assert_frame_equal(again.edges, GeneNetwork.read(trained).edges, check_dtype=False, rtol=1e-4, atol=1e-5)


def test_infer_on_other_cells(trained: Path, tmp_path: Path, krumsiek: anndata.AnnData) -> None:
    # Genes in another order, and one more gene: the run's own are picked by name.
    cells = krumsiek[::2, ::-1].copy()
    more = anndata.AnnData(np.ones((cells.n_obs, 1), np.float32), obs=cells.obs, var=pd.DataFrame(index=["Extra"]))
    anndata.concat([cells, more], axis=1, merge="first").write_h5ad(tmp_path / "half.h5ad")
    other = infer_again(trained, tmp_path / "other", "data=h5ad", f"data.path={tmp_path / 'half.h5ad'}")
    before = GeneNetwork.read(trained).matrix()
    after = other.matrix().loc[before.index, before.columns]
    assert list(other.genes) == list(GeneNetwork.read(trained).genes)
    assert np.corrcoef(before.to_numpy().ravel(), after.to_numpy().ravel())[0, 1] > 0.95
    assert not np.allclose(before, after)


def test_infer_needs_the_genes_of_the_run(trained: Path, tmp_path: Path, krumsiek: anndata.AnnData) -> None:
    krumsiek[:, :-2].copy().write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(InputError, match="2 of the 11 genes of the run are not in these data, among them"):
        infer_again(trained, tmp_path / "other", "data=h5ad", f"data.path={tmp_path / 'few.h5ad'}")


def test_infer_tells_groups_of_a_run_that_was_trained_without(trained: Path, tmp_path: Path) -> None:
    network = infer_again(trained, tmp_path / "groups", "group_by=cell_type")
    assert len(network.groups) == 5
    assert len(network) == 5 * 110
    whole = GeneNetwork.read(trained).matrix()
    for group in network.groups:
        assert not np.allclose(network.matrix(group).loc[whole.index, whole.columns], whole, atol=1e-3)
    with pytest.raises(InputError, match=r"no column 'cell_typ'.*Did you mean 'cell_type'"):
        infer_again(trained, tmp_path / "other", "group_by=cell_typ")


def test_infer_of_no_run_names_those_there(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frist is not the folder of a trained run.*Runs there: first"):
        infer_again(trained.parent / "frist", tmp_path / "again")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(
    trained: Path, run_grn: Callable[..., str], short: tuple[str, ...], tmp_path: Path
) -> None:
    run_grn(tmp_path, "train", "data=krumsiek11", "name=again", *short)
    again = tmp_path / "outputs" / "again"
    assert (again / "network.tsv").read_bytes() == (trained / "network.tsv").read_bytes()
    for name in ("best.ckpt", "last.ckpt"):
        assert_equal_weights(again / "checkpoints" / name, trained / "checkpoints" / name)


def difference_of_seeds(train_here: Callable[..., GeneNetwork], *overrides: str) -> float:
    """Largest difference between the weights of two seeds' networks; the largest weight is 0.6."""
    one, other = (train_here(f"seed{seed}", f"seed={seed}", *overrides).matrix() for seed in (0, 1))
    return float((one - other.loc[one.index, one.columns]).abs().max().max())


def test_the_seed_does_not_matter_where_all_cells_are_one_batch(train_here: Callable[..., GeneNetwork]) -> None:
    """Training starts from the data and draws nothing: only the order in which cells are added up differs."""
    assert difference_of_seeds(train_here, "training.batch_size=640") < 2e-3


def test_another_seed_draws_other_batches(train_here: Callable[..., GeneNetwork]) -> None:
    """640 cells are two batches."""
    assert difference_of_seeds(train_here) > 5e-3


def test_python_gives_the_same_network(trained: Path, krumsiek: anndata.AnnData, short: tuple[str, ...]) -> None:
    assert grn.tl.infer(krumsiek, tf="all", overrides=short) is None
    expected = GeneNetwork.read(trained).edges
    pd.testing.assert_frame_equal(
        grn.get.network(krumsiek).edges, expected, check_dtype=False, check_exact=False, rtol=1e-4, atol=1e-5
    )  # on another number of threads the last digits differ
    assert krumsiek.var["is_tf"].all()
    assert krumsiek.varp["grn"].shape == (11, 11)
    copy = grn.tl.infer(krumsiek, tf="all", overrides=short, copy=True, key_added="again")
    assert copy is not None
    assert "again" in copy.uns
    assert "again" not in krumsiek.uns


def test_python_has_the_defaults_of_the_configuration() -> None:
    config = plain_config(compose("train"))
    defaults = {
        name: one.default
        for name, one in inspect.signature(grn.tl.infer).parameters.items()
        if one.default is not one.empty
    }
    assert defaults.pop("method") == config["model"]["name"]
    assert defaults.pop("layer") == config["data"]["layer"]
    assert (defaults.pop("dynamics"), config["dynamics"]) == (None, {"name": "none"})
    assert (defaults.pop("confidence"), config["confidence"]) == (False, None)
    # Where the network goes has no counterpart on the command line.
    assert {name: defaults.pop(name) for name in ("key_added", "copy", "overrides")} == {
        "key_added": "grn",
        "copy": False,
        "overrides": (),
    }
    assert defaults == {name: config[name] for name in defaults}
    assert {"tf", "seed", "group_by", "batch_key"} <= set(defaults)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_a_model(method: str) -> None:
    assert plain_config(compose("train", [f"model={method}"]))["model"]["name"] == method


def test_python_refuses_unknown_methods(krumsiek: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"Unknown method 'regulatry'.*Did you mean 'regulatory'"):
        grn.tl.infer(krumsiek, tf="all", method="regulatry")
