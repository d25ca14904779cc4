"""Files changed by bytes and by structure: what was written, or an InputError; no traceback, hang or other network."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import scipy.io
import scipy.sparse
from anndata import AnnData
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from grn.network import GeneNetwork

WHOLE = os.environ.get("GRN_FAULTS") == "whole"
EACH = 75 if WHOLE else 12  # mutations of each kind of file, by bytes and by structure
NETWORKS = ("parquet", "tsv", "graphml", "h5ad")
CELLS = ("h5ad", "csv", "mtx")
ERRORS = {"InputError", "FileNotFoundError", "PermissionError", "OSError"}
# Where numbers stand without a checksum, a changed digit is another number, and nobody can tell.
SEALED = {"networks/parquet"}


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of each kind; an .mtx lies in a folder with its genes and barcodes."""
    folder = tmp_path_factory.mktemp("originals")
    random = np.random.default_rng(0)
    genes = [f"GENE{place}" for place in range(12)]
    found = {}
    network = GeneNetwork.from_matrix(random.standard_normal((6, 12)), genes[:6], genes)
    for ending in NETWORKS:
        found[f"networks/{ending}"] = folder / f"network.{ending}"
        network.write(found[f"networks/{ending}"])
    counts = random.poisson(2.0, (40, 12)).astype(np.float32)
    adata = AnnData(scipy.sparse.csr_matrix(counts))
    adata.var_names, adata.obs_names = genes, [f"cell{place}" for place in range(40)]
    found["cells/h5ad"], found["cells/csv"] = folder / "cells.h5ad", folder / "cells.csv"
    adata.write_h5ad(found["cells/h5ad"])
    adata.to_df().to_csv(found["cells/csv"])
    (folder / "tenx").mkdir()
    found["cells/mtx"] = folder / "tenx" / "matrix.mtx"
    scipy.io.mmwrite(found["cells/mtx"], scipy.sparse.coo_matrix(counts.T.astype(int)))
    pd.DataFrame([genes, genes]).T.to_csv(folder / "tenx" / "genes.tsv", sep="\t", header=False, index=False)
    (folder / "tenx" / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    return found


def by_bytes(draw: Callable, content: bytes) -> bytes:
    """One change to some bytes of a file."""
    start = draw(st.integers(0, max(0, len(content) - 1)))
    length = draw(st.integers(1, 40))
    end = min(len(content), start + length)
    kind = draw(st.sampled_from(["flip", "cut", "remove", "repeat", "zero", "insert", "overwrite"]))
    some = draw(st.binary(min_size=1, max_size=40))
    return {
        "flip": content[:start] + bytes([content[start] ^ (1 << draw(st.integers(0, 7)))]) + content[start + 1 :],
        "cut": content[:start],
        "remove": content[:start] + content[end:],
        "repeat": content[:end] + content[start:],
        "zero": content[:start] + bytes(end - start) + content[end:],
        "insert": content[:start] + some + content[start:],
        "overwrite": content[:start] + some + content[start + len(some) :],
    }[kind]


ODD_VALUES = (
    "",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "abc",
    "1,5",
    '"',
    "NA",
    "0x10",
    "１",
    "\x00",
    "-1",
    "9" * 30,
    "1;2",
    " ",
)
ODD_LINES = (
    "",
    "\x00",
    "# a remark",
    '"unclosed',
    "\t\t\t\t\t\t\t",
    ",,,",
    "é" * 5,
    "%%MatrixMarket",
    "1 2",
    "0 0 1",
    "99 99 1",
)


def by_lines(draw: Callable, content: bytes) -> bytes:
    """A field, a line or the header of a text file is another one."""
    lines = content.decode().splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(["value", "line", "drop", "double", "swap", "header", "separator", "end"]))
    if kind == "value":
        parts = re.split(r"([,\t <>])", lines[place])
        parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from(ODD_VALUES))
        lines[place] = "".join(parts)
    elif kind == "line":
        lines.insert(place, draw(st.sampled_from(ODD_LINES)))
    elif kind == "drop":
        del lines[place]
    elif kind == "double":
        lines.insert(place, lines[place])
    elif kind == "swap":
        lines[place], lines[0] = lines[0], lines[place]
    elif kind == "header":
        lines[0] = draw(st.sampled_from(["", "a,b,c", "source\tsource\tweight", lines[0].upper(), "\ufeff" + lines[0]]))
    elif kind == "separator":
        lines = [line.replace("\t", ";").replace(",", ";") for line in lines]
    joined = "\r".join(lines) if kind == "end" else "\n".join(lines)
    return joined.encode()


def by_objects(draw: Callable, path: Path) -> None:
    """An object or attribute of an HDF5 file is gone, or of another kind, shape or content."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = draw(st.sampled_from(sorted(names)))
        node = file[name]
        kinds = ["drop", "attribute", "text", "group"] + (["values", "shape"] if isinstance(node, h5py.Dataset) else [])
        kind = draw(st.sampled_from(kinds))
        odd = draw(st.sampled_from([-1, 0, 7, 10**6, 2**31, "", "another", [3, 4, 5]]))
        if kind == "attribute" and node.attrs:
            node.attrs[draw(st.sampled_from(sorted(node.attrs)))] = odd
        elif kind == "values" and node.size and node.dtype.kind in "iuf" and node.shape:
            values = node[:]
            values[draw(st.integers(0, len(values) - 1))] = draw(st.sampled_from([-1, 0, 3, 120]))
            node[:] = values
        elif kind == "shape" and node.shape and node.size:
            values, attributes = node[:-1], dict(node.attrs)
            del file[name]
            file.create_dataset(name, data=values).attrs.update(attributes)
        else:
            del file[name]
            if kind == "text":
                file[name] = "text"
            elif kind == "group":
                file.create_group(name)


def by_columns(draw: Callable, path: Path) -> None:
    """A column of a Parquet table is gone, or of another kind, name or content, or the metadata are."""
    import pyarrow as pa

    table = pq.read_table(path)
    place = draw(st.integers(0, table.num_columns - 1))
    name = table.column_names[place]
    kind = draw(st.sampled_from(["drop", "rename", "nulls", "text", "numbers", "metadata", "fewer", "twice"]))
    if kind == "drop":
        table = table.drop_columns([name])
    elif kind == "rename":
        table = table.rename_columns([other if other != name else "another" for other in table.column_names])
    elif kind in ("nulls", "text", "numbers"):
        made: Any = {"nulls": None, "text": "text", "numbers": draw(st.sampled_from([np.nan, np.inf, 7.5]))}[kind]
        table = table.set_column(place, name, pa.array([made] * len(table)))
    elif kind == "metadata":
        odd = draw(st.sampled_from([b"{", b"[]", b'{"genes": 3}', b'{"genes": ["x"]}', b'{"params": []}', b"\xff"]))
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"grn": odd})
    elif kind == "fewer":
        table = table.slice(0, draw(st.integers(0, len(table) - 1)))
    else:
        table = table.append_column(name, table.column(place))
    pq.write_table(table, path)


def mutants(original: Path, kind: str, folder: Path, how: str) -> list[Path]:
    """`EACH` mutated files of one kind, each in a folder of its own, the same in every run."""
    made: list[Path] = []

    @settings(
        max_examples=EACH, derandomize=True, deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def make(data: Any) -> None:
        path = folder / str(len(made)) / kind.split("/")[0] / original.name
        path.parent.mkdir(parents=True)
        for beside in original.parent.iterdir() if kind.endswith("mtx") else [original]:
            shutil.copy(beside, path.parent / beside.name)
        if how == "bytes":
            path.write_bytes(by_bytes(data.draw, path.read_bytes()))
        elif kind.endswith("h5ad"):
            by_objects(data.draw, path)
        elif kind.endswith("parquet"):
            by_columns(data.draw, path)
        else:
            path.write_bytes(by_lines(data.draw, path.read_bytes()))
        made.append(path)

    make()
    return made


def outcomes(child: Callable, paths: list[Path]) -> dict[str, Any]:
    """What became of each file; a reader that dies or hangs is found out, and the next files are read by another."""
    found: dict[str, Any] = {}
    left = [str(path) for path in paths]
    while left:
        ended = child(paths[0].parents[2], files=tuple(left), limit=20 + len(left))
        for line in ended.output.splitlines():
            if line.startswith('["'):
                path, outcome = json.loads(line)
                found[path] = outcome
        if ended.code != 0:
            guilty = next(path for path in left if path not in found)
            found[guilty] = {"error": f"the process ended with {ended.code}", "text": "", "trace": ended.output[-2000:]}
        left = [path for path in left if path not in found]
    return found


@pytest.mark.parametrize("how", ["bytes", "structure"])
@pytest.mark.parametrize("kind", [*(f"networks/{one}" for one in NETWORKS), *(f"cells/{one}" for one in CELLS)])
def test_damaged(
    child: Callable, originals: dict[str, Path], tmp_path: Path, tally: Callable, kind: str, how: str
) -> None:
    (right,) = outcomes(child, [copied(originals[kind], tmp_path, kind)]).values()
    assert "read" in right, right
    lost = []
    for path, outcome in outcomes(child, mutants(originals[kind], kind, tmp_path / "mutants", how)).items():
        if "error" in outcome:
            good = outcome["error"] in ERRORS and bool(outcome["text"])
        else:
            good = outcome == right or not (kind in SEALED and how == "bytes")
        tally("survived" if good else "lost", path)
        if not good:
            lost.append((path, outcome.get("error"), outcome.get("text", "")[:300], outcome.get("trace", "")[-700:]))
    assert not lost, "\n\n".join("\n".join(map(str, one)) for one in lost)


def copied(original: Path, folder: Path, kind: str) -> Path:
    """The untouched file, where the readers take it for a network or for cells by its folder."""
    place = folder / "right" / kind.split("/")[0]
    shutil.copytree(original.parent, place) if kind.endswith("mtx") else place.mkdir(parents=True)
    shutil.copy(original, place / original.name)
    return place / original.name
