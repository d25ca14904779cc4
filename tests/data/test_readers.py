from __future__ import annotations

import gzip
import logging
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from grn._errors import InputError
from grn.data import check, read_expression


def dense(adata: anndata.AnnData) -> np.ndarray:
    return adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)


def write_10x(
    folder: Path, adata: anndata.AnnData, *, prefix: str = "", old: bool = False, packed: bool = True
) -> Path:
    """A Cell Ranger folder: genes x cells, features with identifier, symbol and type."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{prefix}matrix.mtx").open("wb") as stream:
        mmwrite(stream, sparse.coo_matrix(dense(adata).T.astype(int)))
    features = pd.DataFrame({"id": [f"ENSG{n:011d}" for n in range(adata.n_vars)], "name": adata.var_names})
    if not old:
        features["type"] = "Gene Expression"
    name = "genes" if old else "features"
    features.to_csv(folder / f"{prefix}{name}.tsv", sep="\t", header=False, index=False)
    (folder / f"{prefix}barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    if packed:
        for path in list(folder.iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    return folder


def write_10x_h5(path: Path, adata: anndata.AnnData) -> Path:
    matrix = sparse.csr_matrix(dense(adata).astype("int32"))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(adata.obs_names, dtype="S")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array([adata.n_vars, adata.n_obs])
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{n:011d}" for n in range(adata.n_vars)], dtype="S")
        features["name"] = np.array(adata.var_names, dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * adata.n_vars, dtype="S")
        features["genome"] = np.array(["GRCh38"] * adata.n_vars, dtype="S")
    return path


def write_loom(path: Path, adata: anndata.AnnData, **attributes: object) -> Path:
    """As anndata writes it: genes x cells, names in attributes of rows and columns."""
    with h5py.File(path, "w") as file:
        file["matrix"] = dense(adata).T
        file["row_attrs/var_names"] = np.array(adata.var_names, dtype=object)
        file["col_attrs/obs_names"] = np.array(adata.obs_names, dtype=object)
        file["col_attrs/cell_type"] = np.array(adata.obs["cell_type"], dtype="S")
        file["layers/spliced"] = dense(adata).T
        for name, value in attributes.items():
            file[f"{name.replace('__', '/')}"] = value
    return path


def assert_same(read: anndata.AnnData, given: anndata.AnnData) -> None:
    np.testing.assert_array_equal(dense(read), dense(given))
    assert list(read.var_names) == list(given.var_names)
    assert list(read.obs_names) == list(given.obs_names)


def test_h5ad_in_memory_and_on_disk(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "a.h5ad")
    assert_same(read_expression(tmp_path / "a.h5ad"), counts)
    on_disk = read_expression(str(tmp_path / "a.h5ad"), backed=True)
    assert on_disk.isbacked
    np.testing.assert_array_equal(check(on_disk).x.toarray(), check(counts).x.toarray())
    on_disk.file.close()


def test_h5_is_told_by_its_content(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "a.h5")
    assert_same(read_expression(tmp_path / "a.h5"), counts)
    assert_same(read_expression(write_10x_h5(tmp_path / "b.h5", counts)), counts)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("prefix", ["", "GSM1_"])
def test_10x_folders(counts: anndata.AnnData, tmp_path: Path, old: bool, packed: bool, prefix: str) -> None:
    folder = write_10x(tmp_path / "10x", counts, prefix=prefix, old=old, packed=packed)
    read = read_expression(folder)
    assert_same(read, counts)
    assert read.var["gene_ids"].iloc[1] == "ENSG00000000001"
    assert_same(read_expression(folder / f"{prefix}matrix.mtx{'.gz' if packed else ''}"), counts)


def test_other_features_than_genes_are_left_out(counts: anndata.AnnData, tmp_path: Path) -> None:
    folder = write_10x(tmp_path / "10x", counts, packed=False)
    features = (folder / "features.tsv").read_text().splitlines()
    features[-1] = features[-1].replace("Gene Expression", "Antibody Capture")
    (folder / "features.tsv").write_text("\n".join(features))
    assert_same(read_expression(folder), counts[:, :-1])


def test_repeated_symbols_of_10x_get_a_number(
    counts: anndata.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts.var_names = ["GATA1", "GATA1", *counts.var_names[2:]]
    with caplog.at_level(logging.INFO, logger="grn"):
        read = read_expression(write_10x_h5(tmp_path / "a.h5", counts))
    assert list(read.var_names[:2]) == ["GATA1", "GATA1-1"]
    assert "1 gene names occur twice or more and get a number: GATA1" in caplog.text


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("a.txt", "\t"), ("a.txt", " "), ("a.csv", ";")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_tables(counts: anndata.AnnData, tmp_path: Path, name: str, separator: str, packed: bool) -> None:
    path = tmp_path / (name + (".gz" if packed else ""))
    counts.to_df().to_csv(path, sep=separator, index_label="cell")
    assert_same(read_expression(path), counts)


def test_a_table_without_corner_as_r_writes_it(counts: anndata.AnnData, tmp_path: Path) -> None:
    lines = counts.to_df().to_csv(sep="\t").splitlines()
    (tmp_path / "a.tsv").write_text("\n".join([lines[0].lstrip("\t"), *lines[1:]]))
    assert_same(read_expression(tmp_path / "a.tsv"), counts)


def test_a_table_of_genes_in_rows(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.to_df().T.to_csv(tmp_path / "a.csv")
    assert_same(read_expression(tmp_path / "a.csv", transpose=True), counts)
    with pytest.raises(InputError, match="genes x cells"):
        check(read_expression(tmp_path / "a.csv"))


def test_a_table_is_kept_sparse_where_it_is_mostly_zeros(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.X = dense(counts)
    counts.to_df().to_csv(tmp_path / "dense.csv")
    counts.X[:, 4:] = 0
    counts.to_df().to_csv(tmp_path / "zeros.csv")
    assert sparse.issparse(read_expression(tmp_path / "zeros.csv").X)
    assert not sparse.issparse(read_expression(tmp_path / "dense.csv").X)


def test_repeated_genes_of_a_table_reach_the_gate(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("cell,GATA1,GATA1\n" + "".join(f"c{n},{n},1\n" for n in range(12)))
    with pytest.raises(InputError, match="gene names occur more than once"):
        check(read_expression(tmp_path / "a.csv"))


def test_a_gap_in_a_table_reaches_the_gate(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("cell,GATA1,SPI1\n" + "".join(f"c{n},{n},\n" for n in range(12)))
    with pytest.raises(InputError, match=r"12 NaN or infinite values in 1 genes \(SPI1\)"):
        check(read_expression(tmp_path / "a.csv"))


def test_gene_names_from_a_column(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.var["symbol"] = pd.Categorical(["GATA1", "GATA1", *counts.var_names[2:]])
    counts.var.loc[counts.var_names[-1], "symbol"] = np.nan
    counts.var_names = [f"ENSG{number:011d}" for number in range(counts.n_vars)]
    counts.write_h5ad(tmp_path / "a.h5ad")
    read = read_expression(tmp_path / "a.h5ad", gene_names="symbol")
    assert list(read.var_names[:3]) == ["GATA1", "GATA1-1", "KLF1"]
    assert read.var_names[-1] == "ENSG00000000011"
    with pytest.raises(InputError, match=r"var has no such column. Did you mean 'symbol'\?"):
        read_expression(tmp_path / "a.h5ad", gene_names="symbols")


def test_a_missing_file_names_its_siblings(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "counts.h5ad")
    with pytest.raises(InputError, match=r"no file count\.h5ad in .*Did you mean '.*counts\.h5ad'"):
        read_expression(tmp_path / "count.h5ad")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere, but .* exists"):
        read_expression(tmp_path / "nowhere" / "count.h5ad")
    with pytest.raises(InputError, match="is an address, not a file"):
        read_expression("https://example.org/a.h5ad")


def test_a_cut_h5ad_is_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.write_h5ad(tmp_path / "a.h5ad")
    content = (tmp_path / "a.h5ad").read_bytes()
    (tmp_path / "b.h5ad").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"b.h5ad is cut off .*Copy or download it again"):
        read_expression(tmp_path / "b.h5ad")


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\x00" * 5000])
def test_what_is_no_h5ad_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.h5ad").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5ad is not an HDF5 file"):
        read_expression(tmp_path / "a.h5ad")


def test_hdf5_of_another_kind_is_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    write_10x_h5(tmp_path / "a.h5ad", counts)
    with pytest.raises(InputError, match=r"no AnnData: it holds matrix.*give format='10x-h5'"):
        read_expression(tmp_path / "a.h5ad")
    assert_same(read_expression(tmp_path / "a.h5ad", format="10x-h5"), counts)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["something"] = 1
    with pytest.raises(InputError, match=r"not one of 10x .* holds something"):
        read_expression(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5ad", "w") as file:
        file["obs"], file["var"] = 1, 2
    with pytest.raises(InputError, match="cannot be read by anndata"):
        read_expression(tmp_path / "c.h5ad")


def test_an_unreadable_path_is_refused(
    counts: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts.write_h5ad(tmp_path / "a.h5ad")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The permissions of a file do not bind the superuser, under whom tests may run.
    monkeypatch.setattr(h5py, "File", deny)
    with pytest.raises(InputError, match=r"No permission to read .*a\.h5ad. Change it with chmod"):
        read_expression(tmp_path / "a.h5ad")


def test_folders_without_a_matrix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(InputError, match=r"without a 10x matrix\.mtx\(\.gz\); it holds x\.txt"):
        read_expression(tmp_path)
    (tmp_path / "a.h5ad").mkdir()
    with pytest.raises(InputError, match="is a folder, expected a file"):
        read_expression(tmp_path / "a.h5ad", format="h5ad")
    with pytest.raises(InputError, match="is a folder, expected a table"):
        read_expression(tmp_path, format="table")


def test_10x_files_that_do_not_fit_are_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    folder = write_10x(tmp_path / "10x", counts, packed=False)
    (folder / "barcodes.tsv").write_text("one\n")
    with pytest.raises(InputError, match="40 cells, but the files beside it name 12 features and 1 barcodes"):
        read_expression(folder)
    (folder / "barcodes.tsv").unlink()
    with pytest.raises(InputError, match=r"no file of barcodes beside it; expected barcodes\.tsv\.gz or barcodes\.tsv"):
        read_expression(folder)
    write_10x(folder, counts, packed=False)
    (folder / "matrix.mtx").write_text("hello")
    with pytest.raises(InputError, match="no Matrix Market file"):
        read_expression(folder)
    (folder / "a_matrix.mtx").write_text("")
    with pytest.raises(InputError, match="holds 2 matrices"):
        read_expression(folder)


def test_a_cut_10x_matrix_is_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    folder = write_10x(tmp_path / "10x", counts)
    content = (folder / "matrix.mtx.gz").read_bytes()
    (folder / "matrix.mtx.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is cut off"):
        read_expression(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"a\.csv is empty \(0 bytes\)"),
        ("hello\nworld\n", "has one column only"),
        ("cell,A,B\n", "no cell|one column"),
        ("cell,A,B\nc1,1,2\nc2,1,2,3\n", "no table of expression, or is cut off"),
        ("cell,A,B\nc1,1,x\n", r"1 columns that are not numbers \(B; B holds 'x'\)"),
        ("A,B\n0.5,2\n0.7,3\n", "first column of .* holds numbers"),
        ("A,B\n1,2\n1,3\n", "first column of .* holds numbers"),
    ],
)
def test_tables_that_are_none_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_expression(tmp_path / "a.csv")


def test_damaged_tables_are_refused(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.to_df().to_csv(tmp_path / "a.csv.gz")
    content = (tmp_path / "a.csv.gz").read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is cut off"):
        read_expression(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv").write_bytes(b"\x89HDF\r\n\xff\xff")
    with pytest.raises(InputError, match="no table of expression, because it is no text: it is an HDF5 file"):
        read_expression(tmp_path / "b.csv")


def test_unknown_endings_and_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("x")
    with pytest.raises(InputError, match=r"Cannot tell what a\.dat is by its ending.*Give format="):
        read_expression(tmp_path / "a.dat")
    with pytest.raises(InputError, match=r"format='h5add' is unknown. Did you mean 'h5ad'\?"):
        read_expression(tmp_path / "a.dat", format="h5add")


def test_backed_is_for_h5ad(counts: anndata.AnnData, tmp_path: Path) -> None:
    counts.to_df().to_csv(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"backed=True works for \.h5ad files only, a\.csv is read as table"):
        read_expression(tmp_path / "a.csv", backed=True)
    counts.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="cannot be combined"):
        read_expression(tmp_path / "a.h5ad", backed=True, transpose=True)


def test_loom(counts: anndata.AnnData, tmp_path: Path) -> None:
    write_loom(tmp_path / "a.loom", counts)
    assert_same(read_expression(tmp_path / "a.loom"), counts)
    with h5py.File(tmp_path / "a.loom", "r+") as file:
        file["row_attrs"].move("var_names", "Gene")
        file["col_attrs"].move("obs_names", "CellID")
    assert_same(read_expression(tmp_path / "a.loom"), counts)
    with h5py.File(tmp_path / "a.loom", "r+") as file:
        file["row_attrs"].move("Gene", "other")
    with pytest.raises(InputError, match=r"row_attrs has none of Gene, .* only other"):
        read_expression(tmp_path / "a.loom")
    counts.write_h5ad(tmp_path / "b.loom")
    with pytest.raises(InputError, match="no loom: it has no matrix"):
        read_expression(tmp_path / "b.loom")


def test_other_types_of_path_are_refused() -> None:
    with pytest.raises(TypeError, match="path must be the name of a file or folder, got int"):
        read_expression(3)
