"""report.html: reading what a run left in its folder, and writing the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grn._errors import InputError
from grn._files import user_path, write_text
from grn._log import logger
from grn._stored import read_record
from grn.network.network import GeneNetwork
from grn.network.slots import from_anndata

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
    return _write(user_path(output), network, {}, None, title or "Gene regulatory network")


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
    folder = user_path(folder)
    record = read_record(folder)
    network = GeneNetwork.read(folder) if network is None else network
    metrics = pd.read_csv(folder / METRICS) if (folder / METRICS).exists() else None
    target = folder / NAME if output is None else user_path(output)
    return _write(target, network, record, metrics, title or folder.absolute().name)


def _write(
    target: Path, network: GeneNetwork, record: dict[str, Any], metrics: pd.DataFrame | None, title: str
) -> Path:
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"output={target} must end in .html: the report is a web page.")
    # Jinja is imported when a page is made.
    from grn.plotting.report.facts import check_gate
    from grn.plotting.report.page import page

    check_gate(record)
    text = page(network, record, metrics, title)
    write_text(target, text)
    logger.debug("%s: %d bytes", target, len(text.encode()))
    return target
