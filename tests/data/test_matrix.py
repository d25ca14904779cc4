from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

from grn._errors import InputError
from grn.data import matrix as m


@pytest.fixture
def raw() -> np.ndarray:
    return np.random.default_rng(1).poisson(2.0, size=(50, 30)).astype(np.float32)


@pytest.fixture
def per_10k(raw: np.ndarray) -> np.ndarray:
    return raw / raw.sum(axis=1, keepdims=True) * 1e4


def both(dense: np.ndarray) -> list[m.Matrix]:
    return [dense.copy(), sparse.csr_matrix(dense)]


def test_counts_as_float_are_counts(raw: np.ndarray) -> None:
    for matrix in both(raw):
        content = m.describe(matrix)
        assert content.kind == "counts"
        assert content.zeros == pytest.approx((raw == 0).mean())
        assert (content.minimum, content.maximum) == (0, raw.max())


def test_counts_with_rounding_errors_are_counts(raw: np.ndarray) -> None:
    assert m.describe(np.expm1(np.log1p(raw))).kind == "counts"


def test_fractional_counts_of_an_aligner_are_counts(raw: np.ndarray) -> None:
    raw[0, 0], raw[3, 4] = 120.0, 0.3
    content = m.describe(raw)
    assert content.kind == "counts"
    assert "estimated" in content.reason


def test_binary_counts_are_told(raw: np.ndarray) -> None:
    assert any("binary" in note for note in m.describe((raw > 2).astype(np.float32)).notes)


def test_tiny_fractions_are_not_taken_for_whole_numbers() -> None:
    assert m.describe(np.random.default_rng(0).random((20, 10)) * 1e-4).kind != "counts"


def test_equal_totals_are_normalised_not_logged(per_10k: np.ndarray) -> None:
    for matrix in (*both(per_10k), *both(per_10k / 1e4)):
        assert m.describe(matrix).kind == "normalised"


def test_large_fractions_of_selected_genes_are_normalised_not_logged(per_10k: np.ndarray) -> None:
    assert m.describe(per_10k[:, :9]).kind == "normalised"


def test_logged_values_are_recognised_by_their_totals(per_10k: np.ndarray) -> None:
    content = m.describe(np.log1p(per_10k))
    assert content.kind == "log-normalised"
    assert "adds up to 10000" in content.reason


def test_logged_values_of_selected_genes_are_recognised_by_zeros(per_10k: np.ndarray) -> None:
    assert m.describe(np.log1p(per_10k)[:, :9]).kind == "log-normalised"


def test_values_logged_twice_are_told(per_10k: np.ndarray) -> None:
    content = m.describe(np.log1p(np.log1p(per_10k)))
    assert content.kind == "log-normalised"
    assert "logged twice" in content.notes[0]
    assert m.describe(np.log1p(per_10k)).notes == ()


def test_the_mark_of_scanpy_is_believed_where_values_allow_it(per_10k: np.ndarray) -> None:
    dense = np.log1p(per_10k + 1)[:, :9]
    assert m.describe(dense).kind == "continuous"
    assert m.describe(dense, logged=True).kind == "log-normalised"
    assert m.describe(per_10k, logged=True).kind == "normalised"


def test_concentrations_are_continuous() -> None:
    values = np.random.default_rng(2).gamma(2.0, 0.3, size=(100, 7)).astype(np.float32)
    assert m.describe(values).kind == "continuous"


@pytest.mark.parametrize("zero_center", [True, False])
def test_scaled_values_are_recognised(per_10k: np.ndarray, zero_center: bool) -> None:
    scaled = sc.pp.scale(np.log1p(per_10k), zero_center=zero_center)
    assert m.describe(scaled.astype(np.float32)).kind == "scaled"


def test_normalise_agrees_with_scanpy(raw: np.ndarray) -> None:
    raw[5] = 0  # an empty cell stays empty, without a division by zero
    expected = anndata.AnnData(raw.copy())
    sc.pp.normalize_total(expected, target_sum=1e3)
    sc.pp.log1p(expected)
    for matrix in both(raw):
        result, done = m.normalise(matrix, m.describe(matrix))
        dense = result.toarray() if sparse.issparse(result) else result
        np.testing.assert_allclose(dense, expected.X, rtol=1e-5)
        assert result.dtype == np.float32
        assert "per 1,000" in done


def test_totals_of_any_size_become_counts_per_1k(per_10k: np.ndarray) -> None:
    for given in (per_10k.astype(np.float32), (per_10k / 1e4).astype(np.float32)):
        result, _ = m.normalise(given.copy(), m.describe(given))
        np.testing.assert_allclose(result, np.log1p(per_10k / 10), rtol=1e-4)


def test_logged_values_are_left_alone(per_10k: np.ndarray) -> None:
    logged = np.log1p(per_10k)
    result, done = m.normalise(logged.copy(), m.describe(logged))
    np.testing.assert_array_equal(result, logged)
    assert done == "used as it is"


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "ndarray", "bool"])
def test_to_memory_makes_an_own_float32_copy(raw: np.ndarray, kind: str) -> None:
    given = {"ndarray": raw, "bool": raw > 0}.get(kind)
    if given is None:
        given = getattr(sparse, kind)(raw)
    result = m.to_memory(given, "X")
    assert result.dtype == np.float32
    assert isinstance(result, np.ndarray) or result.format == "csr"
    before = raw.copy()
    m.normalise(result, m.describe(result))
    np.testing.assert_array_equal(raw, before)


def test_explicit_zeros_are_dropped(raw: np.ndarray) -> None:
    given = sparse.csr_matrix(raw)
    given.data[:10] = 0
    assert m.to_memory(given, "X").nnz == given.nnz - 10
    assert given.nnz == np.count_nonzero(raw)


def test_blocks_from_disk_give_the_same(raw: np.ndarray, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m, "_CHUNK_VALUES", 200)
    raw[:, 5:] = 0
    for number, given in enumerate([raw, sparse.csr_matrix(raw), sparse.csc_matrix(raw), raw + 1]):
        path = tmp_path / f"{number}.h5ad"
        anndata.AnnData(given).write_h5ad(path)
        on_disk = anndata.read_h5ad(path, backed="r")
        result = m.to_memory(on_disk.X, "X")
        on_disk.file.close()
        # The dense matrix of zeros is kept sparse, the one without zeros dense.
        assert sparse.issparse(result) == (number < 3)
        dense = result.toarray() if sparse.issparse(result) else result
        np.testing.assert_array_equal(dense, given.toarray() if sparse.issparse(given) else given)


def test_matrices_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="X is empty"):
        m.to_memory(None, "X")
    with pytest.raises(InputError, match="expected numbers"):
        m.to_memory(np.array([["a", "b"]], dtype=object), "X")


def test_standard_deviations_agree_with_numpy(raw: np.ndarray) -> None:
    raw[:, 3] = 7
    for matrix in both(raw):
        result = m.standard_deviations(matrix)
        np.testing.assert_allclose(result, raw.std(axis=0), atol=1e-6)
        assert result[3] == 0
