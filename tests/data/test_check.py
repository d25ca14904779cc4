from __future__ import annotations

import json
import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import grn.pp
from grn._errors import InputError, on_the_command_line
from grn.data import CheckedData, check

SETS = [
    *("beeline-GSD", "beeline-HSC", "beeline-dyn-BF", "beeline-dyn-CY", "beeline-dyn-LI", "beeline-dyn-LL"),
    *("dream4-100", "mDC-1000", "mDC-500", "mEF-40", "marrow-cd34"),
    *("sergio-DS1", "sergio-DS1-perturb", "sergio-DS4", "sergio-DS5"),
]


def test_counts_pass(counts: anndata.AnnData) -> None:
    before = counts.X.copy()
    checked = check(counts, group_by="cell_type")
    assert isinstance(checked, CheckedData)
    assert checked.tf_names == ["GATA1", "SPI1", "KLF1", "RUNX1"]
    assert list(checked.genes) == list(counts.var_names)
    assert list(checked.cells) == list(counts.obs_names)
    assert checked.groups is not None
    assert list(checked.groups.categories) == ["T", "B"]
    expected = np.log1p(before.toarray() / before.sum(axis=1) * 1e3)
    np.testing.assert_allclose(checked.x.toarray(), expected, rtol=1e-5)
    assert (before != counts.X).nnz == 0
    assert grn.pp.check is check
    shown = repr(checked).splitlines()
    assert shown[0] == "CheckedData(40 cells x 12 genes, 4 TFs, 2 groups)"
    # Everything that is known is shown, as the command line shows it.
    assert shown[1:] == [f"  {label}: {text}" for label, text in checked.report.rows()]


def test_sparse_stays_sparse_and_dense_dense(counts: anndata.AnnData) -> None:
    sparse_x = check(counts).x
    counts.X = sparse.csc_matrix(counts.X)
    from_csc = check(counts).x
    counts.X = counts.X.toarray()
    dense = check(counts).x
    assert sparse_x.format == from_csc.format == "csr"
    np.testing.assert_allclose(sparse_x.toarray(), dense, rtol=1e-6)
    np.testing.assert_array_equal(sparse_x.toarray(), from_csc.toarray())


def test_integers_of_any_type_and_views_pass(counts: anndata.AnnData) -> None:
    expected = check(counts).x.toarray()
    for dtype in ("int32", "int64", "uint16", "float64"):
        typed = anndata.AnnData(counts.X.astype(dtype), obs=counts.obs, var=counts.var)
        np.testing.assert_allclose(check(typed).x.toarray(), expected, rtol=1e-6)
    view = counts[:20]
    assert view.is_view
    assert check(view).x.shape[0] == 20


def test_backed_gives_the_same(counts: anndata.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "counts.h5ad"
    counts.write_h5ad(path)
    on_disk = anndata.read_h5ad(path, backed="r")
    np.testing.assert_array_equal(check(on_disk).x.toarray(), check(counts).x.toarray())
    np.testing.assert_array_equal(check(on_disk[:20]).x.toarray(), check(counts[:20]).x.toarray())
    on_disk.file.close()


def test_the_report_tells_what_was_found_and_done(counts: anndata.AnnData, caplog: pytest.LogCaptureFixture) -> None:
    counts.X = counts.X.toarray()
    counts.X[:, 5] = 0
    with caplog.at_level(logging.INFO, logger="grn"):
        checked = check(counts, tf="human,+CD19,+NOPE", group_by="leiden")
    report = checked.report
    assert (report.cells, report.genes, report.dropped_genes) == (40, 11, 1)
    assert (report.kind, report.source, report.identifiers, report.species) == (
        "counts",
        "X",
        "symbols",
        "human",
    )
    assert report.zeros == pytest.approx((checked.x == 0).mean())
    assert report.groups == {"0": 10, "1": 10, "2": 10, "10": 10}
    assert report.tf_absent == {"CD19": "zero in all cells", "NOPE": "not in the data."}
    assert "CD19" not in checked.genes
    rows = report.rows()
    assert ("Genes", "11 (1 more are zero in all cells: left out)") in rows
    assert ("TFs", f"4 of {report.tf_listed:,} (human list, +CD19, +NOPE)") in rows
    assert json.loads(json.dumps(report.to_dict()))["groups"]["10"] == 10
    assert "1 genes are zero in all cells and left out: CD19" in caplog.text
    assert "TF NOPE is left out: not in the data." in caplog.text


def test_pbmc68k_as_scanpy_ships_it_is_refused_with_the_remedy() -> None:
    adata = sc.datasets.pbmc68k_reduced()
    with pytest.raises(InputError, match=r"X looks scaled .*negative values: 7.*layer='raw' \(log-normalised\)"):
        check(adata)
    checked = check(adata, layer="raw")
    assert checked.report.kind == "log-normalised"
    assert len(checked.regulators) > 30
    np.testing.assert_array_equal(checked.x.toarray(), adata.raw.X.toarray())


def test_scaled_without_a_remedy_and_on_demand(counts: anndata.AnnData) -> None:
    counts.X = counts.X.toarray()
    sc.pp.scale(counts)
    with pytest.raises(InputError, match=r"nothing else that could be used.*allow_negative=True"):
        check(counts)
    checked = check(counts, allow_negative=True)
    assert checked.report.kind == "continuous"
    np.testing.assert_allclose(checked.x, counts.X, rtol=1e-6)


def test_noise_around_zero_may_be_clipped(counts: anndata.AnnData) -> None:
    counts.X = counts.X.toarray() / 7 - 0.01
    with pytest.raises(InputError, match=r"noise around zero, clip them: adata\.X = adata\.X\.clip\(min=0\)"):
        check(counts)
    counts.X = counts.X.clip(min=0)
    check(counts)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dense", [True, False])
def test_values_that_are_not_finite_are_refused(counts: anndata.AnnData, bad: float, dense: bool) -> None:
    values = counts.X.toarray()
    values[3, 4] = values[5, 8] = bad
    counts.X = values if dense else sparse.csr_matrix(values)
    with pytest.raises(InputError, match=r"X holds 2 NaN or infinite values in 2 genes \(ACTB, LYZ\)"):
        check(counts)


def test_duplicated_names_are_refused(counts: anndata.AnnData) -> None:
    genes, cells = counts.copy(), counts.copy()
    genes.var_names = ["GATA1", "GATA1", *genes.var_names[2:]]
    with pytest.raises(InputError, match=r"1 gene names occur more than once \(GATA1\).*var_names_make_unique"):
        check(genes)
    cells.obs_names = ["c", "c", *cells.obs_names[2:]]
    with pytest.raises(InputError, match=r"1 cell names occur more than once \(c\).*obs_names_make_unique"):
        check(cells)


def test_too_few_cells_genes_or_tfs_are_refused(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match="9 cells; a network needs at least 10"):
        check(counts[:9])
    with pytest.raises(InputError, match="has no genes"):
        check(counts[:, :0])
    with pytest.raises(InputError, match=r"Only 1 \(GATA1\) of the 2 TFs .* at least 2 are needed.*SPII1: .*'SPI1'"):
        check(counts, tf=["GATA1", "SPII1"])


def test_constant_matrices_are_refused(counts: anndata.AnnData) -> None:
    counts.X = np.zeros(counts.shape, np.float32)
    with pytest.raises(InputError, match="X is constant: every value is 0"):
        check(counts)
    counts.X = sparse.csr_matrix(counts.shape, dtype=np.float32)
    with pytest.raises(InputError, match="X is constant: every value is 0"):
        check(counts)
    counts.X = np.full(counts.shape, 2.5, np.float32)
    with pytest.raises(InputError, match=r"X is constant: every value is 2\.5"):
        check(counts)


def test_no_tf_names_near_misses(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"None of the 1 TFs .*GATAA1: not in the data. Did you mean 'GATA1'"):
        check(counts, tf=["GATAA1"])


def test_mouse_symbols_with_the_human_list(counts: anndata.AnnData) -> None:
    counts.var_names = [name.capitalize() for name in counts.var_names]
    with pytest.raises(InputError, match=r"Letter case suggests mouse: 4 would match .* Try tf=mouse"):
        check(counts, tf="human")
    assert check(counts, tf="mouse").tf_names == ["Gata1", "Spi1", "Klf1", "Runx1"]


def test_mouse_symbols_in_capitals_with_the_mouse_list(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"Letter case suggests human: 4 would match .* Try tf=human"):
        check(counts, tf="mouse")


def test_a_list_that_fits_by_accident_is_refused() -> None:
    from grn.data import tf_list

    mouse = list(tf_list("mouse")[:200])
    genes = [*mouse, "GATA1", "SPI1"]
    values = np.random.default_rng(0).poisson(3.0, (20, len(genes)))
    adata = anndata.AnnData(values.astype(np.float32), var=pd.DataFrame(index=genes))
    with pytest.raises(InputError, match=r"Only 2 .* Try tf=mouse"):
        check(adata, tf="human")


def test_ensembl_identifiers_with_symbols_in_a_column(counts: anndata.AnnData) -> None:
    counts.var["gene_symbols"] = counts.var_names
    counts.var_names = [f"ENSG{number:011d}" for number in range(counts.n_vars)]
    with pytest.raises(
        InputError, match=r"var\['gene_symbols'\] holds 4 .*grn\.pp\.name_genes\(adata, 'gene_symbols'\)\."
    ):
        check(counts)
    with on_the_command_line(), pytest.raises(InputError, match=r"from there: data\.gene_names=gene_symbols\."):
        check(counts)
    del counts.var["gene_symbols"]
    with pytest.raises(InputError, match=r"Ensembl identifiers \(ENSG00000000000\), the list has symbols"):
        check(counts)


def test_genes_in_rows_are_noticed(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"genes x cells. Transpose it: adata = adata\.T\."):
        check(counts.T)
    with on_the_command_line(), pytest.raises(InputError, match=r"genes x cells. Transpose it: data\.transpose=true\."):
        check(counts.T)


def test_unknown_layer_and_column(counts: anndata.AnnData) -> None:
    counts.layers["counts"] = counts.X.copy()
    with pytest.raises(InputError, match="Did you mean 'counts'"):
        check(counts, layer="count")
    with pytest.raises(InputError, match="Did you mean 'leiden'"):
        check(counts, group_by="leyden")


def test_batches_stand_beside_groups(counts: anndata.AnnData) -> None:
    checked = check(counts, group_by="cell_type", batch_key="leiden")
    assert list(checked.groups.categories) == ["T", "B"]
    assert list(checked.batches.categories) == ["0", "1", "2", "10"]
    assert checked.batch_codes.dtype == np.int64
    assert list(checked.batches.categories[checked.batch_codes]) == counts.obs["leiden"].astype(str).tolist()
    plain = check(counts, group_by="cell_type")
    assert plain.batches is plain.batch_codes is None
    np.testing.assert_array_equal(plain.x.toarray(), checked.x.toarray())  # values are not changed


def test_batches_that_cannot_be(counts: anndata.AnnData) -> None:
    with pytest.raises(InputError, match=r"no column 'leyden'. Did you mean 'leiden'"):
        check(counts, batch_key="leyden")
    counts.obs["plate"] = ["last"] + ["first", "second", "third"] * 13
    with pytest.raises(InputError, match=r"The batch 'last' of adata.obs\['plate'\] has one cell.*join batches"):
        check(counts, batch_key="plate")
    counts.obs.loc[counts.obs_names[1:3], "plate"] = np.nan
    with pytest.raises(InputError, match=r"2 of 40 cells have no batch.*notna\(\)"):
        check(counts, batch_key="plate")


def test_other_types_are_refused(counts: anndata.AnnData) -> None:
    with pytest.raises(TypeError, match=r"Read the file: grn\.data\.read_expression"):
        check("my.h5ad")
    with pytest.raises(TypeError, match="got DataFrame"):
        check(counts.to_df())


def test_a_layer_named_counts_without_counts_is_told(counts: anndata.AnnData) -> None:
    sc.pp.normalize_total(counts)
    sc.pp.log1p(counts)
    counts.layers["counts"] = counts.X.copy()
    checked = check(counts)
    assert checked.report.kind == "log-normalised"
    assert any("layers['counts'] holds no counts" in note for note in checked.report.notes)


def test_notes(counts: anndata.AnnData) -> None:
    values = counts.X.toarray()
    values[0] = 0
    counts.X = values
    counts.obs["small"] = ["a"] * 3 + ["b"] * 37
    notes = check(counts, group_by="small").report.notes
    assert notes == ("1 cells hold nothing but zeros", "groups of fewer than 10 cells: a")


def test_the_same_input_gives_the_same_output(counts: anndata.AnnData) -> None:
    first, second = check(counts), check(counts)
    assert first.x.data.tobytes() == second.x.data.tobytes()
    assert first.report == second.report


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SETS)
def test_benchmark_sets_pass(name: str, shared_data: Path) -> None:
    folder = shared_data / name
    adata = anndata.read_h5ad(folder / "expression.h5ad")
    checked = check(adata, tf=str(folder / "tfs.txt"))
    kind = "counts" if name.startswith(("sergio", "marrow")) else "log-normalised" if name[0] == "m" else "continuous"
    assert checked.report.kind == kind
    listed = (folder / "tfs.txt").read_text().split()
    assert set(checked.tf_names) == set(listed) & set(checked.genes)
    assert len(checked.tf_names) >= len(listed) - 1


@pytest.mark.shared_data
def test_mouse_names_in_capitals_work_with_the_human_list(shared_data: Path) -> None:
    adata = anndata.read_h5ad(shared_data / "mDC-500" / "expression.h5ad")
    assert len(check(adata, tf="human").regulators) > 100
    with pytest.raises(InputError, match="Try tf=human"):
        check(adata, tf="mouse")
