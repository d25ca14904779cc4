"""Public classes check what they are made of, as the functions beside them do: no error of a library comes out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.network import GeneNetwork
from grn.prior import Prior, clean_prior

EDGES = pd.DataFrame({"source": ["A", "B"], "target": ["B", "C"], "weight": [0.5, -0.2]})
SIGNED = EDGES.assign(sign=np.array([1, -1], np.int8))
GENES, REGULATORS = pd.Index(["A", "B", "C"]), pd.Index(["A", "B"])
# What users make themselves, by constructor and by the functions beside it; the rest is what functions return.
MADE = {
    "GeneNetwork": lambda table: GeneNetwork(table, GENES, REGULATORS),
    "GeneNetwork.from_edges": GeneNetwork.from_edges,
    "GeneNetwork.from_matrix": lambda table: GeneNetwork.from_matrix(table, REGULATORS, GENES),
    "Prior": lambda table: Prior(table, "mine"),
    "clean_prior": clean_prior,
}
RETURNED = {
    *("Evidence", "Candidates", "Cell", "Failure", "Method", "Problem", "Results", "SetSpec", "Activity", "Comparison"),
    *("Perturbation", "CheckedData", "ExpressionDataModule", "GateReport", "TFSelection", "Dynamics", "Gate"),
    *("GeneTransformer", "Moments", "NoiseChoice", "RegulatoryModel", "RidgePath", "AttentionMaps", "Strengths"),
}
ROOMS = ("", ".prior", ".network", ".evaluation", ".evaluation.benchmark", ".analysis", ".data", ".dynamics", ".models")
WRONG = {
    "None": None,
    "text": "network.tsv",
    "number": 3,
    "list": [1, 2],
    "no columns": pd.DataFrame(),
    "other columns": pd.DataFrame({"a": ["x"], "b": ["y"]}),
    "no weight": EDGES[["source", "target"]].assign(wight=1.0),
    "weights of text": SIGNED.assign(weight=["strong", "weak"]),
    "missing weights": EDGES.assign(weight=np.nan),
    "infinite weights": EDGES.assign(weight=np.inf),
    "numbers for names": EDGES.assign(source=[1, None]),
    "missing names": EDGES.assign(target=[None, "C"]),
}


def test_every_public_class_is_known_here() -> None:
    found = set()
    for room in (*(f"grn{room}" for room in ROOMS), "grn.kernels"):
        module = import_module(room)
        found |= {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert found == {name for name in MADE if name[0].isupper() and "." not in name} | RETURNED


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", MADE)
def test_wrong_input_is_refused_in_our_words(name: str, wrong: str) -> None:
    make: Callable[[Any], Any] = MADE[name]
    if (name, wrong) in {("Prior", "no weight"), ("clean_prior", "no weight"), ("GeneNetwork", "missing weights")}:
        return  # a prior needs no weights; a table of ours is taken as from_edges left it
    if name in ("GeneNetwork",) and wrong in ("infinite weights", "numbers for names", "missing names"):
        wrong_table = WRONG[wrong]
        with pytest.raises(InputError, match="columns"):  # of a raw table: no sign
            make(wrong_table)
        return
    with pytest.raises((InputError, TypeError)) as caught:
        make(WRONG[wrong])
    message = str(caught.value)
    assert len(message.split()) > 4
    assert caught.traceback[-1].path.parts[-3:-1] != ("pandas", "core")
    assert "grn" in str(caught.traceback[-1].path)


def test_a_raw_table_makes_a_prior() -> None:
    raw = pd.DataFrame({"tf": ["A", "B"], "gene": ["B", "C"], "mor": [1, -1]})
    pd.testing.assert_frame_equal(Prior(raw, "mine").table, clean_prior(raw))
    pd.testing.assert_frame_equal(Prior(clean_prior(raw), "mine").table, clean_prior(raw))


@pytest.mark.parametrize("strength", [-1, "strong", np.nan, True, None])
def test_strengths_of_a_prior(strength: Any) -> None:
    with pytest.raises(InputError, match="expected 'auto' or a number from 0 on"):
        Prior(EDGES, "mine", strength)


@pytest.mark.parametrize(
    ("genes", "regulators", "message"),
    [
        (["A", "B", "C"], ["D"], "not among its 3 genes"),
        (["A", "A"], ["A"], "must be unique"),
        (None, ["A"], "expected a list of names"),
        ([1, 2], ["A"], "must be names"),
    ],
)
def test_names_of_a_network(genes: Any, regulators: Any, message: str) -> None:
    with pytest.raises((InputError, TypeError), match=message):
        GeneNetwork(SIGNED, genes, regulators)
