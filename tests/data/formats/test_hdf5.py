"""AnnData and MuData on disk: locked, in other stores, of a newer anndata."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.io import write_elem

import grn
from grn._errors import InputError
from grn.data import check, read_expression

HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('held', flush=True); sys.stdin.read()"


def test_a_file_that_another_program_writes_is_called_so(counts: anndata.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    counts.write_h5ad(path)
    # HDF5 locks between processes, so another one has to hold the file.
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=r"a\.h5ad is held open for writing by another program. Close it there"):
            read_expression(path)
        holder.communicate(b"")
    assert read_expression(path).shape == counts.shape


@pytest.fixture
def h5mu(counts: anndata.AnnData, tmp_path: Path) -> Path:
    proteins = anndata.AnnData(np.ones((counts.n_obs, 2), np.float32), obs=pd.DataFrame(index=counts.obs_names))
    with h5py.File(tmp_path / "a.h5mu", "w") as file:
        write_elem(file, "mod/rna", counts)
        write_elem(file, "mod/prot", proteins)
        write_elem(file, "obs", pd.DataFrame({"donor": ["d1", "d2"] * 20, "rna:x": 1}, index=counts.obs_names))
        write_elem(file, "var", pd.DataFrame(index=[*counts.var_names, "P1", "P2"]))
    return tmp_path / "a.h5mu"


def test_one_modality_of_a_mudata(h5mu: Path, counts: anndata.AnnData) -> None:
    for settings in ({}, {"format": "h5ad"}):
        read = read_expression(h5mu, modality="rna", **settings)
        np.testing.assert_array_equal(read.X.toarray(), counts.X.toarray())
        assert list(read.obs) == [*counts.obs, "donor"]
        assert check(read, group_by="donor").group_names == ["d1", "d2"]
    with pytest.raises(InputError, match=r"holds 2 modalities: 'prot', 'rna'. Say which to read: modality=rna"):
        read_expression(h5mu)
    with pytest.raises(InputError, match=r"modality='rnaa': .*Did you mean 'rna'\? It has 'prot', 'rna'"):
        read_expression(h5mu, modality="rnaa")
    with pytest.raises(InputError, match="holds a MuData"):
        read_expression(h5mu, modality="rna", backed=True)


def test_modality_without_a_use_is_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "a.h5ad")
    counts.to_df().to_csv(tmp_path / "a.csv")
    counts.write_zarr(tmp_path / "a.zarr")
    for name in ("a.h5ad", "a.csv", "a.zarr"):
        with pytest.raises(InputError, match="Leave modality out"):
            read_expression(tmp_path / name, modality="rna")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_stores(counts: anndata.AnnData, tmp_path: Path, version: int) -> None:
    counts.layers["other"] = counts.X.copy()
    counts.uns["a"] = {"b": 1, "c": {"d": "text"}}
    counts.obsm["pca"] = np.ones((counts.n_obs, 2))
    path = tmp_path / "folder"  # known by its content, whatever its name
    group = zarr.open_group(path, mode="w", zarr_format=version)
    write_elem(group, "/", counts)
    for settings in ({}, {"format": "h5ad"}, {"format": "zarr"}):
        read = read_expression(path, **settings)
        np.testing.assert_array_equal(read.X.toarray(), counts.X.toarray())
        pd.testing.assert_frame_equal(read.obs, counts.obs)
        assert (set(read.layers), set(read.obsm)) == ({"other"}, {"pca"})
        assert read.uns["a"]["c"]["d"] == "text"


def test_stores_that_hold_something_else(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w").create_group("images")
    with pytest.raises(InputError, match="zarr store but no AnnData: it holds images"):
        read_expression(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(InputError, match=r"b\.zarr"):
        read_expression(tmp_path / "b.zarr")
    zarr.open_group(tmp_path / "c.zarr", mode="w").create_group("tables/rna")
    with pytest.raises(InputError, match=r"SpatialData: give the path of a table in it \(.*tables/rna\)"):
        read_expression(tmp_path / "c.zarr")


def newer(path: Path, *places: str) -> Path:
    """Mark parts of a file as of an encoding that no anndata knows."""
    with h5py.File(path, "r+") as file:
        for place in places:
            file[place].attrs["encoding-type"], file[place].attrs["encoding-version"] = "of-the-future", "9.0.0"
    return path


@pytest.fixture
def rich(counts: anndata.AnnData, tmp_path: Path) -> Path:
    counts.uns["a"] = {"b": np.arange(3), "c": "text"}
    counts.obsm["pca"] = np.ones((counts.n_obs, 2))
    counts.layers["counts"] = counts.X.copy()
    counts.raw = counts.copy()
    counts.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


@pytest.mark.parametrize("backed", [False, True])
def test_what_is_not_needed_may_be_of_a_newer_anndata(
    rich: Path, counts: anndata.AnnData, backed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    places = ("uns/a/b", "obsm/pca", "X", "raw/X", "obs/n_genes")
    with caplog.at_level(logging.WARNING, logger="grn"):
        read = read_expression(newer(rich, *places), backed=backed)
    np.testing.assert_array_equal(check(read).x.toarray(), check(counts).x.toarray())
    assert list(read.obs) == ["cell_type", "leiden"]
    assert read.uns["a"] == {"c": "text"}
    assert all(place in caplog.text for place in places)
    assert "an encoding that anndata" in caplog.text


@pytest.mark.parametrize(
    ("place", "layer"), [("X", "X"), ("layers/counts", None), ("layers/counts", "counts"), ("raw/X", "raw")]
)
def test_what_is_needed_and_of_a_newer_anndata_is_refused(rich: Path, place: str, layer: str | None) -> None:
    with pytest.raises(InputError, match=rf"{place} was written by a newer anndata than .*pip install --upgrade"):
        read_expression(newer(rich, place), layer=layer)


def test_the_commands_say_which_matrix_they_need(rich: Path) -> None:
    from grn.config import compose, load_data

    newer(rich, "X")
    read = load_data(compose("train", ["data=h5ad", f"data.path={rich}", "data.layer=counts"]).data)
    assert read.X is None
    with pytest.raises(InputError, match="X was written by a newer anndata"):
        load_data(compose("train", ["data=h5ad", f"data.path={rich}", "data.layer=X"]).data)


@pytest.mark.parametrize("place", ["obs", "obs/_index", "var"])
def test_names_of_a_newer_anndata_are_refused(rich: Path, place: str) -> None:
    with pytest.raises(InputError, match="was written by a newer anndata"):
        read_expression(newer(rich, place))


def test_a_file_packed_under_another_name_is_seen(counts: anndata.AnnData, tmp_path: Path) -> None:
    import gzip

    counts.write_h5ad(tmp_path / "b.h5ad")
    (tmp_path / "a.h5ad").write_bytes(gzip.compress((tmp_path / "b.h5ad").read_bytes()))
    with pytest.raises(InputError, match=r"packed with gzip, although .* mv .*a\.h5ad .*a\.h5ad\.gz && gunzip .*\.gz"):
        read_expression(tmp_path / "a.h5ad")


TOOLS = {
    "grn.pp.check": grn.pp.check,
    "grn.tl.infer": grn.tl.infer,
    "grn.tl.activity": grn.tl.activity,
    "grn.tl.perturb": grn.tl.perturb,
    "grn.tl.confidence": grn.tl.confidence,
    "grn.tl.differential": lambda adata: grn.tl.differential(adata, "cell_type"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_a_mudata_or_a_lazy_anndata_is_refused_by_every_tool(
    name: str, counts: anndata.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    mudata = SimpleNamespace(mod={"rna": counts, "atac": counts}, obs=counts.obs, uns={})
    with pytest.raises(TypeError, match=rf"{name} takes .*modalities \('rna', 'atac'\): {name}\(mdata\['rna'\]\)"):
        TOOLS[name](mudata)
    with pytest.raises(TypeError, match=r"Read the file: grn\.data\.read_expression\('a\.h5ad'\)"):
        TOOLS[name]("a.h5ad")
    # What read_lazy returns, without its dependencies: obs is no pandas table.
    monkeypatch.setattr(anndata.AnnData, "obs", property(lambda _: object()))
    with pytest.raises(InputError, match=rf"{name} needs obs and var in memory.*adata\.to_memory\(\)"):
        TOOLS[name](counts)


def test_a_copy_of_data_on_disk_is_refused_before_the_work(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "a.h5ad")
    backed = read_expression(tmp_path / "a.h5ad", backed=True)
    with pytest.raises(InputError, match=r"grn\.tl\.infer with copy=True: an AnnData on disk"):
        grn.tl.infer(backed, copy=True)
    grn.tl.infer(backed, ["GATA1", "SPI1"], method="pearson")
    assert grn.tl.perturb(backed, ko="GATA1")["gene"].iloc[0] == "GATA1"
