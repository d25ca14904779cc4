"""Run Lightning's Trainer: best and last checkpoint, early stopping, metrics, resuming, several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from grn._errors import InputError
from grn._files import remove_leftovers
from grn._log import logger
from grn._processes import find_place
from grn.config import instantiate
from grn.data import ExpressionDataModule
from grn.training.checkpoints import BEST, LAST, BestAndLast, WholeCheckpoints, load_checkpoint
from grn.training.metrics import MetricsTable
from grn.training.objectives import Objective
from grn.training.processes import lightning_environment, lost_peer, one_fate
from grn.training.progress import EpochProgress, Progress

BEST_AND_LAST = "grn.training.checkpoints.BestAndLast"


def fit(
    objective: Objective,
    data: ExpressionDataModule,
    config: dict[str, Any],
    folder: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Train, and return the checkpoint of the best epoch; None in every process but the first.

    Parameters
    ----------
    objective
        What is trained; its weights end as those of the last epoch.
    data
        Its cells.
    config
        Composed configuration as plain values; `trainer`, `callbacks` and `training` are used.
    folder
        Gets `checkpoints/best.ckpt`, `checkpoints/last.ckpt` and `metrics.csv`.
    resume
        Continue from `checkpoints/last.ckpt` where it is there.
    progress
        Where epochs are shown.

    Raises
    ------
    ConnectionError
        If another process of a distributed run ended early.
    InputError
        If no callback writes checkpoints, or training diverged in its first epoch.
    """
    checkpoints = folder / "checkpoints"
    callbacks = [*_callbacks(config["callbacks"], checkpoints, has_validation=len(data.validation_cells) > 0)]
    callbacks.insert(0, MetricsTable(folder / "metrics.csv"))
    if progress is not None:
        callbacks.append(EpochProgress(progress, config["training"]["epochs"]))
    with lightning_environment(find_place(config["trainer"])) as environment:
        trainer: pl.Trainer = instantiate(
            "trainer",
            config["trainer"],
            callbacks=callbacks,
            plugins=[WholeCheckpoints(), environment],
            max_epochs=config["training"]["epochs"],
            default_root_dir=str(folder),
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        if trainer.is_global_zero:
            remove_leftovers(folder)
        start = _starting_point(checkpoints / LAST, resume)
        try:
            with one_fate():
                trainer.fit(objective, datamodule=data, ckpt_path=start, weights_only=start is not None or None)
        except RuntimeError as error:
            if trainer.world_size > 1 and lost_peer(error):
                raise ConnectionError(
                    f"Another of the {trainer.world_size} training processes ended early, so this one stopped too; "
                    "its own message is above. resume=true continues from the last epoch."
                ) from error
            if "Early stopping conditioned on metric" in str(error):
                raise InputError(f"callbacks.early_stopping: {error}") from error
            raise
        trainer.strategy.barrier("the best checkpoint is written")
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # so that the next job of a sweep can start its own
        # In a library call every process has a folder of its own, and the first alone has written to it.
        return load_checkpoint(checkpoints / BEST) if trainer.is_global_zero else None


def _starting_point(last: Path, resume: bool) -> str | None:
    if not resume:
        return None
    if not last.exists():
        logger.info("nothing to resume: %s is not there, so training starts from the beginning", last)
        return None
    logger.info("resuming from %s", last)
    return str(last)


def _callbacks(nodes: dict[str, Any], folder: Path, *, has_validation: bool) -> list[pl.Callback]:
    """Callbacks of the configuration; those that write checkpoints write to `folder`."""
    built = []
    for name, node in nodes.items():
        if node is None:
            continue
        settings = dict(node)
        if not has_validation and settings.get("monitor") == "val_loss":
            settings["monitor"] = "train_loss"
            if settings.get("check_on_train_epoch_end") is False:
                raise InputError(
                    "callbacks.early_stopping.check_on_train_epoch_end=false stops on held-out cells, of which there "
                    "are none: leave it, or give training.validation_fraction=0.15."
                )
        ours = {"folder": str(folder)} if settings.get("_target_") == BEST_AND_LAST else {}
        built.append(instantiate("callbacks.*", settings, where=f"callbacks.{name}", **ours))
    if not any(isinstance(callback, BestAndLast) for callback in built):
        raise InputError(
            "No entry of callbacks is a grn.training.checkpoints.BestAndLast, which writes the checkpoint that the "
            "network is read from. Leave callbacks.checkpoint as it is."
        )
    return built
