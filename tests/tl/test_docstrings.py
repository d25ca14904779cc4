"""The examples of the tools run as they stand."""

from __future__ import annotations

import doctest

import pytest

from grn import tl

TOOLS = [name for name in tl.__all__ if name != "METHODS"]


@pytest.mark.parametrize("name", TOOLS)
def test_example(name: str) -> None:
    if name == "activity":
        pytest.importorskip("decoupler")
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(tl, name), name)
    result = doctest.DocTestRunner().run(example)
    assert result.attempted > 0
    assert result.failed == 0
