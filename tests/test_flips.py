"""Every field of the configuration of `grn train` changes what it says, or raises: none is accepted and ignored."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

import grn
from grn._errors import InputError
from grn.config import compose, conf_dir, instantiate, load_data, plain_config, validate
from grn.run_folder import claim

MODELS = ("regulatory", "contextual", "transformer")
# Few epochs, and so impatient that early stopping has its say where the loss is made to count as growing.
BASE = (
    *("data=krumsiek11", "trainer.accelerator=cpu"),
    *("training.epochs=4", "training.steps_per_epoch=4", "training.patience=1"),
)
SMALL = {
    "regulatory": (),
    "contextual": ("model.encoder.dim=8", "model.encoder.layers=1", "model.encoder.heads=2"),
    "transformer": ("model.dim=8", "model.layers=1", "model.heads=2"),
}
WRITTEN = (".parquet", ".tsv", ".graphml", ".h5ad", ".png")
STOPS = ("callbacks.early_stopping.mode=max",)
HELD_OUT = ("training.validation_fraction=0.15",)
CONFIDENT = ("confidence=default", "confidence.resamples=4", "confidence.permutations=3")


@dataclass(frozen=True)
class Flip:
    """A legal other value, what must change with it, and the settings under which it must.

    `changes` is one of the names that `observe` gives, "raises" with the words of the message, or "trainer" with
    what is read off the Trainer that would run.
    """

    value: str
    changes: str
    words: str = ""
    under: tuple[str, ...] = ()
    reads: Callable[[Any], Any] | None = None


def raises(value: str, words: str, under: tuple[str, ...] = ()) -> Flip:
    return Flip(value, "raises", words, under)


def trainer(value: str, reads: Callable[[Any], Any]) -> Flip:
    return Flip(value, "trainer", reads=reads)


# One entry for each field; those of a group that all models share stand under "".
FLIPS: dict[str, dict[str, Flip]] = {
    "": {
        "name": Flip("other", "folder"),
        "seed": Flip("1", "network"),
        "tf": Flip("[Gata1,Pu.1,Fli1]", "network"),
        "group_by": Flip("cell_type", "network"),
        "batch_key": Flip("cell_type", "network"),
        "data.name": Flip("other", "folder"),
        "data.tf": Flip("[Gata1,Pu.1,Fli1]", "network"),
        "data.layer": raises("counts", "layer"),
        "data._target_": raises("grn.datasets.beeline", "also needs folder"),
        "training.epochs": Flip("3", "epochs"),
        "training.steps_per_epoch": Flip("3", "steps"),
        "training.batch_size": Flip("50", "network"),
        "training.validation_fraction": Flip("0.4", "network"),
        "training.patience": Flip("2", "epochs", under=STOPS),
        "training.optimizer._target_": Flip("torch.optim.SGD", "network"),
        "training.optimizer.lr": Flip("0.03", "network"),
        "trainer._target_": raises("torch.optim.Adam", "is not allowed"),
        "trainer.accelerator": trainer("cuda", lambda one: one.accelerator),
        "trainer.devices": trainer("2", lambda one: one.world_size),
        "trainer.num_nodes": trainer("2", lambda one: one.num_nodes),
        "trainer.strategy": trainer("ddp", lambda one: type(one.strategy)),
        "trainer.precision": trainer("64-true", lambda one: one.precision),
        "trainer.deterministic": trainer("false", lambda one: torch.are_deterministic_algorithms_enabled()),
        "trainer.gradient_clip_val": Flip("0.0001", "network", under=("training.optimizer._target_=torch.optim.SGD",)),
        "callbacks.checkpoint._target_": raises("lightning.pytorch.callbacks.Timer", "is not a setting of"),
        "callbacks.checkpoint.monitor": Flip("train_loss", "states", under=HELD_OUT),
        "callbacks.checkpoint.mode": Flip("max", "network"),
        "callbacks.early_stopping._target_": raises("lightning.pytorch.callbacks.Timer", "is not a setting of"),
        "callbacks.early_stopping.monitor": Flip("train_loss", "states", under=HELD_OUT),
        "callbacks.early_stopping.mode": Flip("max", "epochs"),
        "callbacks.early_stopping.patience": Flip("2", "epochs", under=STOPS),
        # Before the end of the training epoch its loss is not known.
        "callbacks.early_stopping.check_on_train_epoch_end": raises(
            "false", "train_loss", under=("callbacks.early_stopping.monitor=train_loss", *HELD_OUT)
        ),
        "prior": raises("file", "prior.path"),
        "network.readout": Flip("effect", "network"),
        "dynamics.name": raises("time", "dynamics.name=time lacks columns"),  # its choices: tests/dynamics
        "network.formats": Flip("[tsv]", "files"),
        "network.graphml_top": Flip("7", "files"),
        "network.figure_top": Flip("7", "files"),
        "network.fdr": Flip("1e-5", "files", under=CONFIDENT),
        "network.per_target": Flip("2", "files"),
        "network.top_k": Flip("9", "files"),
        "confidence": Flip("default", "network"),
    },
    "regulatory": {
        "model.name": Flip("other", "method"),
        "model._target_": raises("grn.models.GeneTransformer", "is not a setting of"),
        "model.head_dim": Flip("2", "network"),
        "model.views.regulators": Flip("0.3", "network"),
        "model.views.genes": Flip("null", "network"),
        "model.attention": Flip("softmax", "network"),
        "model.backend": Flip("flashsign", "kernel"),
        "training.noise": Flip("0.5", "network"),
    },
    "contextual": {
        "model.name": Flip("other", "method"),
        "model._target_": raises("grn.models.GeneTransformer", "is not a setting of"),
        "model.head_dim": Flip("2", "network"),
        "model.views.regulators": Flip("0.3", "network"),
        "model.views.genes": Flip("0.2", "network"),
        "model.attention": Flip("softmax", "network"),
        "model.backend": Flip("flashsign", "kernel"),
        "model.encoder._target_": raises("grn.models.RegulatoryModel", "is not allowed"),
        "model.encoder.dim": Flip("4", "network"),
        "model.encoder.layers": Flip("2", "network"),
        "model.encoder.heads": Flip("1", "network"),
        "model.encoder.attention": Flip("softmax", "network"),
        "model.encoder.backend": Flip("flashsign", "kernel"),
        "training.noise": Flip("0.5", "network"),
        "training.hidden_fraction": Flip("0.1", "network"),
    },
    "transformer": {
        "model.name": Flip("other", "method"),
        "model._target_": raises("grn.models.RegulatoryModel", "is not a setting of"),
        "model.dim": Flip("4", "network"),
        "model.layers": Flip("2", "network"),
        "model.heads": Flip("1", "network"),
        "model.attention": Flip("softmax", "network"),
        "model.backend": Flip("flashsign", "kernel"),
        "training.noise": raises("0.5", "noise"),
        "training.hidden_fraction": Flip("0.6", "network"),
    },
}
# Fields that are there with another choice of their group alone.
CHOSEN: dict[str, Flip] = {
    "confidence.resamples": Flip("6", "network", under=CONFIDENT),
    "confidence.permutations": Flip("9", "network", under=CONFIDENT),
    "confidence.cells": Flip("100", "network", under=CONFIDENT),
}
# Fields that have a test of their own below.
ELSEWHERE = {"resume", "overwrite", "allow_negative"}


def leaves(node: Any, prefix: str = "") -> set[str]:
    if isinstance(node, dict):
        return {leaf for key, child in node.items() for leaf in leaves(child, f"{prefix}{key}.")}
    return {prefix[:-1]}


def run_folder(overrides: tuple[str, ...]) -> str:
    """Where the command would write."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    with hydra.initialize_config_dir(str(conf_dir()), job_name="train", version_base=None):
        cfg = hydra.compose("train", list(overrides), return_hydra_config=True)
        folder = str(cfg.hydra.run.dir)
    GlobalHydra.instance().clear()
    return folder.partition("-")[0]


@functools.cache
def observe(overrides: tuple[str, ...]) -> dict[str, Any]:
    """What a user could see of a run with these settings."""
    from grn.kernels import attention
    from grn.kernels.dispatch import BACKENDS
    from grn.pipeline import infer, write_network

    cfg = compose("train", overrides)
    validate(cfg, "train")
    config = plain_config(cfg)
    kernels: list[str] = []

    def noted(*inputs: Any, choose: Callable[..., str] = attention.choose_form, **settings: Any) -> str:
        kernels.append(choose(*inputs, **settings))
        return kernels[-1]

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "choose_form", noted)
        folder = Path(name)
        network = infer(load_data(cfg.data), config, folder).network
        assert network is not None
        if any(override.startswith(("network.", "confidence=")) for override in overrides) or overrides == BASE:
            write_network(network, folder, config["network"])
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in WRITTEN}
        checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        metrics = pd.read_csv(folder / "metrics.csv")
    return {
        "network": network.edges.to_csv(),
        "method": network.params["method"],
        "epochs": len(metrics),
        "steps": metrics["step"].max(),
        "states": str({key: value for key, value in checkpoint["callbacks"].items() if key != "MetricsTable"}),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "folder": run_folder(overrides),
        "kernel": [kernels.count(form) for form in BACKENDS],
    }


CASES = [
    pytest.param(model or "regulatory", key, flip, id=f"{model or 'any'}-{key}")
    for model, flips in [*FLIPS.items(), ("", CHOSEN)]
    for key, flip in flips.items()
]


@pytest.mark.parametrize(("model", "key", "flip"), CASES)
def test_flipping_a_field_changes_something_or_raises(model: str, key: str, flip: Flip) -> None:
    chosen = () if model == "regulatory" else (f"model={model}", *SMALL[model])
    before = (*BASE, *chosen, *flip.under)
    after = (*before, f"{key}={flip.value}")
    if flip.changes == "raises":
        with pytest.raises((InputError, RuntimeError), match=flip.words):
            observe(after)
    elif flip.reads is not None:
        assert reading(after, flip.reads) != reading(before, flip.reads)
    else:
        assert observe(after)[flip.changes] != observe(before)[flip.changes]


def reading(overrides: tuple[str, ...], reads: Callable[[Any], Any]) -> Any:
    """What is read off the Trainer of these settings; a device that this machine lacks is an answer, too."""
    cfg = compose("train", overrides)
    validate(cfg, "train")
    try:
        return reads(instantiate("trainer", plain_config(cfg)["trainer"], logger=False, enable_checkpointing=False))
    except InputError as error:
        return str(error)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_an_entry(model: str) -> None:
    """A new field needs a line in FLIPS that says what it changes."""
    config = plain_config(compose("train", ["data=krumsiek11", f"model={model}"]))
    assert leaves(config) == {*FLIPS[""], *FLIPS[model], *ELSEWHERE}
    chosen = plain_config(compose("train", ["data=krumsiek11", f"model={model}", "confidence=default"]))
    assert leaves(chosen) - leaves(config) == set(CHOSEN)


def test_hidden_genes_are_refused_without_an_encoder() -> None:
    with pytest.raises(InputError, match="hidden_fraction"):
        observe((*BASE, "+training.hidden_fraction=0.3"))


def test_error_rates_are_asked_for_before_they_are_used() -> None:
    with pytest.raises(InputError, match=r"network.fdr=0.05 needs q-values: add confidence=default"):
        observe((*BASE, "network.fdr=0.05"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("confidence.resamples=3", "resamples=3: halves of the cells come in pairs"),
        ("model.attention=softmax", "use model=regulatory, or confidence=none"),
    ],
)
def test_confidence_that_cannot_be_had(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        observe((*BASE, *CONFIDENT, override))


def test_what_is_chosen_goes_to_every_file_but_the_whole_network(tmp_path: Path) -> None:
    from grn.network import GeneNetwork
    from grn.pipeline import train

    chosen = ("network.fdr=0.5", "network.per_target=3", "network.top_k=12")
    network = train(compose("train", [*BASE, *CONFIDENT, *chosen]), tmp_path)
    assert network is not None
    expected = network.significant(0.5).per_target(3).top(12)
    assert len(expected) == 12
    assert len(GeneNetwork.read(tmp_path / "network.parquet")) == len(network) > 100
    for name in ("tsv", "graphml", "h5ad"):
        found = GeneNetwork.read(tmp_path / f"network.{name}").edges
        assert set(zip(found.source, found.target, strict=True)) == set(
            zip(expected.edges.source, expected.edges.target, strict=True)
        ), name


def test_resume_and_overwrite(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="holds a finished run"):
        claim(tmp_path)
    claim(tmp_path, resume=True)
    assert (tmp_path / "run.json").exists()
    claim(tmp_path, overwrite=True)
    assert not (tmp_path / "run.json").exists()


def test_allow_negative(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    scaled = anndata.AnnData(generator.normal(size=(60, 8)).astype(np.float32))
    scaled.var_names = [f"G{number}" for number in range(8)]
    scaled.write_h5ad(tmp_path / "scaled.h5ad")
    own = ("data=h5ad", f"data.path={tmp_path / 'scaled.h5ad'}", "tf=all", *BASE[1:])
    with pytest.raises(InputError, match="allow_negative"):
        observe(own)
    assert observe((*own, "allow_negative=true"))["network"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("tf", ["Gata1", "Pu.1"]),
        ("method", "transformer"),
        ("group_by", "cell_type"),
        ("batch_key", "cell_type"),
        ("confidence", True),
        ("seed", 1),
    ],
)
def test_arguments_of_python_change_the_network(argument: str, value: Any) -> None:
    found = []
    for settings in ({}, {argument: value}):
        adata = grn.datasets.krumsiek11()
        grn.tl.infer(adata, **{"tf": "all", **settings}, overrides=BASE[1:])
        found.append(grn.get.network(adata).edges.to_csv())
    assert found[0] != found[1]
