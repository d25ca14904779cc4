"""SIF, Cytoscape's simplest format: source, what it does, target. Weights are not kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._tables import open_text
from grn.network.formats.checks import LETTERS, refuse_groups, refuse_names

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

WORDS = {1: "activates", -1: "represses", 0: "regulates"}


def write(network: GeneNetwork, path: Path) -> None:
    """Write one line per edge, strongest first: source, `activates`, `represses` or (unsigned) `regulates`, target."""
    refuse_groups(network, "SIF")
    refuse_names(network.genes, "SIF", LETTERS, "parquet, tsv or csv")
    edges = network.edges
    words = edges["sign"].map(WORDS)
    lines = (edges["source"] + "\t" + words + "\t" + edges["target"]).tolist()
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(path: Path) -> GeneNetwork:
    """Read a SIF file of ours; every edge has the weight +1 or -1, +1 without signs."""
    import pandas as pd

    from grn.network.network import GeneNetwork

    signs = {word: sign for sign, word in WORDS.items()}
    rows = []
    with open_text(path, "the SIF file") as stream:
        text = stream.read()
    # Not splitlines: a name may hold a letter that ends a line elsewhere.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 3 or fields[1] not in signs:
            raise InputError(
                f"Line {number} of {path} is {line!r}; expected source, 'activates', 'represses' or 'regulates', "
                "target, with tabs between them."
            )
        rows.append((fields[0], fields[2], float(signs[fields[1]] or 1), signs[fields[1]]))
    return GeneNetwork.from_edges(pd.DataFrame(rows, columns=["source", "target", "weight", "sign"]))
