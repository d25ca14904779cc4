"""Several processes that train together: where one dies, the others end too, and say so.

Within a step the dead end of a connection tells. Before the connections stand, Lightning's first process watches
those it started; here those watch the first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grn._log import logger
from grn._processes import FIRST_PROCESS, Place, without_leftovers

# What gloo and nccl say when the process at the other end is gone.
_LOST_PEER = (
    "closed by peer",
    "Connection reset",
    "Broken pipe",
    "remote process exited",
    "Timed out",
    "timed out",
)
_GONE = "The first process of this run ended early, so this one stops too."


def lost_peer(error: RuntimeError) -> bool:
    """Whether an error says that another process is gone."""
    return any(words in str(error) for words in _LOST_PEER)


@contextmanager
def lightning_environment(place: Place) -> Iterator[Any]:
    """The cluster environment that a Trainer is given for `place`, while the environment says nothing else.

    Left to itself, Lightning believes SLURM_NTASKS and RANK, whatever was asked for.
    """
    from lightning.fabric.utilities import rank_zero
    from lightning.pytorch.plugins import environments

    rank_zero_only: Any = rank_zero.rank_zero_only
    before = rank_zero_only.rank
    rank_zero_only.rank = place.rank
    try:
        with without_leftovers(place):
            if place.started_by == "srun":
                yield environments.SLURMEnvironment(auto_requeue=False)
            elif place.started_by == "torchrun":
                yield environments.TorchElasticEnvironment()
            else:
                yield environments.LightningEnvironment()
    finally:
        rank_zero_only.rank = before


@contextmanager
def one_fate() -> Iterator[None]:
    """While the block runs, the processes that this one starts end with it.

    The first process leaves its number in the environment of those that Lightning starts within the block; they
    end when it is gone. Processes started from outside, by torchrun or a scheduler, are looked after there.

    Raises
    ------
    ConnectionError
        If the first process is gone already.
    """
    if int(os.environ.get("LOCAL_RANK") or 0) == 0:
        os.environ[FIRST_PROCESS] = str(os.getpid())
        try:
            yield
        finally:
            os.environ.pop(FIRST_PROCESS, None)
        return
    first = os.environ.get(FIRST_PROCESS)
    if first is None:
        yield
        return
    if os.getppid() != int(first):
        raise ConnectionError(_GONE)
    done = threading.Event()
    threading.Thread(target=_watch, args=(int(first), done), daemon=True, name="first-process-watch").start()
    try:
        yield
    finally:
        done.set()


def _watch(first: int, done: threading.Event, every: float = 1.0, grace: float = 10.0) -> None:
    while os.getppid() == first:
        if done.wait(every):
            return
    # Within a step, the lost connection ends this process in order; where it waits for one, nothing else would.
    if not done.wait(grace):
        logger.error(_GONE)
        os._exit(1)
