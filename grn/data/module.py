"""Checked expression as batches for Lightning.

Notable choices:

- The order of cells is a function of the seed and the epoch alone: a run that is resumed sees the batches it
  would have seen, and every process of a distributed run draws the same order and takes its own share of
  each batch.
- The batch size is that of all processes together, so one process and two take the same optimiser steps.
- Batches of an epoch have equal sizes, up to one cell: no small last batch with a noisy gradient.
- The split into training and validation cells is fixed by the seed and takes the same share of every group.
"""

from __future__ import annotations

from collections.abc import Iterator

import lightning.pytorch as pl
import numpy as np
import torch
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, Sampler

from grn._errors import InputError
from grn._log import logger
from grn.data.centring import batches
from grn.data.check import CheckedData

Batch = dict[str, torch.Tensor]


class CellBatches(Dataset[Batch]):
    """Cells by lists of positions: one item is a whole batch.

    Parameters
    ----------
    checked
        The expression; a sparse matrix is made dense batch by batch.
    """

    def __init__(self, checked: CheckedData) -> None:
        self.x = checked.x
        cells = checked.x.shape[0]
        codes = np.zeros(cells) if checked.groups is None else checked.groups.codes
        self.group = torch.from_numpy(np.asarray(codes, dtype=np.int64))
        self.batch = torch.from_numpy(batches(checked))

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, cells: np.ndarray) -> Batch:
        """`x` float32 `(cells, genes)`, `cell`, `group` and `batch` int64 `(cells,)`."""
        rows = self.x[cells]
        dense = rows.toarray() if sparse.issparse(rows) else np.ascontiguousarray(rows)
        cell = torch.from_numpy(np.asarray(cells, dtype=np.int64))
        return {"x": torch.from_numpy(dense), "cell": cell, "group": self.group[cell], "batch": self.batch[cell]}


class EpochSampler(Sampler[np.ndarray]):
    """Batches of cell positions: this process's share of every batch of an epoch.

    Parameters
    ----------
    cells
        Positions of the cells to draw from.
    batch_size
        Cells of a batch over all processes, at most.
    seed
        With the epoch, fixes the order. None keeps the order of `cells` in every epoch.
    batches_per_epoch
        Length of an epoch: passes over the cells are strung together, or cut, to fit. None is one pass.
    rank, world_size
        Which share of each batch is this process's, and of how many.
    """

    def __init__(
        self,
        cells: np.ndarray,
        batch_size: int,
        *,
        seed: int | None,
        batches_per_epoch: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.cells, self.seed, self.rank, self.world_size = cells, seed, rank, world_size
        self.epoch = 0
        self.batches = max(1, -(-len(cells) // batch_size))
        self.length = batches_per_epoch or self.batches
        if len(cells) // self.batches < world_size:
            raise InputError(
                f"Batches of {len(cells) // self.batches} cells cannot be shared by {world_size} processes. "
                "Raise training.batch_size or use fewer devices."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, self.length, self.batches):
            order = self.cells
            if self.seed is not None:
                order = np.random.default_rng((self.seed, self.epoch, first)).permutation(order)
            for batch in np.array_split(order, self.batches)[: self.length - first]:
                yield np.array_split(batch, self.world_size)[self.rank]


class ExpressionDataModule(pl.LightningDataModule):
    """Batches of checked expression for a `lightning.pytorch.Trainer`.

    Parameters
    ----------
    checked
        What `grn.data.check` returned.
    batch_size
        Cells of a batch, over all processes together.
    validation_fraction
        Share of the cells kept for validation, from 0 (none) to below 1; the same share of every group.
    seed
        Fixes the split and the order of cells.
    batches_per_epoch
        Training batches that make an epoch; None is one pass over the training cells.

    Notes
    -----
    Batches are dicts: `x` float32 `(cells, genes)`, `cell` int64 `(cells,)` positions in `checked.cells`,
    `group` and `batch` int64 `(cells,)` codes of `checked.groups` and `.batches` (0 without). The
    module shares batches among processes itself: use `Trainer(use_distributed_sampler=False)`.

    Examples
    --------
    >>> import grn
    >>> checked = grn.pp.check(grn.datasets.pbmc68k())
    >>> data = ExpressionDataModule(checked, batch_size=256, validation_fraction=0.1, seed=0)
    >>> next(iter(data.train_dataloader()))["x"].shape
    torch.Size([210, 765])
    """

    def __init__(
        self,
        checked: CheckedData,
        *,
        batch_size: int,
        validation_fraction: float,
        seed: int,
        batches_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected at least 1 cell.")
        if not 0 <= validation_fraction < 1:
            raise InputError(f"validation_fraction={validation_fraction}: expected from 0 (no validation) to below 1.")
        if batches_per_epoch is not None and batches_per_epoch < 1:
            raise InputError(f"batches_per_epoch={batches_per_epoch}: expected at least 1, or None for one pass.")
        self.checked, self.batch_size, self.seed = checked, batch_size, seed
        self.batches_per_epoch = batches_per_epoch
        self.dataset = CellBatches(checked)
        codes = self.dataset.group.numpy()
        self.train_cells, self.validation_cells = split_cells(codes, validation_fraction, seed)
        if validation_fraction > 0 and not len(self.validation_cells):
            logger.warning(
                "validation_fraction=%g of %d cells is no cell: nothing is validated.",
                validation_fraction,
                len(codes),
            )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training cells, shuffled anew in every epoch."""
        return self._loader(self.train_cells, seed=self.seed, batches_per_epoch=self.batches_per_epoch)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Validation cells in fixed order; no loader at all if there are none."""
        if not len(self.validation_cells):
            return []
        return self._loader(self.validation_cells, seed=None)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """All cells in the order of the data, not shared among processes."""
        return self._loader(np.arange(len(self.dataset)), seed=None, shared=False)

    def _loader(
        self,
        cells: np.ndarray,
        *,
        seed: int | None,
        batches_per_epoch: int | None = None,
        shared: bool = True,
    ) -> DataLoader[Batch]:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if shared and self.trainer else (0, 1)
        sampler = EpochSampler(
            cells,
            self.batch_size,
            seed=seed,
            batches_per_epoch=batches_per_epoch,
            rank=rank,
            world_size=world_size,
        )
        # batch_size=None: an item of the dataset is a whole batch already, fetched in one step.
        return DataLoader(self.dataset, sampler=sampler, batch_size=None)


def split_cells(group: np.ndarray, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and validation cells, ascending, with the same share of every group.

    Parameters
    ----------
    group
        Group of every cell: int `(cells,)`.
    validation_fraction
        Share of cells for validation; rounded to whole cells, and never all of them.
    seed
        Fixes which.
    """
    cells = len(group)
    kept = min(round(validation_fraction * cells), cells - 1)
    order = np.random.default_rng((seed, 2**32 - 1)).permutation(cells)
    order = order[np.argsort(group[order], kind="stable")]
    # Evenly spaced along cells sorted by group: every group gives its share, up to one cell.
    chosen = np.floor((np.arange(kept) + 0.5) * cells / max(kept, 1)).astype(np.int64)
    validation = np.zeros(cells, dtype=bool)
    validation[order[chosen]] = True
    return np.flatnonzero(~validation), np.flatnonzero(validation)
