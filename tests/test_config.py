"""Composing, checking and building from configuration. Every file under conf/ is covered, new ones too."""

from __future__ import annotations

import copy
import functools
import inspect
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from grn._errors import InputError
from grn.config import compose, conf_dir, factory, instantiate, load_data, plain_config, prepare_override, validate
from grn.config.registry import PLACES
from grn.config.schema import COMMANDS
from grn.config.targets import parameters, place_of
from grn.config.types import describe, fits

MANDATORY = {
    "train": [],
    "infer": ["run=outputs/x"],
    "evaluate": ["network=n.tsv", "reference=r.csv"],
    "export": ["network=n.tsv", "output=n.gmt"],
    "report": ["run=outputs/x"],
    "compare": ["network=n.tsv", "other=m.tsv"],
    "activity": ["network=n.tsv", "data=pbmc68k", "output=a.csv"],
    "differential": ["data=paul15", "group_by=paul15_clusters", "output=d.tsv"],
    "perturb": ["network=n.tsv", "data=paul15", "ko=[Gata1]", "output=p.tsv"],
    "simulate": [],
    "benchmark": [],
    "doctor": [],
}
# Groups that belong to another command than `grn train`.
COMMAND_OF = {"suite": "benchmark"}
DATA_PATHS = {"h5ad": ["data.path=x.h5ad"], "file": ["data.path=x.csv"], "beeline": ["data.folder=x"]}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def groups() -> list[str]:
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra")


CASES = [(group, choice) for group in groups() for choice in choices(group)]


def test_every_command_has_a_file_and_a_schema() -> None:
    assert {path.stem for path in conf_dir().glob("*.yaml")} == set(COMMANDS) == set(MANDATORY)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_composes(command: str) -> None:
    validate(compose(command, MANDATORY[command]), command)


@pytest.mark.parametrize(("group", "choice"), CASES)
def test_every_choice_composes(group: str, choice: str) -> None:
    extra = DATA_PATHS.get(choice, []) if group == "data" else []
    command = COMMAND_OF.get(group, "train")
    validate(compose(command, [f"{group}={choice}", *extra]), command)


@pytest.mark.parametrize("path", sorted((conf_dir() / "hydra").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_hydra_choice_composes(path: Path) -> None:
    compose("train", [f"hydra/{path.parent.name}={path.stem}"])


@pytest.mark.parametrize(("group", "choice"), [case for case in CASES if case[0] != "data"])
def test_every_choice_is_instantiated(group: str, choice: str) -> None:
    """Each outermost node with a target is built or, where it needs live arguments, made ready for that."""
    cfg = compose(COMMAND_OF.get(group, "train"), [f"{group}={choice}"])
    for node in targets(cfg):
        full = str(node._get_full_key(None))
        place = place_of(full)
        assert place is not None, f"{full} builds something, and has no place in the registry"
        own = ("name", "tf", "layer")
        made = factory(place, {key: value for key, value in plain_config(node).items() if key not in own})
        known = parameters(made.func)
        needs = {name for name, one in known.items() if one.default is one.empty} - set(made.keywords)
        assert needs or made() is not None


def targets(node: Any) -> list[DictConfig]:
    if not isinstance(node, DictConfig):
        return []
    if "_target_" in node:
        return [node]
    return [found for child in node.values() for found in targets(child)]


@pytest.mark.parametrize("choice", choices("data"))
def test_data_settings_are_the_python_defaults(choice: str) -> None:
    """The command line and the Python API start from the same values."""
    node = compose("train", [f"data={choice}", *DATA_PATHS.get(choice, [])]).data
    known = parameters(factory("data", {"_target_": node._target_}).func)
    plain = plain_config(compose("train", [f"data={choice}", *DATA_PATHS.get(choice, [])]))["data"]
    differing = {
        name: (plain[name], one.default)
        for name, one in known.items()
        if name in plain and one.default is not one.empty and plain[name] != _as_yaml(one.default)
    }
    # `format: h5ad` is what tells data=h5ad from data=file.
    assert set(differing) <= ({"format"} if choice == "h5ad" else set())


def _as_yaml(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_data_is_loaded() -> None:
    adata = load_data(compose("train", ["data=krumsiek11"]).data)
    assert adata.n_vars == 11


def test_simulated_tfs_follow_their_number() -> None:
    cfg = compose("train", ["data=simulated", "data.n_tfs=12"])
    assert list(cfg.tf)[-1] == "TF12"
    assert len(cfg.tf) == 12


def leaves(node: Any, prefix: str = "") -> list[str]:
    if isinstance(node, dict):
        return [leaf for key, child in node.items() for leaf in leaves(child, f"{prefix}{key}.")]
    return [prefix[:-1]]


TRAIN = compose("train", ["data=simulated"])
BEST = {"_target_": "grn.training.checkpoints.BestAndLast", "monitor": "train_loss", "mode": "min"}
TRAIN_LEAVES = leaves(plain_config(TRAIN))


@pytest.mark.parametrize("leaf", TRAIN_LEAVES)
def test_a_wrong_type_raises(leaf: str) -> None:
    cfg = copy.deepcopy(TRAIN)
    OmegaConf.update(cfg, leaf, {"no such": ["thing"]}, merge=False, force_add=True)
    with pytest.raises(InputError, match=r"does not fit|must be|not allowed"):
        validate(cfg)


@pytest.mark.parametrize("leaf", [leaf for leaf in TRAIN_LEAVES if "._" not in leaf])
def test_a_misspelt_key_names_the_right_one(leaf: str) -> None:
    parent, _, key = leaf.rpartition(".")
    cfg = copy.deepcopy(TRAIN)
    wrong = f"{parent}.{key}x" if parent else f"{key}x"
    OmegaConf.update(cfg, wrong, 1, force_add=True)
    with pytest.raises(InputError, match=rf"{key}x is not a (key|setting).*Did you mean .*'{key}'"):
        validate(cfg)


@pytest.mark.parametrize("leaf", [leaf for leaf in TRAIN_LEAVES if "." not in leaf])
def test_a_missing_key_is_named(leaf: str) -> None:
    cfg = plain_config(TRAIN)
    del cfg[leaf]
    with pytest.raises(InputError, match=f"{leaf} is missing"):
        validate(cfg)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=-1", "seed = -1 is too small: it must be at least 0"),
        ("seed=4294967296", "too large: it must be at most 4,294,967,295"),
        ("seed=1.5", r"seed = 1.5 \(float\) does not fit: expected a whole number"),
        ("seed=true", r"seed = True \(bool\) does not fit"),
        ("resume=yes_please", "resume = 'yes_please' .* expected true or false"),
        ("network.figure_top=0", "network.figure_top = 0 is too small"),
        ("network.readout=spheres", "expected one of 'auto', 'effect', 'sphere'"),
        (
            "network.formats=[parquet,gexf]",
            "network.formats = .* does not fit: expected a list of one of 'parquet'",
        ),
        ("trainer.devices=[a]", "trainer.devices = .* does not fit: lightning.pytorch.Trainer takes"),
        ("model=null", "must be a string or a list"),
    ],
)
def test_values_that_do_not_fit(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(compose("train", [override]))


def test_missing_values_are_named() -> None:
    with pytest.raises(InputError, match=r"data.path must be given: add data.path=\.\.\."):
        validate(compose("train", ["data=h5ad"]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data=pbmc"],
            "data=pbmc: there is no such choice. Did you mean 'pbmc3k' or 'pbmc68k'.*Choose from: beeline",
        ),
        (["sed=1"], "sed is not a key of the configuration. Did you mean 'seed'"),
        (["data=h5ad", "data.pth=x"], "Did you mean 'data.path'"),
        (["n_genes=5", "data=simulated"], "Did you mean 'data.n_genes'"),
        (["seed"], "written key=value"),
        (["seed=1,2"], "seed=1,2 names several values.*add --multirun"),
        (["experiment=krumsiek"], "Did you mean 'krumsiek11'"),
    ],
)
def test_what_does_not_exist_is_explained(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        compose("train", overrides)


def test_unknown_command() -> None:
    with pytest.raises(InputError, match=r"no command 'trian'. Did you mean 'train'"):
        validate({}, "trian")


def test_compose_inside_a_hydra_application() -> None:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    with hydra.initialize_config_dir(str(conf_dir()), version_base=None, job_name="outer"):
        running = GlobalHydra.instance().hydra
        assert compose("evaluate", MANDATORY["evaluate"]).candidates == "all_genes"
        assert GlobalHydra.instance().hydra is running
        assert hydra.compose("train").seed == 0
    assert not GlobalHydra.instance().is_initialized()
    assert compose("train").seed == 0
    assert not GlobalHydra.instance().is_initialized()


def test_experiment_wins_over_choices_and_loses_to_the_user() -> None:
    assert compose("train", ["experiment=krumsiek11"]).data.name == "krumsiek11"
    assert compose("train", ["experiment=krumsiek11", "name=mine"]).name == "mine"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cells (1).h5ad", "cells (1).h5ad"),
        ("~/cells.h5ad", "~/cells.h5ad"),
        ("a=b.h5ad", "a=b.h5ad"),
        ("Zellen_für_ß.h5ad", "Zellen_für_ß.h5ad"),
        ("it's.h5ad", "it's.h5ad"),
        ('a"b#c.h5ad', 'a"b#c.h5ad'),
        ("C:\\cells;1\\", "C:\\cells;1\\"),
        ('"quoted already.h5ad"', "quoted already.h5ad"),
        ("two words.h5ad", "two words.h5ad"),
    ],
)
def test_paths_arrive_as_typed(value: str, expected: str) -> None:
    assert compose("train", ["data=h5ad", f"data.path={value}"]).data.path == expected


def test_tf_changes_are_one_text_and_lists_stay_lists() -> None:
    assert compose("train", ["tf=human,+GATA1,-SPI1"]).tf == "human,+GATA1,-SPI1"
    assert list(compose("train", ["tf=[GATA1,SPI1]"]).tf) == ["GATA1", "SPI1"]
    assert prepare_override("tf=human,mouse") == "tf=human,mouse"
    assert prepare_override("training.noise=1,-1") == "training.noise=1,-1"
    assert list(compose("train", ["tf=[H2-T(3)]"]).tf) == ["H2-T(3)"]
    assert prepare_override("~experiment") == "~experiment"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("GATA1", "GATA1"),
        ("GATA1,TAL1", "GATA1,TAL1"),
        ("GATA1, NKX2-5", "GATA1, NKX2-5"),
        ("H2-T(3)", "H2-T(3)"),
        ("[GATA1,TAL1]", ["GATA1", "TAL1"]),
        ("null", None),
    ],
)
def test_genes_to_perturb_are_one_text_or_a_list(given: str, expected: str | list[str] | None) -> None:
    for key in ("ko", "oe"):
        cfg = plain_config(compose("perturb", [*MANDATORY["perturb"][:2], "output=p.tsv", f"{key}={given}"]))
        assert cfg[key] == expected
    # Of other settings a comma still separates runs.
    assert prepare_override("name=a,b") == "name=a,b"


def test_levels_to_overexpress() -> None:
    cfg = compose("perturb", [*MANDATORY["perturb"], "oe={TAL1: 2.5, NKX2-5: 1}"])
    validate(cfg, "perturb")
    assert plain_config(cfg)["oe"] == {"TAL1": 2.5, "NKX2-5": 1}


@pytest.mark.parametrize(("given", "name"), [("007", "007"), ("1_000", "1_000"), ("true", "true"), ("null", None)])
def test_names_are_text(given: str, name: str | None) -> None:
    assert compose("train", [f"name={given}"]).name == name


STRANGE = (
    *("os.system", "torch.load", "grn.run_folder.os.system", "grn._files.shutil.rmtree", "grn._provenance._git"),
    *("grn.datasets", "grn.config.types.describe", "torch.optim.Optimizer", "torch.optim.swa_utils.update_bn"),
    *("lightning.pytorch.callbacks.LambdaCallback", "lightning.pytorch.callbacks.ModelCheckpoint"),
    *("grn.data.read_expression.__globals__", "__import__", "", 3, None, True, ["os.system"], {"a": 1}),
)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_but_what_is_registered_is_built(place: str) -> None:
    others = {target for one in PLACES.values() for target in one.entries} - set(PLACES[place].entries)
    for target in (*STRANGE, *others):
        with pytest.raises(InputError, match=r"_target_ = .* is not allowed: .* is built there, which can be"):
            instantiate(place, {"_target_": target})


@pytest.mark.parametrize("place", PLACES)
def test_everything_registered_can_be_imported_and_has_the_settings_that_are_named(place: str) -> None:
    for target, entry in PLACES[place].entries.items():
        known = parameters(factory(place, {"_target_": target}).func)
        assert set(entry.settings or ()) | set(entry.ours) | {key for key, _ in entry.nested} <= set(known)


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_", "__init__", "_private"])
def test_names_with_a_leading_underscore_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"data.{key} is not a setting of grn.datasets.krumsiek11"):
        instantiate("data", {"_target_": "grn.datasets.krumsiek11", key: ["a"]})


def test_what_grn_gives_itself_is_no_setting() -> None:
    with pytest.raises(InputError, match=r"callbacks.mine.folder is not a setting"):
        instantiate("callbacks.*", {**BEST, "folder": "/tmp"}, where="callbacks.mine")
    for key in ("plugins", "logger", "callbacks", "profiler", "default_root_dir"):
        with pytest.raises(InputError, match=f"trainer.{key} is not a setting"):
            instantiate("trainer", {"_target_": "lightning.pytorch.Trainer", key: True})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+trainer.strategy._target_=os.system"], "trainer.strategy"),
        (["+network._target_=os.system"], "network._target_ is not a key"),
        (["+seed._target_=os.system"], "seed"),
        (["+callbacks.mine={inner: {_target_: os.system}}"], "callbacks.mine._target_ is missing"),
        (["+callbacks.mine._target_=os.system"], "callbacks.mine._target_ = 'os.system' is not allowed"),
        (["+training.optimizer.lr={_target_: os.system}"], "training.optimizer.lr._target_ is not allowed"),
        (["~data._target_"], "data._target_ is missing"),
        (["data._target_=grn._provenance._git", "+data._args_=[a]"], "data._target_ = .* is not allowed"),
        (["trainer.devices=100000"], "trainer.devices = 100000 is too large"),
    ],
)
def test_a_configuration_builds_only_where_something_is_built(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(compose("train", overrides))


def test_near_misses_of_a_target() -> None:
    with pytest.raises(InputError, match="Did you mean 'pbmc68k'"):
        instantiate("data", {"_target_": "grn.datasets.pbmc68"})
    with pytest.raises(InputError, match="Did you mean 'Adam'"):
        instantiate("training.optimizer", {"_target_": "torch.optim.Adm"})


def test_settings_are_checked_by_name_and_type() -> None:
    simulated = {"_target_": "grn.datasets.simulated"}
    with pytest.raises(InputError, match=r"n_cels is not a setting of .*Did you mean 'n_cells'"):
        instantiate("data", {**simulated, "n_cels": 3})
    with pytest.raises(InputError, match=r"n_cells = '3' \(str\) does not fit: .* takes a whole number"):
        instantiate("data", {**simulated, "n_cells": "3"})
    with pytest.raises(InputError, match=r"has no parameter 'sed'.*Did you mean 'seed'"):
        instantiate("data", simulated, sed=3)
    with pytest.raises(InputError, match=r"also needs path: set data.path="):
        instantiate("data", {"_target_": "grn.data.read_expression"})
    with pytest.raises(InputError, match="expected a dictionary with _target_"):
        instantiate("data", [simulated])


def test_live_arguments_are_passed_as_they_are() -> None:
    weights = [torch.zeros(1, requires_grad=True)]
    built = instantiate("training.optimizer", {"_target_": "torch.optim.Adam", "lr": 0.1}, weights)
    assert built.param_groups[0]["params"][0] is weights[0]
    partial = factory("training.optimizer", {"_target_": "torch.optim.Adam", "lr": 0.1})
    assert isinstance(partial, functools.partial)
    assert partial.keywords == {"lr": 0.1}


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [1.0, "1", True, None, [1]]),
        (float, [0, 1.5], ["1", True, None]),
        (bool, [True], [1, "true", None]),
        (str, ["a"], [1, None, ["a"]]),
        (int | None, [None, 2], ["x"]),
        (typing.Optional[str], [None, "a"], [1]),  # noqa: UP045
        (Literal["a", 1], ["a", 1], ["b", True]),
        (list[int], [[], [1]], [["a"], "ab", 1]),
        (tuple[float, float], [[1, 2.0]], [[1], ["a", "b"], 1]),
        (tuple[float, ...], [[1], []], ["a", [None]]),
        (dict[str, int], [{}], [[], "a"]),
        (Path, ["a/b"], [1]),
        (typing.Sequence[str] | int | None, [["a"], 3, None], ["a", [1]]),
        (Any, [1, None, {}], []),
        ("Unresolved", [1, None], []),
        (typing.Annotated[int, "cells"], [1], ["a"]),
        (InputError, [{"_target_": "grn.x"}], [1, {"a": 1}]),
    ],
)
def test_fits(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    assert all(fits(annotation, value) for value in good)
    assert not any(fits(annotation, value) for value in bad)
    assert describe(annotation)


def test_describe_reads_well() -> None:
    assert describe(int | None) == "a whole number or null"
    assert describe(list[str]) == "a list of text"
    assert describe(Literal["a", "b"]) == "one of 'a', 'b'"


def test_annotations_only_for_the_type_checker_do_not_hide_the_others() -> None:
    def function(a: int, b: NotImported, c: bool = True) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    found = parameters(function)
    assert (found["a"].annotation, found["b"].annotation, found["c"].annotation) == (int, Any, bool)
    assert found["a"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.noise=-1", "training.noise = -1 is too small: it must be at least 0"),
        ("training.epochs=0", "training.epochs = 0 is too small"),
        ("model.head_dim=0", "model.head_dim = 0 is too small"),
        ("network.figure_top=300", "too large: it must be at most 200"),
        ("training.noise=nan", "training.noise = nan is not a finite number"),
        ("training.noise=inf", "training.noise = inf is not a finite number"),
    ],
)
def test_numbers_out_of_range_are_refused_before_training(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(compose("train", [override]))


def test_bounds_are_those_of_the_writers() -> None:
    from grn.config.validating import _AT_MOST
    from grn.network.formats.graphml import LIMIT
    from grn.plotting.network import MOST

    assert (_AT_MOST["graphml_top"], _AT_MOST["figure_top"]) == (LIMIT, MOST)


def test_what_a_constructor_refuses_is_the_users_error() -> None:
    optimizer = {"_target_": "torch.optim.Adam", "lr": -1.0}
    with pytest.raises(InputError, match=r"training.optimizer cannot be built: .*learning rate"):
        instantiate("training.optimizer", optimizer, [torch.zeros(1, requires_grad=True)])
