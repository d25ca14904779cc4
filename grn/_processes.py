"""Which process this is, of how many that train together, and who started them.

How many there are is what was asked for with `trainer.*`, never what the environment says: a job of Slurm sets
SLURM_NTASKS for whatever runs in it, and RANK or WORLD_SIZE may be left over from another program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from grn._errors import InputError
from grn._log import logger

FIRST_PROCESS = "GRN_FIRST_PROCESS"  # from the first process to those that Lightning starts; not a user's setting
# Where programs that start processes write a process's number, and where the others are.
_OF_ONE = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_OF_SLURM = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS")
_COUNTS = ("SLURM_NTASKS", "WORLD_SIZE")


@dataclass(frozen=True)
class Place:
    """A process among those that train together.

    Attributes
    ----------
    rank
        Its number; 0 writes the files.
    of
        How many there are.
    started_by
        `"lightning"` stands for the first process, which starts the others, and for those.
    nodes
        On how many machines.
    """

    rank: int = 0
    of: int = 1
    started_by: Literal["lightning", "srun", "torchrun"] = "lightning"
    nodes: int = 1


_place: Place | None = None


def asked_for(trainer: Mapping[str, Any] | None) -> tuple[int, int]:
    """How many processes a trainer's settings ask for, and on how many machines.

    Parameters
    ----------
    trainer
        The node `trainer` of a configuration; None: one process.

    Examples
    --------
    >>> asked_for({"devices": 2, "num_nodes": 2}), asked_for({"devices": "0,1"}), asked_for(None)
    ((4, 2), (2, 1), (1, 1))
    """
    settings = trainer or {}
    devices, nodes = settings.get("devices", 1), int(settings.get("num_nodes", 1))
    if isinstance(devices, str) and "," in devices:
        devices = [one for one in devices.split(",") if one.strip()]
    if isinstance(devices, (list, tuple)):
        here = len(devices)
    elif str(devices).isdigit() and int(devices) > 0:
        here = int(devices)
    else:  # "auto" or -1: as many as there are
        here = _all_devices(str(settings.get("accelerator", "auto")))
    return here * nodes, nodes


def _all_devices(accelerator: str) -> int:
    import torch

    return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())


def find_place(trainer: Mapping[str, Any] | None) -> Place:
    """The place of this process among as many as `trainer` asks for.

    Raises
    ------
    InputError
        If torchrun started another number of processes than was asked for.
    """
    asked, nodes = asked_for(trainer)
    if asked == 1:
        return Place()
    here = os.environ
    if here.get("TORCHELASTIC_RUN_ID"):
        if _number("WORLD_SIZE") != asked:
            raise InputError(
                f"torchrun started {_number('WORLD_SIZE')} processes, but trainer.devices x trainer.num_nodes asks for "
                f"{asked}. Let them agree."
            )
        return Place(_number("RANK") or 0, asked, "torchrun", nodes)
    # The script of a job has SLURM_NTASKS as well; srun alone numbers the tasks of a step.
    if _number("SLURM_STEP_NUM_TASKS") == asked:
        return Place(_number("SLURM_PROCID") or 0, asked, "srun", nodes)
    node = (_number("NODE_RANK") or 0) if nodes > 1 else 0
    within = (_number("LOCAL_RANK") or 0) if here.get(FIRST_PROCESS) else 0
    return Place(node * (asked // nodes) + within, asked, "lightning", nodes)


def settle_place(trainer: Mapping[str, Any] | None) -> None:
    """Remember the place of this process for `is_first_process`, and say so where the environment speaks of more."""
    global _place
    _place = find_place(trainer)
    names = [f"{name}={os.environ[name]}" for name in _COUNTS if (_number(name) or 1) > 1]
    if _place.of == 1 and names and trainer is not None:
        logger.info(
            "one process trains, although %s is set, because one was asked for; for more: trainer=ddp "
            "trainer.devices=N, under srun or torchrun where those start the processes",
            " and ".join(names),
        )


def forget_place() -> None:
    """Forget what `settle_place` found."""
    global _place
    _place = None


def rank() -> int:
    """Number of this process among those that train together.

    Until its place is settled, a process knows only whether Lightning started it.
    """
    if _place is not None:
        return _place.rank
    return (_number("LOCAL_RANK") or 0) if os.environ.get(FIRST_PROCESS) else 0


def is_first_process() -> bool:
    """Whether this process is the one that writes files, where several train together."""
    return rank() == 0


@contextmanager
def without_leftovers(place: Place) -> Iterator[None]:
    """Within the block, the environment says nothing of other processes that `place` does not say."""
    hidden: tuple[str, ...] = ()
    if place.started_by == "lightning" and not os.environ.get(FIRST_PROCESS):
        # Where several machines train, their users name the first machine and number all.
        kept = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if place.nodes > 1 else ()
        hidden = tuple(name for name in (*_OF_ONE, *_OF_SLURM) if name not in kept)
    before = {name: os.environ.pop(name) for name in hidden if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _number(name: str) -> int | None:
    text = os.environ.get(name, "").strip()
    return int(text) if text.isdigit() else None
