"""Every public function and method leaves the user's process as it was: run between two looks at its state.

Most are run by the examples of their docstrings, which must also come out as they say; the others by `CALLS`. A
new public name with neither fails here.
"""

from __future__ import annotations

import doctest
import inspect
import logging
import os
import random
import re
import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import grn
from grn._errors import InputError
from grn._process import unchanged_process
from grn.analysis import activity, compare, differential, perturb, strengths
from grn.data import CheckedData, check
from grn.evaluation import best_shortcut, candidate_pairs, clean_reference, evaluate_matrix, read_reference
from grn.evaluation.baselines import BASELINES, find
from grn.kernels import (
    attention_maps,
    attention_strengths,
    explain_backend,
    network_similarity,
    spherical_attention,
)
from grn.network import GeneNetwork, from_anndata

API = Path(__file__).resolve().parents[1] / "docs" / "api"
MODULES = sorted(
    name for page in API.glob("*.md") for name in re.findall(r"public-names:: (\S+)", page.read_text(encoding="utf-8"))
)
# Imported before the first look: what a library registers when it is imported is its own.
LIBRARIES = ("decoupler", "h5py", "lightning.pytorch", "matplotlib.pyplot", "networkx", "pyarrow", "scanpy", "sklearn")


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    for name in LIBRARIES:
        try:
            import_module(name)
        except ImportError:
            assert name == "decoupler"  # the only one of an extra


@pytest.fixture(scope="module")
def cells() -> Any:
    adata = grn.datasets.krumsiek11()[::8].copy()
    adata.obs["half"] = np.where(np.arange(adata.n_obs) % 2, "one", "other")
    return adata


@pytest.fixture(scope="module")
def with_network(cells: Any) -> Any:
    return grn.tl.infer(cells, tf="all", method="ridge", copy=True)


@pytest.fixture(scope="module")
def network(with_network: Any) -> GeneNetwork:
    return grn.get.network(with_network)


@pytest.fixture(scope="module")
def checked(cells: Any) -> CheckedData:
    return check(cells, tf="all", group_by="half")


def state() -> dict[str, Any]:
    """What belongs to the process and not to a call."""
    import matplotlib

    loggers = {
        name: (one.level, one.propagate, one.disabled, list(one.handlers), list(one.filters))
        for name, one in logging.root.manager.loggerDict.items()
        if isinstance(one, logging.Logger)
    }
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic, warnings only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "new memory": torch.utils.deterministic.fill_uninitialized_memory,
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "default type": torch.get_default_dtype(),
        "matrix products": torch.get_float32_matmul_precision(),
        "gradients": torch.is_grad_enabled(),
        "random numbers": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),  # noqa: NPY002
        "warnings": list(warnings.filters),
        "how warnings are shown": warnings.showwarning,
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "sys.path": list(sys.path),
        "excepthook": sys.excepthook,
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
        "root logger": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "loggers": loggers,
        "matplotlib": (matplotlib.get_backend(), dict(matplotlib.rcParams)),
        "pandas": {name: pd.get_option(name) for name in ("mode.chained_assignment", "display.max_rows")},
        "numpy": (np.geterr(), np.get_printoptions()),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is not as before; a logger that is new has no state that could have been changed."""
    after = {**after, "loggers": {name: after["loggers"][name] for name in before["loggers"]}}
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def public_names() -> list[str]:
    """Functions of the documented modules, and the methods of their classes."""
    found = []
    for module_name in MODULES:
        module = import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                methods = [key for key in vars(value) if key[0] != "_" and key not in _fields(value)]
                found += [f"{module_name}.{name}.{method}" for method in methods]
            elif inspect.isroutine(value):
                found.append(f"{module_name}.{name}")
    return list(dict.fromkeys(found))


def _fields(kind: type) -> set[str]:
    return set(getattr(kind, "__dataclass_fields__", ())) | set(getattr(kind, "_fields", ()))


def _maps() -> Any:
    return attention_maps(ONES, ONES, statistics=("mean", "abs", "square"))


ONES = torch.ones(3, 1, 4, 8)  # (cells, heads, genes, head_dim); the examples draw random numbers of their own


def _table() -> pd.DataFrame:
    return pd.DataFrame({"source": ["Gata1", "Gata2"], "target": ["Pu.1", "Gata1"], "sign": [1, -1]})


def _reference_file(folder: Path) -> Path:
    _table().to_csv(folder / "reference.csv", index=False)
    return folder / "reference.csv"


def _offline(function: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download without a network: the error leaves the process unchanged too."""
    import socket

    def no_network(*args: Any, **kwargs: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(InputError):
        function(cache=folder)


CALLS: dict[str, Callable[..., Any]] = {
    "grn.get.centrality": lambda network, **_: grn.get.centrality(network),
    "grn.get.compare": lambda network, **_: grn.get.compare(network, network, top=10),
    "grn.get.network": lambda with_network, **_: grn.get.network(with_network),
    "grn.get.regulators": lambda with_network, **_: grn.get.regulators(with_network),
    "grn.get.regulons": lambda with_network, **_: grn.get.regulons(with_network, min_targets=1),
    "grn.network.from_anndata": lambda with_network, **_: from_anndata(with_network),
    "grn.network.GeneNetwork.from_matrix": lambda **_: GeneNetwork.from_matrix([[0.0, 1.0]], ["A"], ["A", "B"]),
    "grn.network.GeneNetwork.from_edges": lambda network, **_: GeneNetwork.from_edges(network.edges),
    "grn.network.GeneNetwork.groups": lambda network, **_: network.groups,
    "grn.network.GeneNetwork.signed": lambda network, **_: network.signed,
    "grn.network.GeneNetwork.of_group": lambda network, **_: _grouped().of_group("one"),
    "grn.network.GeneNetwork.ungrouped": lambda network, **_: _grouped().ungrouped(),
    "grn.network.GeneNetwork.matrix": lambda network, **_: network.matrix(),
    "grn.network.GeneNetwork.top": lambda network, **_: network.top(3),
    "grn.network.GeneNetwork.per_target": lambda network, **_: network.per_target(1),
    "grn.network.GeneNetwork.significant": lambda network, **_: _significant(network),
    "grn.network.GeneNetwork.chosen": lambda network, **_: network.chosen(top=3),
    "grn.network.GeneNetwork.regulator_table": lambda network, **_: network.regulator_table(),
    "grn.network.GeneNetwork.write": lambda network, folder, **_: network.write(folder / "n.graphml"),
    "grn.network.GeneNetwork.read": lambda network, folder, **_: _written_and_read(network, folder / "n.h5ad"),
    "grn.analysis.Comparison.to_dict": lambda network, **_: compare(network, network, top=10).to_dict(),
    "grn.analysis.activity": lambda network, cells, **_: activity(network, cells, method="ulm", min_targets=1),
    "grn.analysis.differential": lambda checked, **_: differential(checked, group="one", permutations=20),
    "grn.analysis.perturb": lambda network, checked, **_: perturb(network, checked, {"Gata1": 0.0}),
    "grn.analysis.strengths": lambda network, checked, **_: strengths(network, checked),
    "grn.evaluation.best_shortcut": lambda cells, **_: best_shortcut(
        np.asarray(cells.X, dtype=float), cells.var_names, cells.var_names, cells.uns["reference"]
    ),
    "grn.evaluation.candidate_pairs": lambda cells, **_: candidate_pairs(_table(), cells.var_names),
    "grn.evaluation.clean_reference": lambda **_: clean_reference(_table()),
    "grn.evaluation.evaluate_matrix": lambda cells, **_: evaluate_matrix(
        np.eye(cells.n_vars)[::-1], cells.var_names, cells.var_names, cells.uns["reference"]
    ),
    "grn.evaluation.read_reference": lambda folder, **_: read_reference(_reference_file(folder)),
    "grn.evaluation.Candidates.lookup": lambda cells, **_: candidate_pairs(_table(), cells.var_names).lookup(
        _table(), "sign"
    ),
    "grn.evaluation.baselines.find": lambda **_: find("ridge"),
    "grn.kernels.explain_backend": lambda **_: explain_backend(),
    "grn.kernels.spherical_attention": lambda **_: spherical_attention(ONES, ONES, ONES),
    "grn.kernels.attention_maps": lambda **_: _maps(),
    "grn.kernels.attention_strengths": lambda **_: attention_strengths(ONES, ONES),
    "grn.kernels.network_similarity": lambda **_: network_similarity(ONES, ONES),
    "grn.kernels.AttentionMaps.mean": lambda **_: _maps().mean,
    "grn.kernels.AttentionMaps.abs": lambda **_: _maps().abs,
    "grn.kernels.AttentionMaps.square": lambda **_: _maps().square,
    "grn.kernels.AttentionMaps.std": lambda **_: _maps().std,
    "grn.kernels.AttentionMaps.sign_consistency": lambda **_: _maps().sign_consistency,
    "grn.datasets.paul15": lambda folder, monkeypatch, **_: _offline(grn.datasets.paul15, folder, monkeypatch),
    "grn.datasets.pbmc3k": lambda folder, monkeypatch, **_: _offline(grn.datasets.pbmc3k, folder, monkeypatch),
    "grn.datasets.beeline": lambda folder, **_: _refused(grn.datasets.beeline, folder),
}


def _refused(function: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(InputError):
        function(*arguments)


def _grouped() -> GeneNetwork:
    return GeneNetwork.from_matrix({"one": [[0.0, 1.0]], "other": [[0.0, -1.0]]}, ["A"], ["A", "B"])


def _significant(network: GeneNetwork) -> GeneNetwork:
    return GeneNetwork.from_edges(network.edges.assign(qvalue=0.01)).significant(0.05)


def _written_and_read(network: GeneNetwork, path: Path) -> GeneNetwork:
    network.write(path)
    return GeneNetwork.read(path)


def _object(name: str) -> Any:
    module = max((one for one in MODULES if name.startswith(f"{one}.")), key=len)
    value: Any = import_module(module)
    for part in name.removeprefix(f"{module}.").split("."):
        value = getattr(value, part)
    return value


def _run(name: str, **given: Any) -> None:
    if name in CALLS:
        CALLS[name](**given)
        return
    (example,) = doctest.DocTestFinder(recurse=False).find(_object(name), name)
    assert example.examples, f"{name} has neither an example nor a call here"
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", public_names())
def test_a_call_leaves_the_process_as_it_was(
    name: str, with_network: Any, network: Any, cells: Any, checked: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    if name.endswith(".activity"):
        pytest.importorskip("decoupler")
    monkeypatch.chdir(tmp_path)
    given = {"with_network": with_network, "network": network, "cells": cells, "checked": checked}
    before = state()
    _run(name, **given, folder=tmp_path, monkeypatch=monkeypatch)
    assert not differences(before, state())


@pytest.mark.parametrize("method", ["regulatory", "contextual", "transformer"])
def test_every_model_leaves_the_process_as_it_was(method: str, cells: Any) -> None:
    before = state()
    few = ["training.epochs=1", "training.steps_per_epoch=1"]
    grn.tl.infer(cells, tf=["Gata1", "Gata2", "Pu.1"], method=method, overrides=few, copy=True)
    assert not differences(before, state())


@pytest.mark.parametrize("method", BASELINES)
def test_every_baseline_leaves_the_process_as_it_was(method: str, cells: Any) -> None:
    """Called by itself; two targets, because forests take their time."""
    before = state()
    BASELINES[method].score(np.asarray(cells.X[:, :2], dtype=float), np.array([0, 1]), seed=3)
    assert not differences(before, state())


def test_what_was_chosen_stays_chosen(cells: Any) -> None:
    """Not only the defaults come back: a user's own settings do."""
    with unchanged_process():
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_num_threads(1)
        warnings.simplefilter("error", ResourceWarning)
        os.environ["OF_THE_USER"] = "1"
        before = state()
        grn.tl.infer(cells, tf="all", overrides=["training.epochs=1"], copy=True)
        assert not differences(before, state())


def test_a_call_that_raises_leaves_the_process_as_it_was(cells: Any) -> None:
    before = state()
    with pytest.raises(InputError, match="training diverged"):
        grn.tl.infer(
            cells, tf="all", overrides=["training.optimizer._target_=torch.optim.SGD", "training.optimizer.lr=1e30"]
        )
    assert not differences(before, state())


def test_everything_is_given_back(tmp_path: Path) -> None:
    before = state()
    with pytest.raises(KeyError):
        _meddle(tmp_path)
    assert not differences(before, state())


@unchanged_process()
def _meddle(folder: Path) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    warnings.simplefilter("ignore")
    os.environ["GRN_ADDED"] = "1"
    os.environ.pop("PATH")
    os.chdir(folder)
    sys.path.append("elsewhere")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyError
