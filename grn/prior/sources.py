"""Where prior knowledge comes from: a file, or the regulons of CollecTRI and DoRothEA by decoupler's download."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn.prior.prior import Prior
from grn.prior.table import clean_prior, read_prior


def from_file(path: str | None = None) -> tuple[pd.DataFrame, str]:
    """A table of one's own, see `read_prior`."""
    if path is None:
        raise InputError("prior=file needs prior.path=..., a csv, tsv or parquet file with source and target.")
    return read_prior(path), str(path)


def collectri(organism: str = "human") -> tuple[pd.DataFrame, str]:
    """CollecTRI (Müller-Dott et al. 2023, Nucleic Acids Research 51:10934)."""
    return _download("collectri", organism=organism), f"CollecTRI ({organism})"


def dorothea(organism: str = "human", levels: Sequence[str] = ("A", "B", "C")) -> tuple[pd.DataFrame, str]:
    """DoRothEA (Garcia-Alonso et al. 2019, Genome Research 29:1363), edges of these levels of confidence."""
    unknown = [level for level in levels if level not in ("A", "B", "C", "D")]
    if unknown or not levels:
        raise InputError(f"prior.levels = {list(levels)}: expected some of A, B, C and D.")
    table = _download("dorothea", organism=organism, levels=list(levels))
    return table, f"DoRothEA {''.join(levels)} ({organism})"


SOURCES: dict[str, Callable[..., tuple[pd.DataFrame, str]]] = {
    "file": from_file,
    "collectri": collectri,
    "dorothea": dorothea,
}


def load_prior(settings: Mapping[str, Any] | None) -> Prior | None:
    """The prior that a configuration describes; None for none.

    Parameters
    ----------
    settings
        The node `prior` of a composed configuration: `name` (one of `SOURCES`), `strength`, and the settings of that
        source.

    Raises
    ------
    InputError
        For an unknown source or setting, a file that cannot be used, or a download that is not possible.
    """
    if settings is None:
        return None
    given = dict(settings)
    name, strength = given.pop("name"), given.pop("strength", "auto")
    if name not in SOURCES:
        raise InputError(f"There is no prior {name!r}; choose {', '.join(SOURCES)}.{did_you_mean(name, SOURCES)}")
    known = inspect.signature(SOURCES[name]).parameters
    for key in given:
        if key not in known:
            raise InputError(f"prior.{key} is not a setting of prior={name}, which has {', '.join(known)}.")
    table, source = SOURCES[name](**given)
    return Prior(table, source, strength)


def _download(name: str, **settings: Any) -> pd.DataFrame:
    """A table by `decoupler.op`."""
    instead = f"Or give a table of your own: prior=file prior.path=... instead of prior={name}."
    try:
        from decoupler import op
    except ImportError as error:
        raise InputError(
            f"prior={name} is downloaded by the package decoupler (version 2), which cannot be imported: {error}. "
            f'Install it: pip install "grn[prior]". {instead}'
        ) from None
    logger.info("prior: downloading %s by decoupler", name)
    try:
        table = getattr(op, name)(**settings)
    except Exception as error:  # of requests, pandas or decoupler: whatever it is, the download failed
        logger.debug("the download of %s failed", name, exc_info=error)
        reason = " ".join(str(error).split())
        raise InputError(
            f"prior={name} could not be downloaded ({type(error).__name__}: {reason[:200]}). Is there a connection? "
            f"Try again later. {instead}"
        ) from None  # the chain of a library's errors would bury the message in Python
    return clean_prior(table, where=name)
