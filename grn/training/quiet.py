"""Lightning's remarks on hardware and data loaders say nothing a user of grn can act on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = (
    "lightning.pytorch",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.pytorch.accelerators.cuda",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Let only Lightning's warnings of substance through while the block runs."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.(pytorch|fabric).*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
