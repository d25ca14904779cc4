"""A prediction as the benchmark geneRNIB reads it: an .h5ad file with the edges in uns["prediction"]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError, setting
from grn._log import logger
from grn.network.formats.checks import refuse_groups, refuse_names
from grn.network.metadata import CONVENTION, version

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

COLUMNS = ["source", "target", "weight"]
UNKNOWN = "unknown"


def write(network: GeneNetwork, path: Path) -> None:
    """Write uns["prediction"] (source, target as text, weight as numbers), uns["dataset_id"] and uns["method_id"].

    The two names are `network.params["dataset_id"]` and `network.params["method"]`; a dataset that is not named there
    is written as "unknown", with a line in the log.
    """
    from anndata import AnnData

    from grn.data.writing import write_h5ad

    refuse_groups(network, "geneRNIB")
    refuse_names(network.genes, ".h5ad", "\0", "parquet")
    dataset = network.params.get("dataset_id")
    if dataset is None:
        logger.warning(
            "The prediction for geneRNIB names no dataset: set %suns['dataset_id'] in the file.",
            setting("", "network.params['dataset_id'] = '...' before writing, or adata."),
        )
    uns = {
        "dataset_id": UNKNOWN if dataset is None else str(dataset),
        "method_id": str(network.params.get("method", "grn")),
        "prediction": network.edges[COLUMNS],
        "signed": network.signed,
        "convention": CONVENTION,
        "version": version(),
    }
    write_h5ad(AnnData(uns=uns), path, compression="gzip")


def read(path: Path) -> GeneNetwork:
    """Read uns["prediction"], whose weights may also be text, and the two names as params."""
    from grn.data.formats.hdf5 import read_h5ad
    from grn.network.network import GeneNetwork

    uns = read_h5ad(path).uns
    table = uns.get("prediction")
    missing = [name for name in COLUMNS if name not in getattr(table, "columns", ())]
    if missing:
        raise InputError(
            f"{path} holds no table uns['prediction'] with the columns {', '.join(COLUMNS)}: it is no prediction for "
            "geneRNIB. A network of ours in an .h5ad file is read with format=h5ad."
        )
    table = table[COLUMNS].reset_index(drop=True)
    if not uns.get("signed", True):
        table["sign"] = 0
    params = {
        ours: str(uns[name]) for ours, name in (("dataset_id", "dataset_id"), ("method", "method_id")) if name in uns
    }
    if params.get("dataset_id") == UNKNOWN:
        del params["dataset_id"]
    return GeneNetwork.from_edges(table, params=params)
