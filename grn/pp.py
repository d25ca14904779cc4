"""Preprocessing, as in Scanpy.

`grn.pp.check` looks at every matrix before a model sees it; `grn.pp.name_genes` takes gene names from a column.
"""

from grn.data.check import check
from grn.data.gene_names import name_genes

__all__ = ["check", "name_genes"]
