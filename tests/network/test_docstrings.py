"""The examples in docstrings run."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    "grn.network.network",
    "grn.network.slots",
    "grn.get",
    "grn.evaluation.evaluate",
    "grn.plotting.network",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
