"""Files of a few kilobytes that declare more than a machine holds: refused by their header, with a way on."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn._errors import InputError, on_the_command_line
from grn.data.readers import read_expression

HUGE = (10_000_000, 10_000_000)  # 400 TB of float32; no chunk of it is written


def adata() -> anndata.AnnData:
    values = sparse.csr_matrix(np.eye(4, 3, dtype=np.float32))
    return anndata.AnnData(values, obs=pd.DataFrame(index=list("abcd")), var=pd.DataFrame(index=["g1", "g2", "g3"]))


def bomb(group: h5py.Group, name: str, **attributes: str) -> None:
    """An array that is declared, and never written."""
    if name in group:
        del group[name]
    dataset = group.create_dataset(name, HUGE, "f4", chunks=(1000, 1000), compression="gzip")
    dataset.attrs.update(attributes)


ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}


@pytest.mark.parametrize("place", ["X", "layers/spliced", "obsm/X_pca", "uns/notes", "raw/X"])
def test_h5ad(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.h5ad"
    with_raw = adata()
    with_raw.raw = with_raw
    with_raw.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        bomb(file, place, **ARRAY)
    with pytest.raises(InputError, match=rf"a\.h5ad \(most of it {place}\) needs 363\.8 TiB of memory, and .* free"):
        read_expression(path)
    with on_the_command_line(), pytest.raises(InputError, match=r"with data\.backed=true, or use a machine"):
        read_expression(path)
    with pytest.raises(InputError, match="holds 0 bytes, and needs" if place.endswith("X") else "most of it"):
        read_expression(path, backed=True)


def test_positions_of_a_sparse_matrix(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    adata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices"):
            del file["X"][name]
            file["X"].create_dataset(name, (10**14,), "f4", chunks=(1000,), compression="gzip")
    for backed in (False, True):
        with pytest.raises(InputError, match=r"needs .* TiB of memory"):
            read_expression(path, backed=backed)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path: Path, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    with anndata.settings.override(zarr_write_format=version):
        adata().write_zarr(tmp_path / "a.zarr")
    store = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    del store["X"]
    array = store.create_array("X", shape=HUGE, dtype="f4", chunks=(1000, 1000))
    array.attrs.update(ARRAY)
    zarr.consolidate_metadata(tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"a\.zarr \(most of it X\) needs 363\.8 TiB of memory"):
        read_expression(tmp_path / "a.zarr")


def test_mudata(tmp_path: Path) -> None:
    path = tmp_path / "a.h5mu"
    adata().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "w") as file, h5py.File(tmp_path / "a.h5ad") as source:
        for name in ("rna", "atac"):
            file.create_group(f"mod/{name}")
            for part in source:
                source.copy(part, file[f"mod/{name}"])
        bomb(file["mod/atac"], "X", **ARRAY)
    assert read_expression(path, modality="rna").shape == (4, 3)
    with pytest.raises(InputError, match=r"needs 363\.8 TiB of memory"):
        read_expression(path, modality="atac")


@pytest.mark.parametrize("place", ["matrix", "layers/spliced", "row_attrs/Gene"])
def test_loom(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = np.ones((3, 4), np.float32)
        file["row_attrs/Gene"] = np.array(["g1", "g2", "g3"], dtype="S")
        file["col_attrs/CellID"] = np.array(list("abcd"), dtype="S")
        bomb(file, place)
        if place != "row_attrs/Gene":
            bomb(file, "matrix")
            for name, size in (("row_attrs/Gene", HUGE[0]), ("col_attrs/CellID", HUGE[1])):
                del file[name]
                file[name] = np.zeros(size, "S2")
    with pytest.raises(InputError, match=r"needs 363\.8 TiB of memory"):
        read_expression(path)


def test_10x_h5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["shape"] = [3, 4]
        group["barcodes"] = np.array(list("abcd"), dtype="S")
        for name in ("id", "name", "feature_type", "genome"):
            group[f"features/{name}"] = np.array(["g1", "g2", "g3"], dtype="S")
        group["indptr"] = np.zeros(5, int)
        for name in ("data", "indices"):
            group.create_dataset(name, (10**14,), "i4", chunks=(1000,), compression="gzip")
    with pytest.raises(InputError, match=r"a\.h5 .*needs .* TiB of memory"):
        read_expression(path)


@pytest.mark.parametrize("packed", [False, True])
def test_matrix_market(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("matrix.mtx.gz" if packed else "matrix.mtx")
    (tmp_path / "genes.tsv").write_text("i1\tg1\ni2\tg2\n")
    (tmp_path / "barcodes.tsv").write_text("a\nb\n")
    banner = "%%MatrixMarket matrix coordinate integer general\n"
    for size, message in (
        ("2 2 99999999999999\n", r"2 x 2 with 99,999,999,999,999 values, needs 2,182\.8 TiB of memory"),
        ("99999999999 2 1\n", "99,999,999,999 features"),
    ):
        text = f"{banner}{size}1 1 5\n".encode()
        path.write_bytes(gzip.compress(text) if packed else text)
        with pytest.raises(InputError, match=message):
            read_expression(path)


def test_packed_comments_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "genes.tsv").write_text("i1\tg1\n")
    (tmp_path / "barcodes.tsv").write_text("a\n")
    line = b"%" * 999 + b"\n"
    text = b"%%MatrixMarket matrix coordinate integer general\n" + line * 5_000 + b"1 1 1\n1 1 5\n"
    (tmp_path / "matrix.mtx.gz").write_bytes(gzip.compress(text))
    assert read_expression(tmp_path / "matrix.mtx.gz").X.toarray().tolist() == [[5]]
    monkeypatch.setattr("grn._tables.free_memory", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"unpacks to more than the 976\.6 KiB of memory that are free"):
        read_expression(tmp_path / "matrix.mtx.gz")


def test_circles_of_links(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    adata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["uns/again"] = file["uns"]
        # Two ways to each level: 2^40 paths.
        group = file["obsm"]
        for level in range(40):
            lower = file.create_group(f"other/{level}")
            group["left"] = group["right"] = lower
            group = lower
    with pytest.raises(InputError, match=r"200,000 parts, or groups within groups"):
        read_expression(path)


def test_what_fits_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adata().write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.setattr("grn._memory.free_memory", lambda: 100_000)
    assert read_expression(tmp_path / "a.h5ad").shape == (4, 3)
    monkeypatch.setattr("grn._memory.free_memory", lambda: 100)
    with pytest.raises(InputError, match=r"and 100 bytes are free"):
        read_expression(tmp_path / "a.h5ad")
    monkeypatch.setattr("grn._memory.free_memory", lambda: None)  # a system that does not tell
    assert read_expression(tmp_path / "a.h5ad").shape == (4, 3)
