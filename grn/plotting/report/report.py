"""report.html: reading what a run left in its folder, and writing the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn._errors import InputError, near_misses
from grn._files import write_text
from grn._log import logger
from grn.network.network import GeneNetwork
from grn.network.slots import from_anndata
from grn.run_folder import RECORD

if TYPE_CHECKING:
    from anndata import AnnData

NAME = "report.html"
METRICS = "metrics.csv"


def report(
    run: str | Path | AnnData | GeneNetwork, output: str | Path | None = None, *, key: str = "grn", title: str = ""
) -> Path:
    """Write a network's report: one HTML file with tables to search, figures, settings and provenance.

    The page opens in any browser, without a network connection, and can be sent as it is. The same run gives the same
    file, byte for byte.

    Parameters
    ----------
    run
        Folder of a finished run; or an AnnData with a network, or a network, of which less is known: no check of the
        input, times or versions.
    output
        The file, ending in .html or .htm; by default `report.html` in the run's folder.
    key
        Where the AnnData's network is.
    title
        Heading of the page; by default the name of the run's folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the folder holds no finished run, `output` is missing where it is needed, or has another ending.

    Examples
    --------
    >>> import tempfile, grn
    >>> from grn.network import GeneNetwork
    >>> small = GeneNetwork.from_matrix([[0.0, 0.9, -0.4]], ["A"], ["A", "B", "C"])
    >>> grn.pl.report(small, tempfile.mkdtemp() + "/small.html").name
    'small.html'
    """
    if isinstance(run, str | Path):
        return write_report(run, output=output, title=title)
    if output is None:
        raise InputError("A network has no folder to write its report into: give output='report.html'.")
    network = run if isinstance(run, GeneNetwork) else from_anndata(run, key)
    return _write(Path(output), network, {}, None, title or "Gene regulatory network")


def write_report(
    folder: str | Path, network: GeneNetwork | None = None, *, output: str | Path | None = None, title: str = ""
) -> Path:
    """Write the report of a finished run; as `report`, with the network at hand if it need not be read again.

    Parameters
    ----------
    folder
        Holds run.json, network.parquet and maybe metrics.csv.
    network
        The run's network; None: read it from the folder.
    output, title
        As in `report`.
    """
    folder = Path(folder)
    record = _read_record(folder)
    network = GeneNetwork.read(folder) if network is None else network
    metrics = pd.read_csv(folder / METRICS) if (folder / METRICS).exists() else None
    target = folder / NAME if output is None else Path(output)
    return _write(target, network, record, metrics, title or folder.absolute().name)


def _write(
    target: Path, network: GeneNetwork, record: dict[str, Any], metrics: pd.DataFrame | None, title: str
) -> Path:
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"output={target} must end in .html: the report is a web page.")
    # Jinja is imported when a page is made.
    from grn.plotting.report.page import page

    text = page(network, record, metrics, title)
    write_text(target, text)
    logger.debug("%s: %d bytes", target, len(text.encode()))
    return target


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    if not path.is_file():
        siblings = [other.parent.name for other in sorted(folder.parent.glob(f"*/{RECORD}"))]
        close = near_misses(folder.name, siblings) or siblings[:5]
        hint = f" Finished runs there: {', '.join(close)}." if close else ""
        raise InputError(f"{folder} is not the folder of a finished run: it has no {RECORD}.{hint}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable as JSON ({error}), so nothing can be reported of the run.") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no record of a run; expected what `grn train` writes there.")
    return record
