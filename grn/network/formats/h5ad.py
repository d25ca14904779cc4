"""An .h5ad file without cells that holds the network in its slots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork


def write(network: GeneNetwork, path: Path) -> None:
    """Write an AnnData of no cells and all genes, with uns["grn"], varp["grn"] and var["is_tf"]."""
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from grn.data.writing import write_h5ad
    from grn.network.formats.checks import refuse_names
    from grn.network.slots import add_to_anndata

    refuse_names([*network.genes, *network.groups], ".h5ad", "\0", "parquet")
    adata = AnnData(np.zeros((0, len(network.genes)), dtype=np.float32), var=pd.DataFrame(index=network.genes))
    add_to_anndata(adata, network)
    write_h5ad(adata, path, compression="gzip")


def read(path: Path) -> GeneNetwork:
    """Read the network under the key "grn" of any .h5ad file."""
    from grn._errors import InputError
    from grn.data.formats.hdf5 import read_h5ad
    from grn.network.slots import from_anndata

    adata = read_h5ad(path, backed=True, layer="X")
    try:
        return from_anndata(adata)
    except KeyError as error:
        hint = "With another key, use grn.get.network(adata, key=...)."
        if "prediction" in adata.uns:
            hint = "A prediction for geneRNIB is read with format=genernib."
        raise InputError(f"{path}: {error.args[0]} {hint}") from error
    finally:
        if adata.isbacked:
            adata.file.close()
