"""What libraries throw, in every reader, writer and command: one message, no traceback, no bug of ours, no Python."""

from __future__ import annotations

import errno
import importlib
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from grn import _libraries
from grn._errors import InputError, on_the_command_line
from grn._files import atomic_path
from grn.config.schema import COMMANDS
from grn.data import read_expression
from grn.data.writing import write_h5ad
from grn.evaluation.reference import read_reference
from grn.network import GeneNetwork
from grn.network.formats import FORMATS
from grn.prior import read_prior

# Advice that only Python takes.
PYTHON = re.compile(r"=True|=False|=None|\b(adata|network|edges|numpy|pandas|grn)\.[a-z_]+\(|\bin Python\b|\]\(|=\['")


class ForeignError(Exception):
    """What only its library knows, as Lightning's and anndata's own errors."""


ERRORS: list[Callable[[], Exception]] = [
    lambda: OSError(errno.EIO, "Input/output error"),
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    lambda: OSError("Can't read data (filter returned failure)"),
    lambda: ValueError("buffer source array is read-only"),
    lambda: KeyError("encoding-type"),
    lambda: TypeError("Object dtype dtype('O') has no native HDF5 equivalent"),
    lambda: RuntimeError("Unspecified error in H5Dread"),
    lambda: IndexError("index 5 is out of bounds"),
    lambda: AttributeError("'NoneType' object has no attribute 'shape'"),
    lambda: NotImplementedError("not for this type"),
    lambda: AssertionError(),
    lambda: zlib.error("Error -3 while decompressing"),
    lambda: EOFError("Ran out of input"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: OverflowError("too large"),
    lambda: ForeignError("what only its library knows"),
]
NAMES = [error().__class__.__name__ + str(place) for place, error in enumerate(ERRORS)]


def failing(library: str, error: Callable[[], Exception]) -> Callable[..., Any]:
    """A function of a library that raises `error`: its frame says that it is the library's."""

    def call(*arguments: Any, **settings: Any) -> Any:
        raise error()

    return FunctionType(call.__code__, {**globals(), "__name__": library}, "call", None, call.__closure__)


def plant(monkeypatch: pytest.MonkeyPatch, where: str, error: Callable[[], Exception]) -> None:
    """Let the function `module:name` fail, as a fault of the library whose module it is."""
    module, _, name = where.partition(":")
    target: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        target = getattr(target, part)
    monkeypatch.setattr(target, last, failing(module, error))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file of each kind that is read."""
    data = anndata.AnnData(np.random.default_rng(0).poisson(2.0, (12, 4)).astype(np.float32))
    data.obs_names, data.var_names = [f"c{i}" for i in range(12)], ["A", "B", "C", "D"]
    data.obs["group"] = ["x", "y"] * 6
    data.write_h5ad(tmp_path / "a.h5ad")
    data.to_df().to_csv(tmp_path / "a.csv", index_label="cell")
    data.write_zarr(tmp_path / "a.zarr")
    GeneNetwork.from_matrix([[0.0, 0.9, -0.4, 0.1]], ["A"], ["A", "B", "C", "D"]).write(tmp_path / "n.parquet")
    pd.DataFrame({"source": ["A"], "target": ["B"], "sign": [1], "weight": [1.0]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    return tmp_path


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "h5ad": ("anndata:read_h5ad", lambda folder: read_expression(folder / "a.h5ad")),
    "h5ad, opened": ("h5py:File", lambda folder: read_expression(folder / "a.h5ad")),
    "zarr, opened": ("zarr:open_group", lambda folder: read_expression(folder / "a.zarr")),
    "zarr": ("anndata.io:read_elem", lambda folder: read_expression(folder / "a.zarr")),
    "table": ("pandas:read_csv", lambda folder: read_expression(folder / "a.csv")),
    "reference": ("pandas:read_csv", lambda folder: read_reference(folder / "t.csv")),
    "prior": ("pandas:read_csv", lambda folder: read_prior(folder / "t.csv")),
    "prior, parquet": ("pandas:read_parquet", lambda folder: read_prior(folder / "n.parquet")),
    "network": ("pyarrow.parquet:read_table", lambda folder: GeneNetwork.read(folder / "n.parquet")),
    "network, text": ("pandas:read_csv", lambda folder: GeneNetwork.read(folder / "t.csv")),
}


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
@pytest.mark.parametrize("name", READERS)
def test_readers(name: str, error: Callable[[], Exception], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, read = READERS[name]
    read(folder)
    plant(monkeypatch, where, error)
    with on_the_command_line(), pytest.raises(InputError) as caught:
        read(folder)
    assert str(folder) in str(caught.value)
    assert not PYTHON.search(str(caught.value))


@pytest.mark.parametrize("name", FORMATS)
def test_readers_of_networks_refuse_what_their_library_does_not_know(name: str, folder: Path) -> None:
    path = folder / FORMATS[name].file
    for content in (b"", b"\x00" * 40, b"<a>", b"{", b"[1]", b"\x89HDF\r\n\x1a\n" + b"\x00" * 90, b"PAR1PAR1"):
        path.write_bytes(content)
        with on_the_command_line():
            try:
                assert len(GeneNetwork.read(path)) == 0
            except InputError as error:
                text = str(error)
            else:
                continue
        assert not PYTHON.search(text)


WRITERS: dict[str, tuple[str, Callable[[GeneNetwork, Path], object]]] = {
    "parquet": ("pyarrow.parquet:write_table", lambda network, folder: network.write(folder / "n.parquet")),
    "tsv": ("pyarrow.csv:write_csv", lambda network, folder: network.write(folder / "n.tsv")),
    "graphml": ("networkx:write_graphml", lambda network, folder: network.write(folder / "n.graphml")),
    "h5ad": ("anndata:AnnData.write_h5ad", lambda network, folder: network.write(folder / "n.h5ad")),
    "genernib": ("anndata:AnnData.write_h5ad", lambda network, folder: network.write(folder / "n.genernib.h5ad")),
}


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
@pytest.mark.parametrize("name", WRITERS)
def test_writers(name: str, error: Callable[[], Exception], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = GeneNetwork.read(folder / "n.parquet")
    where, write = WRITERS[name]
    plant(monkeypatch, where, error)
    out = folder / "out"
    with on_the_command_line(), pytest.raises((InputError, OSError)) as caught:
        write(network, out)
    assert "n." in str(caught.value)
    assert not list(out.iterdir())


# Arguments that bring a command to its reader or writer, and the library's function that fails there.
CALLS: dict[str, list[tuple[str, list[str]]]] = {
    "train": [("anndata:read_h5ad", ["data=h5ad", "data.path=a.h5ad"]), ("lightning.pytorch:Trainer.fit", [])],
    "infer": [("anndata:read_h5ad", ["method=pearson", "data=h5ad", "data.path=a.h5ad", "tf=all"])],
    "evaluate": [("pandas:read_csv", ["network=n.parquet", "reference=t.csv"])],
    "export": [
        ("pyarrow.parquet:read_table", ["network=n.parquet", "output=n.tsv"]),
        ("pyarrow.csv:write_csv", ["network=n.parquet", "output=n.tsv"]),
    ],
    "compare": [("pyarrow.parquet:read_table", ["network=n.parquet", "other=n.parquet"])],
    "activity": [
        ("anndata:read_h5ad", ["network=n.parquet", "data=h5ad", "data.path=a.h5ad", "output=o.csv"]),
    ],
    "differential": [
        (
            "anndata:read_h5ad",
            ["data=h5ad", "data.path=a.h5ad", "group_by=group", "reference=x", "output=o.csv", "tf=all"],
        ),
    ],
    "perturb": [
        ("anndata:read_h5ad", ["network=n.parquet", "data=h5ad", "data.path=a.h5ad", "ko=A", "output=o.h5ad"]),
    ],
    "report": [("pyarrow.parquet:read_table", ["run=."])],
    "simulate": [
        ("anndata:AnnData.write_h5ad", ["output=o.h5ad", "data.n_cells=20", "data.n_genes=8", "data.n_tfs=2"])
    ],
    "benchmark": [("pandas:DataFrame.to_csv", ["methods=[pearson]", "sets=[krumsiek11]"])],
    "doctor": [("torch:get_num_threads", [])],
}


def test_every_command_is_tried() -> None:
    assert CALLS.keys() == COMMANDS.keys()


SOME = {"OSError": ERRORS[0], "RuntimeError": ERRORS[6], "ForeignError": ERRORS[-1]}


@pytest.mark.parametrize(
    ("command", "where", "arguments", "kind"),
    [
        (command, *call, kind)
        for command, calls in CALLS.items()
        for call in calls
        for kind in (SOME if command != "benchmark" else ["ForeignError"])  # it takes some seconds
    ],
)
def test_commands(
    command: str,
    where: str,
    arguments: list[str],
    kind: str,
    folder: Path,
    grn_command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "run.json").write_text("{}")
    (folder / "network.parquet").write_bytes((folder / "n.parquet").read_bytes())
    plant(monkeypatch, where, SOME[kind])
    done = grn_command(command, *arguments)
    assert done.code != 0, done.out
    assert "bug in grn" not in done.err
    assert not PYTHON.search(done.err), done.err
    if command not in ("doctor", "train") or "data=h5ad" in arguments:  # else the library fails where none is expected
        assert "Traceback" not in done.err
        assert done.err.strip().splitlines()[-1].startswith(("Error:", "If ", " ")) or "Error:" in done.err


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 80 bytes")],
)
def test_memory_that_ran_out(
    error: Exception, folder: Path, grn_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "anndata:read_h5ad", lambda: error)
    done = grn_command("infer", "method=pearson", "data=h5ad", "data.path=a.h5ad", "tf=all")
    assert done.code == 1
    assert "the memory ran out" in done.err
    assert "Traceback" not in done.err


def test_whose_error_it_is() -> None:
    def caught(call: Callable[[], object]) -> Exception:
        try:
            call()
        except Exception as error:
            return error
        raise AssertionError

    assert str(_libraries.raised_in(caught(lambda: pd.DataFrame().pop("a")))).startswith("pandas ")
    assert _libraries.raised_in(caught(lambda: importlib.import_module("json").loads("{"))) == "Python"
    assert _libraries.raised_in(caught(lambda: GeneNetwork.read("no.csv"))) is None
    assert _libraries.raised_in(caught(lambda: [][0])) is None  # a test is no library
    assert _libraries.said(KeyError("a.")) == "KeyError: 'a.'"


def test_an_h5ad_of_another_writer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "anndata:AnnData.write_h5ad", ERRORS[6])
    refused = pytest.raises(
        InputError, match=r"o\.h5ad was not written, because anndata .* refused it \(RuntimeError: "
    )
    with refused, atomic_path(folder / "o.h5ad") as temporary:
        write_h5ad(anndata.AnnData(np.eye(3)), temporary)
