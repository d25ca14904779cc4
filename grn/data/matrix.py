"""What an expression matrix holds, and its way to log1p of counts per 1,000.

The kind is read off the values, never off a file's name:

- every value a whole number: counts;
- most values whole, the largest beyond any logarithm: estimated counts (fractions from an aligner or SoupX);
- equal totals over cells, or a largest value beyond any logarithm: normalised, not yet logged;
- else logged already, or continuous (a simulator's concentrations): used as it is;
- negative values, or genes of standard deviation one: scaled, which `grn.data.check` refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from grn._errors import InputError, setting
from grn._log import logger

Matrix: TypeAlias = np.ndarray | sparse.csr_matrix

# To so much every cell's counts are brought, for every model, baseline and score of the package.
TARGET_SUM = 1_000.0
# log2 of a million transcripts is 19.9: nothing a logarithm of single-cell counts can exceed.
LARGEST_LOG = 20.0
# ln(1 + ln(1 + 10^10)): what was logged twice lies below.
LARGEST_TWICE = 3.2
# Counts that went through expm1(log1p(.)) come back with this much rounding error at most.
WHOLE = 1e-3
_CHUNK_VALUES = 4_000_000
_SAMPLE_CELLS = 1_000


@dataclass(frozen=True)
class Content:
    """What the values of a matrix are and how that is known."""

    kind: str  # "counts" | "log-normalised" | "normalised" | "continuous" | "scaled"
    reason: str
    minimum: float
    maximum: float
    zeros: float  # fraction of all values
    negative: float  # fraction of all values
    equal_totals: bool = False
    notes: tuple[str, ...] = ()


def to_memory(matrix: Any, name: str) -> Matrix:
    """Own float32 copy of `matrix` in memory: csr where it is sparse, else a dense array.

    Parameters
    ----------
    matrix
        `(cells, genes)` dense or sparse, the on-disk matrix of a backed AnnData, or a dask array. On-disk matrices
        are read in blocks of cells; a dense one that is mostly zeros is kept as csr.
    name
        What to call it in messages, such as `"layers['counts']"`.

    Raises
    ------
    InputError
        If the values are no numbers, or the kind of matrix cannot be read.
    """
    if matrix is None:
        raise InputError(
            f"{name} is empty: this AnnData holds no matrix there. Give {setting('data.layer=', 'layer=')} the name "
            "of a filled layer."
        )
    if hasattr(matrix, "compute"):
        logger.info("%s is a lazy (dask) array, which is read into memory.", name)
        matrix = matrix.compute()
    dtype = getattr(matrix, "dtype", None)
    if dtype is not None and np.dtype(dtype).kind not in "biuf":
        raise InputError(f"{name} holds values of type {dtype}, expected numbers of shape (cells, genes).")
    if _on_disk(matrix):
        return _read_in_blocks(matrix)
    if sparse.issparse(matrix):
        require_whole(matrix, name)
        return _tidy(sparse.csr_matrix(matrix, dtype=np.float32, copy=True))
    try:
        dense = np.array(matrix, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} is a {type(matrix).__name__} that does not convert to numbers ({error}); "
            "expected a dense array or a scipy sparse matrix of shape (cells, genes)."
        ) from error
    if dense.ndim != 2:
        raise InputError(f"{name} has {dense.ndim} dimensions, expected two: (cells, genes).")
    return dense


def require_whole(matrix: Any, name: str) -> None:
    """Raise InputError where the positions of a sparse matrix lie outside it: scipy does not look."""
    if getattr(matrix, "format", None) not in ("csr", "csc"):
        return
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise InputError(
            f"{name} is damaged: the positions of its values do not fit its shape {matrix.shape} ({error}). "
            "Copy the file again, or write it again with the program that made it."
        ) from error


def _on_disk(matrix: Any) -> bool:
    return type(matrix).__module__.partition(".")[0] in {"h5py", "zarr"} or hasattr(matrix, "to_memory")


def _read_in_blocks(matrix: Any) -> Matrix:
    if getattr(matrix, "format", None) == "csc":
        # A block of cells of a csc matrix costs a walk over the whole file: one read is cheaper than many.
        return _tidy(sparse.csr_matrix(matrix.to_memory(), dtype=np.float32))
    cells, genes = matrix.shape
    step = max(1, _CHUNK_VALUES // max(genes, 1))
    blocks: list[Any] = []
    keep_sparse = True
    for start in range(0, cells, step):
        block = matrix[start : start + step]
        if not blocks:
            keep_sparse = sparse.issparse(block) or np.count_nonzero(block) < 0.5 * block.size
        if keep_sparse:
            blocks.append(sparse.csr_matrix(block, dtype=np.float32))
        else:
            blocks.append(np.asarray(block, dtype=np.float32))
    if not blocks:
        return np.empty((cells, genes), np.float32)
    return _tidy(sparse.vstack(blocks, format="csr")) if keep_sparse else np.concatenate(blocks)


def _tidy(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def values(matrix: Matrix) -> Iterator[np.ndarray]:
    """Blocks of the stored values of `matrix` (the non-zeros, if sparse), flat."""
    flat = matrix.reshape(-1) if isinstance(matrix, np.ndarray) else matrix.data
    for start in range(0, flat.size, _CHUNK_VALUES):
        yield flat[start : start + _CHUNK_VALUES]


def non_finite_genes(matrix: Matrix) -> tuple[int, np.ndarray]:
    """Number of NaN or infinite values and the columns `(genes,)` that hold them."""
    if not any(not np.isfinite(block).all() for block in values(matrix)):
        return 0, np.empty(0, dtype=np.int64)
    if isinstance(matrix, np.ndarray):
        columns = np.nonzero(~np.isfinite(matrix))[1]
    else:
        columns = matrix.indices[~np.isfinite(matrix.data)]
    return columns.size, np.unique(columns)


def nonzeros(matrix: Matrix, axis: int) -> np.ndarray:
    """Number of non-zero values of every gene (axis 0) or cell (axis 1)."""
    if isinstance(matrix, np.ndarray):
        return np.count_nonzero(matrix, axis=axis)
    return np.asarray(matrix.getnnz(axis=axis))


def totals(matrix: Matrix) -> np.ndarray:
    """Sum over genes of every cell: float64 `(cells,)`."""
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).reshape(-1)


def standard_deviations(matrix: Matrix) -> np.ndarray:
    """Standard deviation of every gene over cells: float64 `(genes,)`."""
    if isinstance(matrix, np.ndarray):
        return matrix.std(axis=0, dtype=np.float64)
    wide = matrix.astype(np.float64)
    mean = np.asarray(wide.mean(axis=0)).reshape(-1)
    wide.data **= 2
    variance = np.asarray(wide.mean(axis=0)).reshape(-1) - mean**2
    # The difference of two equal numbers: what remains of a constant gene is rounding.
    variance[variance < 1e-10 * np.maximum(mean**2, 1e-30)] = 0.0
    return np.sqrt(variance)


def describe(matrix: Matrix, *, logged: bool = False) -> Content:
    """What `matrix` holds, read off its values.

    Parameters
    ----------
    matrix
        `(cells, genes)`, finite.
    logged
        Whether the AnnData says that its values were logged (`uns["log1p"]`).

    Returns
    -------
    Content
        The kind and the reason. Its `notes` name what a user should know.
    """
    size = matrix.shape[0] * matrix.shape[1]
    nonzero = negative = whole = 0
    # A csr matrix stores its zeros nowhere: they count when there are any.
    implicit = not isinstance(matrix, np.ndarray) and matrix.nnz < size
    minimum, maximum = (0.0, 0.0) if implicit else (np.inf, -np.inf)
    for block in values(matrix):
        minimum, maximum = min(minimum, float(block.min())), max(maximum, float(block.max()))
        nonzero += int(np.count_nonzero(block))
        negative += int(np.count_nonzero(block < 0))
        nearest = np.rint(block)
        whole += int(np.count_nonzero((np.abs(block - nearest) <= WHOLE) & (nearest != 0)))
    facts: dict[str, Any] = {
        "minimum": minimum,
        "maximum": maximum,
        "zeros": 1.0 - nonzero / max(size, 1),
        "negative": negative / max(size, 1),
    }
    span = f"values from {minimum:.3g} to {maximum:.3g}"
    if negative:
        return Content("scaled", f"negative values: {negative / size:.1%}, the smallest {minimum:.3g}", **facts)
    if whole == nonzero:
        notes = ("every value is 0 or 1: the counts were made binary",) if maximum <= 1 else ()
        return Content("counts", f"whole numbers from {minimum:.0f} to {maximum:.0f}", notes=notes, **facts)
    if maximum > LARGEST_LOG and whole > 0.5 * nonzero:
        share = f"{whole / nonzero:.0%} of the non-zero values are whole numbers, the largest {maximum:.3g}"
        return Content("counts", f"{share}: estimated counts", notes=("the counts have fractions",), **facts)

    sums = totals(matrix)
    if _equal(sums, 1e-3):
        reason = f"fractions, and every cell adds up to {np.median(sums):.5g}: normalised, not logged"
        return Content("normalised", reason, equal_totals=True, **facts)
    if maximum > LARGEST_LOG:
        return Content("normalised", f"{span}, too large for a logarithm: normalised, not logged", **facts)
    sample = matrix[:: max(1, matrix.shape[0] // _SAMPLE_CELLS)]
    undone = totals(np.expm1(sample))
    if _equal(undone, 1e-2):
        reason = f"{span}; without the logarithm every cell adds up to {np.median(undone):.5g}"
        return Content("log-normalised", reason, **facts)
    twice = totals(np.expm1(np.expm1(sample))) if maximum <= LARGEST_TWICE else np.empty(0)
    if _equal(twice, 1e-2):
        reason = f"{span}; without two logarithms every cell adds up to {np.median(twice):.5g}"
        note = "the values seem to be logged twice: give them logged once, or the counts"
        return Content("log-normalised", reason, notes=(note,), **facts)
    if _unit_variance(matrix):
        return Content(
            "scaled", "every gene has standard deviation 1, as after sc.pp.scale(zero_center=False)", **facts
        )
    if logged:
        return Content("log-normalised", f"{span}; uns['log1p'] says so", **facts)
    if facts["zeros"] >= 0.05 and maximum >= 2:
        return Content("log-normalised", f"{span} with {facts['zeros']:.0%} zeros, as after a logarithm", **facts)
    return Content("continuous", f"{span} with {facts['zeros']:.1%} zeros, neither counts nor their logarithm", **facts)


def _equal(sums: np.ndarray, tolerance: float) -> bool:
    """Whether the totals of the cells that are not empty agree within `tolerance` (relative)."""
    sums = sums[sums > 0]
    return sums.size > 1 and float(np.ptp(sums)) <= tolerance * float(np.median(sums))


def _unit_variance(matrix: Matrix) -> bool:
    cells = matrix.shape[0]
    deviations = standard_deviations(matrix) * np.sqrt(cells / max(cells - 1, 1))
    deviations = deviations[deviations > 0]
    # Clipping at max_value lowers some genes a little; a tenth may therefore differ.
    return deviations.size >= 5 and float(np.mean(np.abs(deviations - 1) < 0.01)) > 0.9


def normalise(matrix: Matrix, content: Content) -> tuple[Matrix, str]:
    r"""Log1p of counts per 1,000, unless the values are logged or continuous already.

    :math:`x_{cg} = \log(1 + 10^3 n_{cg} / \sum_g n_{cg})` in natural logarithms, as
    `scanpy.pp.normalize_total` followed by `scanpy.pp.log1p`. Normalised values whose cells have unequal
    totals (a selection of genes, say) are logged without rescaling. Cells without any count stay zero.

    Parameters
    ----------
    matrix
        `(cells, genes)` float32; changed in place where that saves memory.
    content
        What it holds.

    Returns
    -------
    tuple
        The matrix, float32, of the same sparsity, and what was done in words.
    """
    if content.kind in {"log-normalised", "continuous", "scaled"}:
        return matrix, "used as it is"
    if content.kind == "normalised" and not content.equal_totals:
        return _log1p(matrix), "log1p taken"
    factor = size_factors(totals(matrix)).astype(np.float32)
    if isinstance(matrix, np.ndarray):
        matrix *= factor[:, None]
    else:
        matrix.data *= np.repeat(factor, np.diff(matrix.indptr))
    return _log1p(matrix), "log1p of counts per 1,000 taken"


def size_factors(sums: np.ndarray) -> np.ndarray:
    """What brings cells with these totals, float64 `(cells,)`, to `TARGET_SUM`; 0 for an empty cell."""
    return np.divide(TARGET_SUM, sums, out=np.zeros_like(sums), where=sums > 0)


def _log1p(matrix: Matrix) -> Matrix:
    stored = matrix if isinstance(matrix, np.ndarray) else matrix.data
    np.log1p(stored, out=stored)
    return matrix
