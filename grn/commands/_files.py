"""What commands on a network read and write: data that must be given, and tables by the ending of the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._files import atomic_path
from grn._tables import write_frame

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from omegaconf import DictConfig

TABLES = (".csv", ".tsv", ".parquet")


def given_data(cfg: DictConfig, what: str = "") -> AnnData:
    """The data of a command that cannot do without; `what` they are stands in the message where there are none."""
    from grn.config import load_data

    if cfg.data is None:
        raise InputError(f"data must be given: {what}for instance data=h5ad data.path=my.h5ad")
    return load_data(cfg.data)


def checked_output(output: str, endings: tuple[str, ...] = TABLES) -> Path:
    """Path of the file to write; InputError where its ending is none of `endings`."""
    path = Path(output)
    if path.suffix not in endings:
        raise InputError(f"output={path} must end in one of {', '.join(endings)}.")
    return path


def write_table(table: pd.DataFrame, path: Path, *, index: str | None = None) -> None:
    """Write a table; `index` names the column of the row names, which are left out without it."""
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=index is not None)
        else:
            write_frame(table, temporary, "\t" if path.suffix == ".tsv" else ",", index=index)


def write_h5ad(adata: AnnData, path: Path, known: Iterable[str] = ()) -> None:
    """Write an AnnData, whole or not at all; `known` is what `grn.data.writing.announce` said before the work."""
    from grn.data import writing

    with atomic_path(path) as temporary:
        writing.write_h5ad(adata, temporary, known=known)


def announced(adata: AnnData, output: Path) -> list[str]:
    """What of the input an .h5ad cannot hold as it is, said before the work; nothing for other files."""
    from grn.data import writing

    return writing.announce(adata) if output.suffix == ".h5ad" else []
