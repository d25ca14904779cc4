"""The whole way: settings, the map that is added, the record of a run, the command, Python, every field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

import grn
from grn._errors import InputError
from grn.config import compose, plain_config, validate
from grn.dynamics import Dynamics, check_settings, find_dynamics
from grn.network import GeneNetwork
from grn.pipeline import infer_command, train

TF = "tf=[G0,G1,G2,G3,G4,G5]"
SHORT = ("trainer.accelerator=cpu", "training.epochs=1", "training.steps_per_epoch=2")
TIME = {"name": "time", "columns": "pseudotime", "gate": True}


def unit(weights: np.ndarray) -> np.ndarray:
    return weights / np.sqrt((weights**2).mean())


@pytest.fixture
def file(cells_in_time: Callable, tmp_path: Path) -> Path:
    """Cells of the linear system with layers for velocity, on disk."""
    adata = cells_in_time()
    generator = np.random.default_rng(0)
    for name in ("spliced", "unspliced", "other"):
        adata.layers[name] = adata.X + 0.05 * generator.random(adata.shape).astype(np.float32)
    adata.obs["cluster"] = np.where(np.arange(adata.n_obs) % 2, "a", "b")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def run(file: Path, *overrides: str) -> GeneNetwork:
    """`grn train` without its console."""
    folder = file.parent / f"run{len(list(file.parent.iterdir()))}"
    folder.mkdir()
    network = train(compose("train", ["data=h5ad", f"data.path={file}", TF, *SHORT, *overrides]), folder)
    assert network is not None
    return network


def check(adata: anndata.AnnData) -> Any:
    return grn.pp.check(adata, tf=[f"G{number}" for number in range(6)])


def test_nothing_is_looked_for_by_default(cells_in_time: Callable) -> None:
    adata = cells_in_time()
    assert find_dynamics(adata, check(adata), {"name": "none"}, seed=0) is None


def test_the_gate_decides_whether_there_is_a_map(cells_in_time: Callable, caplog: pytest.LogCaptureFixture) -> None:
    adata = cells_in_time()
    found: dict[tuple[str, bool], Dynamics] = {}
    for column in ("pseudotime", "shuffled"):
        for gate in (True, False):
            settings = {"name": "time", "columns": [column], "gate": gate}
            one = find_dynamics(adata, check(adata), settings, seed=0)
            assert one is not None
            found[column, gate] = one
    opened, closed = found["pseudotime", True], found["shuffled", True]
    assert opened.map is not None
    assert opened.map.shape == (6, 16)
    assert np.square(opened.map).mean() == pytest.approx(1.0)
    assert closed.map is None
    assert found["shuffled", False].map is not None
    np.testing.assert_array_equal(found["pseudotime", False].map, opened.map)
    facts = {key: (one.facts["open"], one.facts["added"]) for key, one in found.items()}
    assert facts == {
        ("pseudotime", True): (True, True),
        ("pseudotime", False): (True, True),
        ("shuffled", True): (False, False),
        ("shuffled", False): (False, True),
    }
    lines = [record.getMessage() for record in caplog.records if "dynamics=" in record.getMessage()]
    assert len(lines) == 2  # warnings; what went well is told at the level of information
    assert "the gate is closed and nothing is added" in lines[0]
    assert "dynamics.gate=false, so the map is added although" in lines[1]


def test_the_network_is_the_sum_at_one_size(file: Path) -> None:
    steady, both = run(file), run(file, "dynamics=time", "dynamics.columns=[pseudotime]")
    adata = anndata.read_h5ad(file)
    found = find_dynamics(adata, check(adata), {**TIME, "columns": ["pseudotime"]}, seed=0)
    assert found is not None
    expected = unit(steady.matrix().to_numpy()) + found.map
    np.testing.assert_allclose(unit(both.matrix().to_numpy()), unit(expected), atol=1e-5)
    assert np.abs(both.edges["weight"]).max() <= 1
    assert "dynamics" not in steady.params
    assert both.params["dynamics"] == found.facts


def test_a_closed_gate_changes_no_edge(file: Path) -> None:
    steady, closed = run(file), run(file, "dynamics=time", "dynamics.columns=[shuffled]")
    assert closed.edges.equals(steady.edges)
    assert closed.params["dynamics"]["added"] is False


def test_a_finished_run_is_read_out_again(file: Path, tmp_path: Path) -> None:
    steady = tmp_path / "steady"
    steady.mkdir()
    settings = ["data=h5ad", f"data.path={file}", TF, *SHORT]
    train(compose("train", settings), steady)

    def again(name: str, run: Path, *overrides: str) -> GeneNetwork:
        (tmp_path / name).mkdir()
        return infer_command(compose("infer", [f"run={run}", *overrides]), tmp_path / name)

    added = again("added", steady, "dynamics=time")
    both = run(file, "dynamics=time")
    np.testing.assert_allclose(added.matrix(), both.matrix(), atol=1e-6)
    assert json.loads((tmp_path / "added" / "run.json").read_text())["dynamics"]["open"]
    with_time = max(tmp_path.glob("run*"), key=lambda path: path.stat().st_mtime)
    np.testing.assert_allclose(again("same", with_time).matrix(), both.matrix(), atol=1e-6)
    without = again("without", with_time, "dynamics=none")
    np.testing.assert_allclose(without.matrix(), GeneNetwork.read(steady).matrix(), atol=1e-6)


def test_python_does_the_same(file: Path) -> None:
    adata = anndata.read_h5ad(file)
    tf = [f"G{number}" for number in range(6)]
    grn.tl.infer(adata, tf=tf, dynamics="time", overrides=[*SHORT, "dynamics.columns=[pseudotime]"])
    expected = run(file, "dynamics=time", "dynamics.columns=[pseudotime]")
    np.testing.assert_allclose(grn.get.network(adata).matrix(), expected.matrix(), atol=1e-6)
    with pytest.raises(InputError, match="Did you mean 'time'"):
        grn.tl.infer(adata, tf=tf, dynamics="tim")
    with pytest.raises(InputError, match="that is an argument of `infer`"):
        grn.tl.infer(adata, tf=tf, dynamics="time", overrides=["dynamics=velocity"])
    grn.tl.infer(adata, tf=tf, overrides=[*SHORT, "dynamics=time", "dynamics.columns=[pseudotime]"], key_added="again")
    np.testing.assert_allclose(grn.get.network(adata, key="again").matrix(), expected.matrix(), atol=1e-6)
    for settings in ({"dynamics": "time"}, {"overrides": ["dynamics=time"]}):
        with pytest.raises(InputError, match="dynamics=time is added to a trained map; method='clr' has none"):
            grn.tl.infer(adata, tf=tf, method="clr", **settings)


# Field, other value, and what must change: the network, or the error that must be raised.
FLIPS = {
    "time": {
        "name": ("velocity", "lacks spliced and lacks unspliced"),
        "columns": ("[backwards]", None),
        "gate": ("false", None),
    },
    "velocity": {
        "name": ("time", "lacks columns and has no spliced"),
        "spliced": ("other", None),
        "unspliced": ("other", None),
        "gate": ("false", None),
    },
}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in FLIPS.items() for field in fields])
def test_every_field_changes_the_network_or_raises(file: Path, name: str, field: str) -> None:
    adata = anndata.read_h5ad(file)
    adata.obs["backwards"] = -adata.obs["pseudotime"]
    if field == "gate":  # closed by both
        adata.obs["pseudotime"] = adata.obs["shuffled"]
        adata.layers["unspliced"] = np.random.default_rng(0).normal(size=adata.shape)
    settings = plain_config(compose("train", [f"dynamics={name}"]))["dynamics"]
    assert set(settings) == set(FLIPS[name])
    value, words = FLIPS[name][field]
    changed = plain_config(compose("train", [f"dynamics={name}", f"dynamics.{field}={value}"]))["dynamics"]
    if words is not None:
        with pytest.raises(InputError, match=words):
            check_settings(changed, model="regulatory", readout="auto", group_by=None)
        return
    maps = [find_dynamics(adata, check(adata), one, seed=0) for one in (settings, changed)]
    before, after = ("none" if one is None or one.map is None else one.map.tobytes() for one in maps)
    assert before != after


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dynamics=time", "group_by=cluster"], "a trajectory runs through groups"),
        (["dynamics=time", "network.readout=effect"], "added to effects on equal terms"),
        (["dynamics=velocity", "model=transformer"], "which model=transformer lacks"),
        (["dynamics.name=time"], "lacks columns and lacks gate"),
        (["+dynamics.columns=[pseudotime]"], "dynamics.name=none has no columns"),
        (["dynamics=velocity", "dynamics.spliced=splice"], "There is no layer 'splice'. Did you mean 'spliced'"),
    ],
)
def test_what_does_not_go_together_is_refused_before_training(file: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(file, *overrides)


def test_methods_without_training_refuse_it(file: Path, tmp_path: Path) -> None:
    settings = ["method=clr", "data=h5ad", f"data.path={file}", "tf=all", "dynamics=time"]
    validate(compose("infer", settings), "infer")
    with pytest.raises(InputError, match="method=clr has none"):
        infer_command(compose("infer", settings), tmp_path)


def test_without_a_gate_there_must_be_a_course(cells_in_time: Callable) -> None:
    adata = cells_in_time(19)
    with pytest.raises(InputError, match="No trajectory of pseudotime has 20 cells"):
        find_dynamics(adata, check(adata), {**TIME, "gate": False}, seed=0)
