"""Names of any letters through every format: they come back as they were, or are refused before a file is there."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grn._errors import InputError
from grn.network import GeneNetwork
from grn.network.formats import FORMATS

# No surrogates: they are no text in UTF-8.
letters = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    list("\t\n\r\x0b\x0c\x1c\x85\u2028\"',;#=+-@()|/\\ \x00\ufeff")
)
names = st.text(letters, min_size=1, max_size=6)
plain = frozenset(string.ascii_letters + string.digits)


def network_of(sources: list[str], targets: list[str], groups: list[str]) -> GeneNetwork:
    pairs = [(source, target) for source in sources for target in targets if source != target]
    table = pd.DataFrame(pairs, columns=["source", "target"], dtype=object)
    table["weight"] = np.linspace(1.0, -0.5, len(table), dtype=np.float32) + np.float32(0.01)
    if groups:
        table = pd.concat([table.assign(group=group) for group in groups])
    return GeneNetwork.from_edges(table)


def edges_of(network: GeneNetwork) -> set[tuple[str, ...]]:
    columns = [name for name in ("source", "target", "group") if name in network.edges]
    return set(network.edges[columns].itertuples(index=False, name=None))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.lists(names, min_size=1, max_size=2, unique=True),
    targets=st.lists(names, min_size=1, max_size=3, unique=True),
    groups=st.lists(names, max_size=2, unique=True),
)
@example(sources=["\ufeffA"], targets=["B"], groups=[])
@example(sources=["0"], targets=["\x00"], groups=[])
@example(sources=["sep=;"], targets=["B"], groups=[])
@example(sources=["#A"], targets=["source"], groups=["target", "weight"])
@example(sources=["A"], targets=["activates", "A(+)"], groups=["NA"])
@example(sources=["source"], targets=["target"], groups=["group"])
@example(sources=["a\r\nb"], targets=['"', '""'], groups=["'"])
@example(sources=[" A"], targets=["A", "A "], groups=["A", " A"])
@pytest.mark.parametrize("name", FORMATS)
def test_any_names(name: str, sources: list[str], targets: list[str], groups: list[str], tmp_path: Path) -> None:
    form = FORMATS[name]
    network = network_of(sources, targets, groups if form.grouped else [])
    path = tmp_path / form.file
    path.unlink(missing_ok=True)
    try:
        network.write(path)
    except InputError:
        assert not path.exists()
        if set("".join([*sources, *targets, *groups])) <= plain:
            raise
        return
    assert edges_of(GeneNetwork.read(path)) == edges_of(network)
