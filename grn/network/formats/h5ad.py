"""An .h5ad file without cells that holds the network in its slots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn.network.formats.checks import broken

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork


def write(network: GeneNetwork, path: Path) -> None:
    """Write an AnnData of no cells and all genes, with uns["grn"], varp["grn"] and var["is_tf"]."""
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from grn.network.slots import add_to_anndata

    adata = AnnData(np.zeros((0, len(network.genes)), dtype=np.float32), var=pd.DataFrame(index=network.genes))
    add_to_anndata(adata, network)
    adata.write_h5ad(path, compression="gzip")


def read(path: Path) -> GeneNetwork:
    """Read the network under the key "grn" of any .h5ad file."""
    import anndata

    from grn._errors import InputError
    from grn.network.slots import from_anndata

    try:
        adata = anndata.read_h5ad(path, backed="r")
    except (OSError, KeyError) as error:
        raise broken(path, "h5ad", error) from error
    try:
        return from_anndata(adata)
    except KeyError as error:
        hint = "With another key, use grn.get.network(adata, key=...)."
        if "prediction" in adata.uns:
            hint = "A prediction for geneRNIB is read with format=genernib."
        raise InputError(f"{path}: {error.args[0]} {hint}") from error
    finally:
        adata.file.close()
