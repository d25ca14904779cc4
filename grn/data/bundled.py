"""Sets that come with Scanpy and need no network connection."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from grn._log import logger

if TYPE_CHECKING:
    from anndata import AnnData

# The rules of Krumsiek et al. 2011, table 1, as edges: each target with its activators and its repressors.
# A variable under a negation represses; the self-loops of Gata2, Gata1, Cebpa and Pu.1 are left out, since
# no method here infers how a gene regulates itself.
_KRUMSIEK_RULES = {
    "Gata2": ("", "Gata1 Fog1 Pu.1"),
    "Gata1": ("Gata2 Fli1", "Pu.1"),
    "Fog1": ("Gata1", ""),
    "EKLF": ("Gata1", "Fli1"),
    "Fli1": ("Gata1", "EKLF"),
    "SCL": ("Gata1", "Pu.1"),
    "Cebpa": ("", "Gata1 Fog1 SCL"),
    "Pu.1": ("Cebpa", "Gata1 Gata2"),
    "cJun": ("Pu.1", "Gfi1"),
    "EgrNab": ("Pu.1 cJun", "Gfi1"),
    "Gfi1": ("Cebpa", "EgrNab"),
}


def pbmc68k() -> AnnData:
    """700 human blood cells x 765 genes, real, log-normalised (Zheng et al. 2017, 10x Genomics).

    The reduced set that Scanpy ships. Its ``X`` is scaled; here ``X`` is what stands in its ``raw``: log1p
    of counts normalised per cell, sparse. No true network is known.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` log-normalised (sparse float32); ``obs["bulk_labels"]`` cell types,
        ``obs["louvain"]`` clusters and quality measures; ``obsm["X_umap"]``, ``obsm["X_pca"]``.

    References
    ----------
    Zheng et al. 2017, "Massively parallel digital transcriptional profiling of single
    cells", Nat Commun 8:14049.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.pbmc68k()
    """
    import scanpy as sc
    from anndata import AnnData
    from scipy import sparse

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the age of Scanpy's file; nothing a user could do
        shipped = sc.datasets.pbmc68k_reduced()
    values = sparse.csr_matrix(shipped.raw.X, dtype=np.float32)
    values.sort_indices()
    return AnnData(
        X=values,
        obs=shipped.obs.copy(),
        var=shipped.raw.var.copy(),
        obsm={name: np.asarray(shipped.obsm[name]) for name in ("X_umap", "X_pca")},
    )


def krumsiek11() -> AnnData:
    """640 simulated cells x 11 genes of myeloid differentiation, with the signed network that made them.

    A literature-curated Boolean model turned into Hill kinetics (Wittmann et al. 2009), simulated along
    four branches of 160 time points each; shipped by Scanpy. The noise of the simulation makes an eighth of
    the values slightly negative; they are set to 0. Every gene is a transcription factor or a complex of
    such: use ``tf="all"``.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` concentrations, 0 to about 1 (dense float32); ``obs["cell_type"]``
        progenitor, Mo, Ery, Mk, Neu; ``obs["branch"]`` and ``obs["time"]`` where in the simulation the cell
        was taken; ``uns["reference"]`` 26 signed edges (source, target, sign), self-loops left out.

    References
    ----------
    Krumsiek et al. 2011, "Hierarchical differentiation of myeloid progenitors is
    encoded in the transcription factor network", PLoS ONE 6:e22649, table 1.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> adata.uns["reference"].columns.tolist()
    ['source', 'target', 'sign']
    """
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the repeated names, which are replaced below
        shipped = sc.datasets.krumsiek11()
    values = np.asarray(shipped.X, dtype=np.float32)
    logger.info(
        "krumsiek11: %d of %d values lay below 0 (noise of the simulation, at least %.3g) and are set to 0",
        int((values < 0).sum()),
        values.size,
        float(values.min()),
    )
    # Scanpy names the cells by time point, so that each name comes once per branch.
    time = shipped.obs_names.astype(int).to_numpy()
    branch = np.cumsum(np.diff(time, prepend=time[0]) < 0) + 1
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(shipped.obs["cell_type"]),
            "branch": pd.Categorical([f"branch{i}" for i in branch]),
            "time": time,
        },
        index=[f"branch{i}_t{t}" for i, t in zip(branch, time, strict=True)],
    )
    adata = AnnData(X=np.maximum(values, 0), obs=obs, var=pd.DataFrame(index=list(shipped.var_names)))
    edges = [
        (source, target, sign)
        for target, (activators, repressors) in _KRUMSIEK_RULES.items()
        for sources, sign in ((activators, 1), (repressors, -1))
        for source in sources.split()
    ]
    reference = pd.DataFrame(edges, columns=["source", "target", "sign"]).astype({"sign": np.int8})
    adata.uns["reference"] = reference
    return adata
