"""`grn benchmark`, whole: on the bundled set, with the registry's quickest methods."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from grn._errors import InputError
from grn.benchmarking import _methods, method_of, models
from grn.config import compose, conf_dir, plain_config, validate
from grn.evaluation.baselines import BASELINES
from grn.evaluation.benchmark import SetSpec, load_problem

QUICK = ("methods=[pearson,spearman]", "name=bench")


@pytest.fixture
def edges(tmp_path: Path) -> Path:
    path = tmp_path / "edges.csv"
    path.write_text("TF,target,importance\nGata1,Fog1,9\nGata1,EKLF,8\nPu.1,cJun,7\nPu.1,Gata1,1\n")
    return path


@pytest.mark.usefixtures("edges")
def test_from_the_command_to_the_tables(grn_command: Callable, tmp_path: Path) -> None:
    """One run, then resumed with a network of another tool, then changed, then started again."""
    done = grn_command("benchmark", *QUICK)
    assert done.code == 0, done.err
    folder = tmp_path / "outputs" / "bench"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"results.csv", "results.json", "results.md", "run.json", "figures/benchmark.png"} <= written
    rows = pd.read_csv(folder / "results.csv").set_index("method")
    assert rows.loc["pearson", "auprc_ratio"] == pytest.approx(1.75, abs=0.01)
    content = json.loads((folder / "results.json").read_text())
    assert content["command"].startswith("grn benchmark ")
    assert content["machine"]["cores"] >= 1
    assert content["versions"]["grn"]
    assert {one["reason"] for one in content["skipped"]} == {"no data.root was given"}
    assert "left out: beeline-GSD" in done.err
    assert "Means by family" in done.out
    cell = folder / "cells" / "krumsiek11--pearson--seed0.json"
    first = cell.stat().st_mtime_ns

    again = grn_command("benchmark", *QUICK)
    assert (again.code, "holds a finished run" in again.err) == (1, True)
    files = "files=[{name: other, path: edges.csv, set: krumsiek11}]"
    done = grn_command("benchmark", "name=bench", "resume=true", files)
    assert done.code == 0, done.err
    assert "3 of 4 cells are finished already" in done.err
    assert cell.stat().st_mtime_ns == first
    rows = pd.read_csv(folder / "results.csv").set_index("method")
    assert sorted(rows.index) == ["other", "pearson", "spearman"]
    # The best three of four are right, and no sign is claimed.
    assert rows.loc["other", "epr"] > rows.loc["pearson", "epr"] / 2
    assert pd.isna(rows.loc["other", "sign_accuracy"])
    assert "| other |" in (folder / "results.md").read_text()

    changed = grn_command("benchmark", "name=bench", "resume=true", "suite.candidates=[reference_genes]")
    assert changed.code == 1
    assert "with other settings (candidates differs): give another name=..., or overwrite=true" in changed.err
    assert grn_command("benchmark", *QUICK, "overwrite=true", "methods=[pearson]").code == 0
    assert sorted(path.stem.split("--")[1] for path in (folder / "cells").iterdir()) == ["pearson", "shortcuts"]
    assert not (folder / ".replaced").exists()


@pytest.mark.usefixtures("edges")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["methods=[pearsn]"], "There is no method 'pearsn'. Did you mean 'pearson'"),
        (["methods=[regulatry]"], "Did you mean 'regulatory'"),
        (["sets=[krumsiek1]"], "the suite has no set 'krumsiek1'. Did you mean 'krumsiek11'"),
        (["suite=quik"], "Did you mean 'quick'"),
        (["data.root=nowhere"], "data.root=nowhere: there is no such folder"),
        (["sets=[dream4-100]"], "No set of the suite can be read (dream4-100: no data.root was given)"),
        (["files=[{name: a, path: edges.csv, set: krumsiek}]"], "Did you mean 'krumsiek11'"),
        (["files=[{name: a, path: edge.csv, set: krumsiek11}]"], "there is no file edge.csv"),
        (["variants=[{name: a, method: pearson, b.c: 1}]"], "pearson is a baseline without settings"),
        (["variants=[{name: a, metod: pearson}]"], "needs name and method; what else it has are settings"),
        (["suite.families.small.real=3"], "expected title (text) and real (true or false)"),
        (["workers=0"], "workers = 0 is too small"),
        (["seeds=[a]"], "expected a list of a whole number"),
    ],
)
def test_what_cannot_be_run_is_refused(
    grn_command: Callable, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = grn_command("benchmark", "name=x", *(arguments if "methods" in arguments[0] else [*QUICK[:1], *arguments]))
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("outputs/x/cells/*"))


def test_every_failure_is_an_error(grn_command: Callable, tmp_path: Path) -> None:
    done = grn_command("benchmark", "methods=[]", "variants=[{name: bad, method: regulatory, nothing: 1}]", "name=x")
    assert done.code == 1
    assert "No method has a result. The first failure: InputError: nothing is not a key" in done.err
    assert (tmp_path / "outputs" / "x" / "cells" / "krumsiek11--bad--seed0.log").exists()


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("suite=full", lambda plain: plain["suite"]["name"] == "full" and len(plain["seeds"]) == 3),
        ("suite.seeds=[4,5]", lambda plain: plain["seeds"] == [4, 5]),
        ("suite.methods=[clr]", lambda plain: plain["methods"] == ["clr"]),
        ("methods=null", lambda plain: plain["methods"] is None),
    ],
)
def test_settings_of_the_suite_are_the_commands(override: str, change: Callable[[Any], bool]) -> None:
    cfg = compose("benchmark", [override])
    validate(cfg, "benchmark")
    assert change(plain_config(cfg))


@pytest.mark.parametrize("suite", sorted(path.stem for path in (conf_dir() / "suite").glob("*.yaml")))
def test_suites_name_what_exists(suite: str, shared_data: Path) -> None:
    """Every set, reference and replicate of the suites is in the benchmark data, and every method in the registry."""
    from grn.evaluation.benchmark.sets import absent, find_references

    plain = plain_config(compose("benchmark", [f"suite={suite}"]))
    for name in plain["methods"] or ():
        method_of(name)
    for entry in plain["suite"]["sets"]:
        spec = SetSpec.of(entry)
        assert spec.family in plain["suite"]["families"]
        assert absent(spec, shared_data) is None
        assert set(spec.references or ()) <= set(find_references(spec, shared_data))


def test_variants_are_models_with_settings() -> None:
    text = (
        "variants=[{name: v, method: regulatory, network.readout: sphere, training.noise: 1.5, allow_negative: true}]"
    )
    plain = plain_config(compose("benchmark", [text, "methods=[pearson]"]))
    pearson, variant = _methods(plain["methods"], plain["variants"])
    assert (pearson.name, variant.name) == ("pearson", "v")
    expected = ["network.readout=sphere", "training.noise=1.5", "allow_negative=true"]
    assert variant.settings == {"method": "regulatory", "overrides": expected}


def test_methods_by_name() -> None:
    assert "regulatory" in models()
    for name, baseline in BASELINES.items():
        found = method_of(name)
        assert (found.name, found.signed, found.seeded) == (name, baseline.signed, baseline.seeded)
    renamed = method_of("regulatory", ["network.readout=sphere"], "sphere")
    assert (renamed.name, renamed.settings["overrides"]) == ("sphere", ["network.readout=sphere"])
    with pytest.raises(InputError, match="There is no method 'regulatori'"):
        method_of("regulatori")


def test_the_model_and_a_baseline_give_weights_of_the_same_shape() -> None:
    problem, _ = load_problem(SetSpec("k", "small", data={"_target_": "grn.datasets.krumsiek11"}), None)
    short = ["training.epochs=2", "training.steps_per_epoch=2", "trainer.accelerator=cpu"]
    for method in (method_of("regulatory", short), method_of("pearson")):
        assert method.function is not None
        weights = method.function(problem, 0)
        assert weights.shape == (11, 11)  # type: ignore[union-attr]
        assert (weights.diagonal() == 0).all()  # type: ignore[union-attr]
        assert (weights != 0).sum() > 50  # type: ignore[union-attr]
