"""`grn infer method=...`: what it writes, that every setting matters, and that Python does the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest

import grn
from grn._errors import InputError
from grn.config import compose, plain_config
from grn.evaluation.baselines import genie3
from grn.network import GeneNetwork

BASE = ("infer", "data=krumsiek11", "name=out")
FLIPS = (
    *("method=ridge", "tf=[Gata1,Pu.1,Fli1]", "data.tf=[Gata1,Pu.1,Fli1]", "group_by=cell_type", "seed=1"),
    *("network.readout=sphere", "batch_key=cell_type", "confidence=default"),
)
# Refused or asked for below; and what does the same as in `grn train`, where it is flipped.
ELSEWHERE = {"run", "allow_negative", "name", "overwrite", "dynamics", "data.name", "data.layer", "data._target_"}
ELSEWHERE |= {f"network.{key}" for key in ("formats", "fdr", "per_target", "top_k", "graphml_top", "figure_top")}
ELSEWHERE |= {"prior"}


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests of three trees in place of a thousand."""
    grow = genie3._forest
    monkeypatch.setattr(genie3, "_forest", lambda inputs, target, seed, trees: grow(inputs, target, seed, trees=3))


def test_the_run_folder(grn_command: Callable, tmp_path: Path) -> None:
    done = grn_command(*BASE, "method=clr")
    assert done.code == 0, done.err
    folder = tmp_path / "outputs" / "out"
    network = GeneNetwork.read(folder)
    assert network.params["method"] == "clr"
    assert network.params["signed"] is True
    assert {path.name for path in folder.iterdir()} >= {"network.tsv", "network.graphml", "network.h5ad", "run.json"}
    assert "grn" in anndata.read_h5ad(folder / "network.h5ad").uns
    assert (folder / "reference.csv").exists()
    assert (folder / "figures" / "network.png").exists()
    facts = json.loads((folder / "run.json").read_text())
    assert facts["config"]["method"] == "clr"
    assert {"load", "check", "score", "write"} <= set(facts["seconds"])
    adata = grn.datasets.krumsiek11()
    grn.tl.infer(adata, tf="all", method="clr")
    np.testing.assert_array_equal(grn.get.network(adata).matrix(), network.matrix())


def test_unsigned_edges_are_shown_as_such(
    grn_command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grn.evaluation.baselines.grnboost2._boost", lambda x, y, seed, rounds: np.abs(x[:3].sum(0)))
    done = grn_command(*BASE, "method=grnboost2")
    assert done.code == 0, done.err
    assert "unknown" in done.out
    assert "activates" not in done.out
    assert not GeneNetwork.read(tmp_path / "outputs" / "out").signed


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.usefixtures("few_trees")
def test_every_setting_changes_the_network(grn_command: Callable, tmp_path: Path, flip: str) -> None:
    found = []
    for name, more in (("before", ()), ("after", (flip,))):
        # With a method that draws random numbers, so that the seed has a say.
        done = grn_command("infer", "data=krumsiek11", "method=genie3", f"name={name}", *more)
        assert done.code == 0, done.err
        found.append(GeneNetwork.read(tmp_path / "outputs" / name).edges.to_csv())
    assert found[0] != found[1]


def test_every_field_has_a_test() -> None:
    config = plain_config(compose("infer", ["data=krumsiek11"]))
    nested = {f"{group}.{key}" for group in ("data", "network") for key in config.pop(group)}
    assert {*config, *nested} == {flip.partition("=")[0] for flip in FLIPS} | ELSEWHERE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give either run=... (a trained run to read out again) or method=..."),
        (("method=clr", "run=outputs/x"), "Give either run=..."),
        (("method=clr",), "method=clr needs data=..."),
        (("method=crl", "data=krumsiek11"), "Unknown method 'crl'"),
        (("method=geni3", "data=krumsiek11"), "Did you mean 'genie3'"),
        (("run=outputs/x", "tf=all", "seed=3"), "tf, seed: belongs to method=..."),
        (("run=outputs/x", "allow_negative=true"), "allow_negative: belongs to method=..."),
        (("run=outputs/x", "batch_key=plate"), "batch_key: belongs to method=..., or to the run, which keeps its own"),
        (("method=clr", "data=krumsiek11", "batch_key=celltype"), "Did you mean 'cell_type'"),
        (
            ("method=clr", "data=krumsiek11", "network.fdr=0.1"),
            "network.fdr=0.1 needs q-values: add confidence=default",
        ),
        (("method=clr", "data=krumsiek11", "group_by=cell_type", "network.formats=[sif]"), "network.formats names sif"),
        (("method=clr", "data=krumsiek11", "data.layer=counts"), "layer"),
    ],
)
def test_refusals(grn_command: Callable, arguments: tuple[str, ...], message: str) -> None:
    done = grn_command("infer", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_negative_values_only_on_request(grn_command: Callable, tmp_path: Path) -> None:
    adata = grn.datasets.krumsiek11()
    adata.X = (adata.X - adata.X.mean(0)) / adata.X.std(0)
    adata.write_h5ad(tmp_path / "scaled.h5ad")
    own = ("infer", "method=pearson", "data=h5ad", "data.path=scaled.h5ad", "tf=all")
    assert "allow_negative" in grn_command(*own).err
    done = grn_command(*own, "allow_negative=true")
    assert done.code == 0, done.err


def test_python_refuses_what_belongs_to_training() -> None:
    adata = grn.datasets.krumsiek11()
    with pytest.raises(InputError, match=r"Unknown method 'pearsn'.*Did you mean 'pearson'"):
        grn.tl.infer(adata, "all", method="pearsn")
    with pytest.raises(InputError, match=r"training\.epochs is not a key"):
        grn.tl.infer(adata, "all", method="pearson", overrides=["training.epochs=3"])
    with pytest.raises(InputError, match=r"overrides has 'run=outputs/x'"):
        grn.tl.infer(adata, "all", method="pearson", overrides=["run=outputs/x"])


def test_python_takes_groups_layers_and_readouts() -> None:
    adata = grn.datasets.krumsiek11()
    adata.layers["twice"] = 2.0 * adata.X
    grn.tl.infer(adata, "all", method="pearson", group_by="cell_type", key_added="groups")
    assert grn.get.network(adata, "groups").groups == sorted(adata.obs["cell_type"].unique())
    grn.tl.infer(adata, "all", method="pearson", layer="twice", overrides=["network.readout=sphere"])
    params = grn.get.network(adata).params
    assert params["readout"] == "sphere"
    assert "twice" in params["expression"]
