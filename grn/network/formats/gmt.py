"""GMT, the format of gene sets: for each regulator the genes it activates and those it represses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._tables import open_text
from grn.network.formats.checks import LETTERS, refuse_groups, refuse_names

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

SETS = {"(+)": (1, "activated by"), "(-)": (-1, "repressed by"), "(?)": (0, "regulated by")}


def write(network: GeneNetwork, path: Path) -> None:
    """Write the sets `NAME(+)` and `NAME(-)`, or `NAME(?)` without signs, each with its targets, strongest first.

    A trained network has an edge for nearly every pair: choose `top` or `per_target` before.
    """
    refuse_groups(network, "GMT")
    refuse_names(network.genes, "GMT", LETTERS, "parquet, tsv or csv")
    lines = []
    for source, edges in network.edges.groupby("source", sort=True):
        for ending, (sign, words) in SETS.items():
            targets = edges.loc[edges["sign"] == sign, "target"].tolist()
            if targets:
                lines.append("\t".join([f"{source}{ending}", f"{words} {source}", *targets]))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(path: Path) -> GeneNetwork:
    """Read sets named `NAME(+)` and `NAME(-)`; every edge has the weight +1 or -1, of `NAME(?)` +1 without a sign."""
    import pandas as pd

    from grn.network.network import GeneNetwork

    rows = []
    with open_text(path, "the GMT file") as stream:
        text = stream.read()
    # Not splitlines: a name may hold a letter that ends a line elsewhere.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        name, *fields = line.split("\t")
        if name[-3:] not in SETS or len(fields) < 2:
            raise InputError(
                f"Line {number} of {path} starts with {name[:40]!r}; expected a set named 'REGULATOR(+)' or "
                "'REGULATOR(-)', a description and targets, with tabs between them."
            )
        sign = SETS[name[-3:]][0]
        rows += [(name[:-3], target, float(sign or 1), sign) for target in fields[1:]]
    return GeneNetwork.from_edges(pd.DataFrame(rows, columns=["source", "target", "weight", "sign"]))
