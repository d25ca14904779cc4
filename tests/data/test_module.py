from __future__ import annotations

from collections import Counter

import anndata
import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from grn._errors import InputError
from grn.data import CheckedData, ExpressionDataModule, check
from grn.data.module import EpochSampler, split_cells


@pytest.fixture
def checked(counts: anndata.AnnData) -> CheckedData:
    return check(counts, group_by="cell_type")


@pytest.fixture
def batched(counts: anndata.AnnData) -> CheckedData:
    return check(counts, group_by="cell_type", batch_key="leiden")


def module(checked: CheckedData, **changes: object) -> ExpressionDataModule:
    return ExpressionDataModule(checked, **{"batch_size": 16, "validation_fraction": 0.2, "seed": 3, **changes})


def epoch(loader: torch.utils.data.DataLoader, number: int = 0) -> list[np.ndarray]:
    loader.sampler.set_epoch(number)
    return [batch["cell"].numpy() for batch in loader]


def test_a_batch_holds_expression_position_and_group(checked: CheckedData) -> None:
    for batch in module(checked).train_dataloader():
        assert batch["x"].dtype == torch.float32
        assert batch["cell"].dtype == batch["group"].dtype == torch.int64
        cells = batch["cell"].numpy()
        np.testing.assert_array_equal(batch["x"].numpy(), checked.x[cells].toarray())
        np.testing.assert_array_equal(batch["group"].numpy(), checked.groups.codes[cells])
        assert not batch["batch"].any()


def test_a_batch_holds_what_the_user_calls_batch(batched: CheckedData) -> None:
    """Donors or plates, beside the group."""
    found = list(module(batched).train_dataloader())
    for batch in found:
        cells = batch["cell"].numpy()
        assert batch["batch"].dtype == torch.int64
        np.testing.assert_array_equal(batch["batch"].numpy(), batched.batches.codes[cells])
        np.testing.assert_array_equal(batch["group"].numpy(), batched.groups.codes[cells])
    assert len(torch.cat([batch["batch"] for batch in found]).unique()) == 4


def test_dense_and_sparse_give_the_same_batches(counts: anndata.AnnData) -> None:
    sparse_data = module(check(counts))
    counts.X = counts.X.toarray()
    dense_data = module(check(counts))
    for one, other in zip(sparse_data.train_dataloader(), dense_data.train_dataloader(), strict=True):
        torch.testing.assert_close(one["x"], other["x"])
        assert one["group"].sum() == 0


def test_batches_do_not_share_memory_with_the_data(counts: anndata.AnnData) -> None:
    counts.X = counts.X.toarray()
    checked = check(counts)
    before = checked.x.copy()
    for batch in module(checked).predict_dataloader():
        batch["x"].fill_(7)
    np.testing.assert_array_equal(checked.x, before)


def test_an_epoch_sees_every_training_cell_once_in_batches_of_equal_size(checked: CheckedData) -> None:
    data = module(checked)
    batches = epoch(data.train_dataloader())
    assert sorted(np.concatenate(batches)) == list(data.train_cells)
    assert [len(batch) for batch in batches] == [16, 16]
    # 40 cells in batches of at most 39: two of 20, never a lonely last cell.
    whole = module(checked, validation_fraction=0.0, batch_size=39)
    assert [len(batch) for batch in epoch(whole.train_dataloader())] == [20, 20]


def test_the_order_is_a_function_of_seed_and_epoch(checked: CheckedData) -> None:
    first = epoch(module(checked).train_dataloader(), 5)
    again = epoch(module(checked).train_dataloader(), 5)
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(first[0], epoch(module(checked).train_dataloader(), 6)[0])
    assert not np.array_equal(first[0], epoch(module(checked, seed=4).train_dataloader(), 5)[0])


def test_the_split_is_fixed_and_keeps_the_share_of_every_group() -> None:
    group = np.repeat([0, 1, 2], [700, 200, 100])
    train, validation = split_cells(group, 0.1, seed=0)
    assert sorted([*train, *validation]) == list(range(1000))
    assert Counter(group[validation].tolist()) == {0: 70, 1: 20, 2: 10}
    np.testing.assert_array_equal(split_cells(group, 0.1, seed=0)[1], validation)
    assert not np.array_equal(split_cells(group, 0.1, seed=1)[1], validation)


def test_validation_keeps_its_order_and_may_be_empty(checked: CheckedData) -> None:
    data = module(checked)
    loader = data.val_dataloader()
    assert np.concatenate(epoch(loader, 0)).tolist() == np.concatenate(epoch(loader, 1)).tolist()
    assert np.concatenate(epoch(loader)).tolist() == data.validation_cells.tolist()
    assert module(checked, validation_fraction=0.0).val_dataloader() == []
    assert len(split_cells(np.zeros(10), 0.99, seed=0)[0]) == 1


def test_prediction_takes_all_cells_in_order(checked: CheckedData) -> None:
    batches = epoch(module(checked).predict_dataloader())
    assert np.concatenate(batches).tolist() == list(range(40))


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_batch(world_size: int) -> None:
    cells = np.arange(103)
    alone = EpochSampler(cells, 20, seed=1)
    shares = [list(EpochSampler(cells, 20, seed=1, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for number, batch in enumerate(alone):
        parts = [share[number] for share in shares]
        np.testing.assert_array_equal(np.concatenate(parts), batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert {len(share) for share in shares} == {len(alone)}


def test_an_epoch_may_be_of_any_length(checked: CheckedData) -> None:
    # 32 training cells are two batches a pass: five batches are two passes and a half, each in its own order.
    batches = epoch(module(checked, batches_per_epoch=5).train_dataloader())
    assert len(batches) == 5
    assert sorted(np.concatenate(batches[:2])) == sorted(np.concatenate(batches[2:4]))
    assert not np.array_equal(batches[0], batches[2])
    assert len(epoch(module(checked, batches_per_epoch=1).train_dataloader())) == 1
    with pytest.raises(InputError, match="batches_per_epoch=0: expected at least 1"):
        module(checked, batches_per_epoch=0)


def test_batches_too_small_to_share_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be shared by 4 processes"):
        EpochSampler(np.arange(10), 3, seed=0, world_size=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size=0: expected at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0: expected from 0"),
        ({"validation_fraction": -0.1}, "validation_fraction=-0.1"),
    ],
)
def test_settings_out_of_range_are_refused(checked: CheckedData, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        module(checked, **changes)


class Recorder(pl.LightningModule):
    """Writes down which cells each step of each epoch saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, list[int]]] = []

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch["cell"].tolist()))
        return (batch["x"].mean() * self.weight).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(checked: CheckedData, epochs: int, folder: object, resume: object = None) -> Recorder:
    recorder = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    trainer.fit(recorder, module(checked), ckpt_path=resume)
    trainer.save_checkpoint(f"{folder}/last.ckpt")
    return recorder


def test_lightning_moves_the_epoch_on_and_a_resumed_run_sees_the_same_batches(checked: CheckedData, tmp_path) -> None:
    whole = fit(checked, 3, tmp_path).seen
    assert [number for number, _ in whole] == [0, 0, 1, 1, 2, 2]
    assert whole[0][1] != whole[2][1] != whole[4][1]
    fit(checked, 1, tmp_path)
    resumed = fit(checked, 3, tmp_path, resume=f"{tmp_path}/last.ckpt").seen
    assert resumed == whole[2:]
