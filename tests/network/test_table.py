import logging

import numpy as np
import pandas as pd
import pytest

from grn._errors import InputError
from grn.network import GeneNetwork


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame({"source": ["A", "A", "B"], "target": ["B", "C", "C"], "weight": [1.0, -2.0, 0.5], **columns})


def test_edges_are_sorted_and_signed():
    network = GeneNetwork.from_edges(table())
    assert network.edges["weight"].tolist() == [-2.0, 1.0, 0.5]
    assert network.edges["sign"].tolist() == [-1, 1, 1]
    assert network.genes.tolist() == ["A", "B", "C"]
    assert network.regulators.tolist() == ["A", "B"]


def test_loops_zeros_and_foreign_columns_are_left_out_and_told(caplog):
    given = table(importance=[1, 2, 3])
    given.loc[3] = ["C", "C", 1.0, 4]
    given.loc[4] = ["B", "A", 0.0, 5]
    with caplog.at_level(logging.INFO, logger="grn"):
        network = GeneNetwork.from_edges(given)
    assert len(network) == 3
    assert "1 self-edges and 1 edges of weight 0" in caplog.text
    assert "importance" in caplog.text


def test_names_that_look_like_other_things_are_kept():
    network = GeneNetwork.from_edges(pd.DataFrame({"source": ["NA"], "target": ["1"], "weight": [1]}))
    assert network.edges.loc[0, ["source", "target"]].tolist() == ["NA", "1"]


def test_the_same_edge_in_two_groups_is_allowed():
    given = table(group=["x", "x", "y"])
    given.loc[3] = ["A", "B", 3.0, "y"]
    assert GeneNetwork.from_edges(given).groups == ["x", "y"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (table().rename(columns={"source": "TF"}), "lack 'source'.*got 'TF'"),
        (table(weight=[1, "much", 2]), "1 weights are no finite numbers, e.g. 'much'"),
        (table(weight=[1, np.inf, 2]), "no finite numbers"),
        (table(weight=[1, 1e300, 2]), "no finite numbers"),
        (table(source=["A", None, "B"]), "1 edges have no source"),
        (table(sign=[1, 1, 1]), "1 edges have a sign that is not the sign of their weight"),
        (
            pd.concat([table(), table()]),
            "3 edges are given more than once, e.g. A -> C|3 edges are given more",
        ),
    ],
)
def test_bad_tables_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        GeneNetwork.from_edges(given)


def test_names_must_be_known():
    with pytest.raises(InputError, match="not among its 2 genes"):
        GeneNetwork.from_edges(table(), genes=["A", "B"])
    with pytest.raises(InputError, match="not among the regulators"):
        GeneNetwork.from_edges(table(), regulators=["A"])
