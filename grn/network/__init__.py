"""The network: a table of signed edges, its AnnData slots and its file formats."""

from grn.network.network import GeneNetwork
from grn.network.slots import add_to_anndata, from_anndata

__all__ = ["GeneNetwork", "add_to_anndata", "from_anndata"]
