"""Sets fetched on first use, checked against their SHA-256, and kept in the user's cache folder.

Addresses and checksums are those of Scanpy's own registry (scverse/scanpy,
src/scanpy/datasets/registry.yaml, 2026): the scverse bucket first, then the address that Scanpy used
before. A file whose checksum differs is never used.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from grn._errors import InputError
from grn._files import sha256, user_path
from grn._log import logger

if TYPE_CHECKING:
    from anndata import AnnData

TIMEOUT = 30.0  # seconds without an answer, not for the whole file


@dataclass(frozen=True)
class RemoteFile:
    """A file on the network.

    Attributes
    ----------
    name
        Its name in the cache folder.
    sha256
        Its checksum, 64 hexadecimal digits. Without a known one a file cannot be registered.
    size
        Bytes, for the messages.
    urls
        Addresses, tried in order.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(
                f"{self.name}: {self.sha256!r} is no SHA-256 (64 hexadecimal digits); a download needs one."
            )


REGISTRY = {
    "paul15": RemoteFile(
        name="paul15.h5",
        sha256="6161984f758dd464992edc23f1a8ab89b2081600130c6aa93a1ab12b3ada5bfb",
        size=10_297_693,
        urls=("https://exampledata.scverse.org/scanpy/paul15.h5", "https://falexwolf.de/data/paul15.h5"),
    ),
    "pbmc3k": RemoteFile(
        name="pbmc3k_raw.h5ad",
        sha256="89a96f1beaa2dd83a687666d3f19a4513ac27a2a2d12581fcd77afed7ea653a1",
        size=5_855_727,
        urls=(
            "https://exampledata.scverse.org/scanpy/pbmc3k_raw.h5ad",
            "https://falexwolf.de/data/pbmc3k_raw.h5ad",
        ),
    ),
}

# Paul et al. 2015 number their clusters along the branches.
_PAUL15_CELL_TYPES = (
    dict.fromkeys(range(1, 7), "Ery")
    | {7: "MEP", 8: "Mk", 9: "GMP", 10: "GMP", 11: "DC", 12: "Baso", 13: "Baso"}
    | {14: "Mo", 15: "Mo", 16: "Neu", 17: "Neu", 18: "Eos", 19: "Lymph"}
)


def paul15(*, cache: str | Path | None = None) -> AnnData:
    """2730 mouse myeloid progenitors x 3451 genes, real, batch effect removed (Paul et al. 2015).

    Downloads 10.3 MB on first use.

    Parameters
    ----------
    cache
        Folder for the file; `cache_folder` unless given.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` values as sent out by the authors, not logarithmised (dense float32),
        restricted to the genes that they call informative; ``obs["cell_type"]``; ``obs["paul15_clusters"]``
        cluster number and type.

    Raises
    ------
    InputError
        The file cannot be fetched, or what came is not the file expected.

    References
    ----------
    Paul et al. 2015, "Transcriptional heterogeneity and lineage commitment in myeloid
    progenitors", Cell 163:1663.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.paul15()
    """
    import h5py
    import pandas as pd
    from anndata import AnnData

    with h5py.File(fetch(REGISTRY["paul15"], cache=cache), "r") as file:
        values = file["data.debatched"][()]
        # Where two names are given to one gene, they stand as "A;B"; the first is kept.
        genes = [name.split(";")[0] for name in file["data.debatched_rownames"].asstr()[()].ravel()]
        cells = file["data.debatched_colnames"].asstr()[()].ravel()
        clusters = file["cluster.id"][()].ravel().astype(int)
        informative = set(file["info.genes_strings"].asstr()[()].ravel())
    order = sorted((name, row) for row, name in enumerate(genes) if name in informative)
    types = [_PAUL15_CELL_TYPES[number] for number in clusters]
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(types),
            "paul15_clusters": pd.Categorical([f"{n}{t}" for n, t in zip(clusters, types, strict=True)]),
        },
        index=cells,
    )
    return AnnData(
        X=np.ascontiguousarray(values[[row for _, row in order]].T, dtype=np.float32),
        obs=obs,
        var=pd.DataFrame(index=[name for name, _ in order]),
    )


def pbmc3k(*, cache: str | Path | None = None) -> AnnData:
    """2700 human blood cells x 32738 genes, real counts (10x Genomics).

    Downloads 5.9 MB on first use.

    Parameters
    ----------
    cache
        Folder for the file; `cache_folder` unless given.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` UMI counts (sparse float32); ``var["gene_ids"]`` Ensembl identifiers.

    Raises
    ------
    InputError
        The file cannot be fetched, or what came is not the file expected.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.pbmc3k()
    """
    import anndata

    path = fetch(REGISTRY["pbmc3k"], cache=cache)
    with warnings.catch_warnings():
        # The file is old and says so; nothing a user could do.
        warnings.filterwarnings("ignore", category=anndata.OldFormatWarning)
        return anndata.read_h5ad(path)


def cache_folder() -> Path:
    """Folder of the downloads: the user's cache folder of this system (``~/.cache/grn`` on Linux)."""
    import pooch

    return Path(pooch.os_cache("grn"))


def fetch(remote: RemoteFile, *, cache: str | Path | None = None) -> Path:
    """Path of the file in the cache, downloaded if it is not there or is damaged.

    Parameters
    ----------
    remote
        What to fetch.
    cache
        Folder to keep it in; `cache_folder` unless given.

    Returns
    -------
    Path
        A file whose SHA-256 is the one registered. A download in progress has another name, so that no
        interruption leaves a partial file under this one.

    Raises
    ------
    InputError
        No address gave the file (the message lists each with its reason), or the folder cannot be written.
    """
    import pooch
    import requests

    folder = cache_folder() if cache is None else user_path(cache)
    path = folder / remote.name
    if path.is_file():
        if sha256(path) == remote.sha256:
            return path
        logger.warning("%s is damaged (its checksum differs from the known one) and is fetched anew", path)
    reasons = []
    for url in remote.urls:
        logger.info("downloading %s (%.1f MB) to %s", url, remote.size / 1e6, folder)
        try:
            with _quiet(pooch.get_logger()):
                return Path(
                    pooch.retrieve(
                        url,
                        known_hash=f"sha256:{remote.sha256}",
                        fname=remote.name,
                        path=folder,
                        downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
                    )
                )
        except requests.RequestException as error:
            reason = _explain(error, url)
        except ValueError:
            # What pooch raises where the checksum differs; it has removed what it had fetched.
            reason = "wrong checksum: what came is not the file expected (changed at its source, or cut short)"
        except OSError as error:
            raise InputError(
                f"cannot write to the cache folder {folder}: {error.strerror or error}. Free some space, "
                "correct its permissions, or name another folder with cache=..."
            ) from error
        logger.warning("%s: %s", url, reason)
        reasons.append(f"  {url}: {reason}")
    raise InputError(
        f"could not download {remote.name} ({remote.size / 1e6:.1f} MB):\n"
        + "\n".join(reasons)
        + f"\nCheck the connection and the proxy and try again, or save the file by hand as {path}; its "
        f"SHA-256 must be {remote.sha256}."
    )


def _explain(error: Exception, url: str) -> str:
    import requests

    host = urlsplit(url).netloc
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{host} answered {error.response.status_code} {error.response.reason}"
    kinds = (
        (requests.exceptions.ChunkedEncodingError, "the connection was cut before the end of the file"),
        (requests.exceptions.ProxyError, "the proxy could not be reached or refused"),
        (requests.exceptions.SSLError, f"the certificate of {host} was not accepted"),
        (requests.Timeout, f"{host} gave no answer for {TIMEOUT:g} s"),
        (requests.ConnectionError, f"no connection to {host}"),
    )
    for kind, reason in kinds:
        if isinstance(error, kind):
            return reason
    return f"{type(error).__name__}: {error}"


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    """Leave the telling to our logger: pooch's writes to the terminal by itself."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
