"""The examples in docstrings run."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["centrality", "compare", "regulons"])
def test_examples(name: str) -> None:
    # The package's attribute of this name is the function.
    result = doctest.testmod(import_module(f"grn.analysis.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_example_of_activity() -> None:
    pytest.importorskip("decoupler")
    from grn import tl

    (example,) = doctest.DocTestFinder(recurse=False).find(tl.activity, "activity")
    assert doctest.DocTestRunner().run(example).failed == 0
