"""The gate: every matrix passes here before a model sees it, or is refused with advice.

What is accepted, and how it is told apart, stands in `grn.data.matrix`; where the values are taken from in
`grn.data.layers`; which genes may regulate in `grn.data.tfs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from grn._errors import InputError, setting
from grn._log import logger
from grn.data.given import require_anndata
from grn.data.groups import read_groups
from grn.data.identifiers import alike, duplicates, examples, identify, mismatch
from grn.data.layers import Source, pick, usable
from grn.data.matrix import (
    Content,
    Matrix,
    describe,
    non_finite_genes,
    nonzeros,
    normalise,
    standard_deviations,
    to_memory,
)
from grn.data.report import GateReport
from grn.data.tfs import LISTS, TFSelection, TFSpec, resolve_tfs, tf_list

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS = 10
MIN_TFS = 2


@dataclass(frozen=True, repr=False, eq=False)
class CheckedData:
    """Expression that passed the gate.

    Attributes
    ----------
    x
        `(cells, genes)` float32, dense or csr: log1p of counts per 1,000, unless the input was logged or
        continuous.
    cells, genes
        Names of the rows and columns of `x`, without duplicates.
    regulators
        Positions of the TFs among `genes`: int64, ascending.
    groups
        Group of every cell `(cells,)`, without empty categories; None without `group_by`.
    report
        What was found and done.
    batches
        Batch of every cell `(cells,)`, without empty categories; None without `batch_key`.
    """

    x: np.ndarray | sparse.csr_matrix
    cells: pd.Index
    genes: pd.Index
    regulators: np.ndarray
    groups: pd.Categorical | None
    report: GateReport
    batches: pd.Categorical | None = None

    @property
    def group_names(self) -> list[str] | None:
        """Names of the groups, in the order of their codes; None without groups."""
        return None if self.groups is None else [str(name) for name in self.groups.categories]

    @property
    def batch_codes(self) -> np.ndarray | None:
        """Batch of every cell as int64 `(cells,)`; None without batches."""
        return None if self.batches is None else self.batches.codes.astype(np.int64)

    @property
    def tf_names(self) -> list[str]:
        """Names of the regulators, in the order of the genes."""
        return [str(name) for name in self.genes[self.regulators]]

    def __repr__(self) -> str:
        groups = "" if self.groups is None else f", {len(self.groups.categories)} groups"
        cells, genes = self.x.shape
        first = f"CheckedData({cells:,} cells x {genes:,} genes, {len(self.regulators):,} TFs{groups})"
        rows = self.report.rows()
        if self.batches is not None:
            names = [str(name) for name in self.batches.categories]
            rows.append((f"Batches ({len(names)})", examples(names)))
        return "\n".join([first, *(f"  {label}: {text}" for label, text in rows)])


def check(
    adata: AnnData,
    *,
    tf: TFSpec = "human",
    layer: str | None = None,
    group_by: str | None = None,
    batch_key: str | None = None,
    allow_negative: bool = False,
) -> CheckedData:
    """Check expression data and bring it into the form that models take; `adata` is not changed.

    Parameters
    ----------
    adata
        `(cells, genes)`: counts, normalised or log-normalised values. Backed AnnData is read in blocks.
    tf
        Which genes may regulate: `"human"`, `"mouse"`, `"all"`, a file, a list of names, or
        `"human,+GENE,-GENE"`.
    layer
        Where to take the values from: the name of a layer, `"X"` or `"raw"`. By default `layers["counts"]` if
        there is one, else X.
    group_by
        Column of `adata.obs` with the groups (cell types, conditions).
    batch_key
        Column of `adata.obs` with the batches (donors, plates, runs), between which every gene may have another mean.
    allow_negative
        Take negative or scaled values as they are instead of refusing them.

    Returns
    -------
    CheckedData
        Counts become log1p of counts per 1,000; logged and continuous values are used as they are. Genes
        that are zero in all cells are left out. Every choice is logged and stands in `.report`.

    Raises
    ------
    InputError
        NaN or infinite values; negative or scaled values; duplicated names; fewer than 10 cells or 2 TFs; a
        constant matrix; no such layer, column, TF list or file; cells without a group.
    TypeError
        If `adata` is not an AnnData; a MuData's modalities are named.

    Examples
    --------
    >>> import grn
    >>> checked = grn.pp.check(grn.datasets.pbmc68k(), tf="human")
    >>> checked.x.shape
    (700, 765)
    """
    require_anndata(adata, "grn.pp.check")
    source = pick(adata, layer)
    cells, names = pd.Index(adata.obs_names), pd.Index(source.var.index)
    _require_unique(names, "gene", setting("data.gene_names=COLUMN of var", "adata.var_names_make_unique()"))
    _require_unique(cells, "cell", setting("names of your own in the file", "adata.obs_names_make_unique()"))
    if len(cells) < MIN_CELLS:
        raise InputError(f"{len(cells)} cells; a network needs at least {MIN_CELLS}. Is the table genes x cells?")
    if not len(names):
        raise InputError(f"{source.label} has no genes: its shape is {tuple(adata.shape)}.")
    groups = read_groups(adata.obs, group_by) if group_by is not None else None
    batches = read_groups(adata.obs, batch_key, "batch_key") if batch_key is not None else None
    if batches is not None:
        _require_cells_in_batches(batches, batch_key)

    x = to_memory(source.matrix, source.label)
    _require_finite(x, names, source)
    content = describe(x, logged="log1p" in adata.uns)
    if content.kind == "scaled":
        content = _accept_scaled(content, adata, source, allow_negative)
    _require_variation(x, source)
    x, treatment = normalise(x, content)

    expressed = nonzeros(x, axis=0) > 0
    dropped = names[~expressed]
    if len(dropped):
        x, names = x[:, expressed], names[expressed]
        logger.info("%d genes are zero in all cells and left out: %s.", len(dropped), examples(dropped))

    selection = resolve_tfs(tf, names, dropped=set(dropped))
    _require_tfs(selection, tf, names, source, cells)
    identifiers, species = identify(names)
    report = GateReport(
        cells=len(cells),
        genes=len(names),
        dropped_genes=len(dropped),
        zeros=1.0 - float(nonzeros(x, axis=0).mean()) / len(cells),
        kind=content.kind,
        source=source.label,
        source_reason=source.reason,
        reason=content.reason,
        treatment=treatment,
        identifiers=identifiers,
        species=species,
        tf_list=selection.label,
        tf_found=len(selection.names),
        tf_listed=len(selection.listed),
        tf_absent=selection.absent,
        groups={} if groups is None else {str(k): int(v) for k, v in groups.value_counts().items()},
        notes=tuple(_notes(x, content, source, groups)),
    )
    _log(report)
    return CheckedData(x, cells, names, selection.positions, groups, report, batches)


def _require_cells_in_batches(batches: pd.Categorical, batch_key: str | None) -> None:
    sizes = batches.value_counts()
    if sizes.min() < 2:
        name = sizes.idxmin()
        raise InputError(
            f"The batch {str(name)!r} of adata.obs[{batch_key!r}] has one cell, which cannot be told from the "
            "means of its genes. Leave such cells out or join batches."
        )


def _require_unique(names: pd.Index, what: str, remedy: str) -> None:
    if not names.is_unique:
        twice = duplicates(names)
        raise InputError(
            f"{len(twice)} {what} names occur more than once ({examples(twice)}); every {what} needs a name "
            f"of its own. Merge or drop them, or rename them with {remedy}."
        )


def _require_finite(x: Matrix, names: pd.Index, source: Source) -> None:
    count, columns = non_finite_genes(x)
    if count:
        raise InputError(
            f"{source.label} holds {count:,} NaN or infinite values in {len(columns):,} genes "
            f"({examples(names[columns])}); expected finite numbers. "
            + setting(
                "Fill or drop them in the file, or take another matrix with data.layer=NAME.",
                "Fill or drop them, for example adata = adata[:, numpy.isfinite(adata.to_df()).all()].",
            )
        )


def _allowed() -> str:
    return setting("allow_negative=true", "allow_negative=True")


def _accept_scaled(content: Content, adata: AnnData, source: Source, allow_negative: bool) -> Content:
    if allow_negative:
        return replace(content, kind="continuous", reason=f"{content.reason}; {_allowed()}")
    others = usable(adata, source.label)
    advice = (
        f"This AnnData also has {', '.join(others)}: give that."
        if others
        else ("This AnnData holds nothing else that could be used: go back to the counts, or to values before scaling.")
    )
    if -0.05 * content.maximum <= content.minimum < 0:
        clip = setting("set them to zero in the file", "clip them: adata.X = adata.X.clip(min=0)")
        advice += f" If the negative values are noise around zero, {clip}."
    raise InputError(
        f"{source.label} looks scaled or corrected ({content.reason}); expected counts or log-normalised "
        f"values, whose zeros and proportions mean something. {advice} To use the values as they are: {_allowed()}."
    )


def _require_variation(x: Matrix, source: Source) -> None:
    low, high = float(x.min()), float(x.max())
    if low == high:
        raise InputError(
            f"{source.label} is constant: every value is {low:g}. Expected expression that differs "
            "between cells; was the wrong layer given?"
        )


def _require_tfs(selection: TFSelection, tf: TFSpec, genes: pd.Index, source: Source, cells: pd.Index) -> None:
    found = len(selection.names)
    others: dict[str, tuple[str, ...]] = {}
    wrong_list = False
    used = selection.label.split(" ")[0]
    if used in LISTS:
        others = {name: tf_list(name) for name in LISTS if name != used}
        # A human list finds a few genes in mouse data by accident: two of three hundred is the wrong list.
        wrong_list = len(alike(selection.listed, genes)) > 10 * found
    if found >= MIN_TFS and not wrong_list:
        return
    count = "None" if not found else f"Only {found} ({', '.join(selection.names[:3])})"
    explained = [f"{name}: {why.rstrip('.')}." for name, why in list(selection.absent.items())[:5]]
    sentences = [
        f"{count} of the {len(selection.listed):,} TFs asked for (tf={tf!r}: {selection.label}) "
        f"{'is' if found < 2 else 'are'} among the {len(genes):,} genes ({examples(genes)}); at least "
        f"{MIN_TFS} are needed.",
        mismatch(selection.listed, genes, other_lists=others, var=source.var, cells=cells),
        *(line.replace("?.", "?") for line in explained),
    ]
    raise InputError(" ".join(sentence for sentence in sentences if sentence))


def _notes(x: Matrix, content: Content, source: Source, groups: pd.Categorical | None) -> list[str]:
    notes = list(content.notes)
    if "counts" in source.label and content.kind != "counts":
        notes.append(f"{source.label} holds no counts: {content.reason}")
    constant = int(np.count_nonzero(standard_deviations(x) == 0))
    if constant:
        notes.append(f"{constant} genes have the same value in every cell: nothing can be learnt about them")
    empty = int(np.count_nonzero(nonzeros(x, axis=1) == 0))
    if empty:
        notes.append(f"{empty} cells hold nothing but zeros")
    if groups is not None:
        small = [str(name) for name, count in groups.value_counts().items() if count < MIN_CELLS]
        if small:
            notes.append(f"groups of fewer than {MIN_CELLS} cells: {examples(small)}")
        if len(groups.categories) == 1:
            notes.append(f"only one group ({groups.categories[0]})")
    return notes


def _log(report: GateReport) -> None:
    logger.info("Values are taken from %s: %s.", report.source, report.source_reason)
    logger.info("They are %s (%s): %s.", report.kind, report.reason, report.treatment)
    logger.info("%d of %d TFs (%s) are in the data.", report.tf_found, report.tf_listed, report.tf_list)
    for name, why in report.tf_absent.items():
        logger.warning("TF %s is left out: %s.", name, why.rstrip("."))
    for note in report.notes:
        logger.warning("%s.", note[:1].upper() + note[1:])
