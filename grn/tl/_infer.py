"""Inference on an AnnData in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError, did_you_mean
from grn._process import unchanged_process
from grn.tl._slots import check_key

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from grn.network import GeneNetwork

# Settings with an argument of their own, or without meaning where there is no run folder.
_ARGUMENTS = ("data", "tf", "group_by", "batch_key", "seed", "name", "resume", "overwrite", "experiment")
METHODS = ("regulatory", "contextual", "transformer")


@unchanged_process()
def infer(
    adata: AnnData,
    tf: str | Sequence[str] = "human",
    *,
    method: str = "regulatory",
    layer: str | None = None,
    group_by: str | None = None,
    batch_key: str | None = None,
    allow_negative: bool = False,
    confidence: bool = False,
    dynamics: str | None = None,
    prior: pd.DataFrame | str | os.PathLike[str] | None = None,
    seed: int = 0,
    key_added: str = "grn",
    copy: bool = False,
    overrides: Sequence[str] = (),
) -> AnnData | None:
    """Infer a signed gene regulatory network: check the data, train, extract.

    The same as `grn train` with the same defaults, without a run folder.

    Parameters
    ----------
    adata
        Expression (cells, genes): counts, or log1p of normalised counts.
    tf
        Which genes may regulate: "human", "mouse", "all", a file, names, or "human,+GENE,-GENE".
    method
        "regulatory" (the signed attention of targets to regulators), "contextual" (the same with a map for each
        cell), "transformer" (attention of a gene-token transformer, for comparison), or a method without training:
        "pearson", "spearman", "clr", "partial_correlation", "ridge", "elastic_net", "closed_form", "genie3",
        "grnboost2", "softmax_attention", "unnormalised_attention" (`grn.evaluation.baselines.BASELINES`;
        docs/methods.md says which of them tell signs).
    layer
        Layer with the expression, "X" or "raw". Default: layers["counts"] if there, else X.
    group_by
        Column of `adata.obs`: one network for each group of cells, from one fit (without training: from the
        group's own cells).
    batch_key
        Column of `adata.obs` with batches (donors, plates), between which every gene may have another mean.
    allow_negative
        Take negative or scaled values as they are instead of refusing them.
    confidence
        Add confidence, p-values and q-values to the edges, see :func:`confidence`; takes a few times as long.
    dynamics
        "time" or "velocity": add direction from a pseudotime (`obs["pseudotime"]`, or overrides such as
        ["dynamics.columns=[dpt]"]) or from layers "spliced" and "unspliced", where a gate opens; see docs/dynamics.md.
    prior
        Known regulons, which add to the network as far as the expression agrees with them: a table with source, target
        and maybe sign and weight, a file of one, "collectri" or "dorothea" (downloaded by the package decoupler);
        see docs/prior.md. Settings are overrides such as ["prior.strength=0.5"].
    seed
        Of the initial weights, the held-out cells and the order of cells; or of what a method without training
        draws. Equal seeds give equal networks on CPU.
    key_added
        Name of the slots.
    copy
        Return a copy with the result instead of writing into `adata`.
    overrides
        Further settings as on the command line, such as ["training.epochs=40", "network.readout=effect"].

    Returns
    -------
    None, or the copy. Writes

    - ``.varp[key_added]`` sparse float32 (genes, genes): weight of regulator (row) for target (column); with groups,
      their mean
    - ``.uns[key_added]`` edges, params, version, convention
    - ``.var["is_tf"]``
    - ``.obsm[key_added + "_attention"]`` of method="contextual": DataFrame (cells, regulators), root of the summed
      squared attention that all genes pay to a regulator in a cell; no cell's map is formed

    Raises
    ------
    InputError
        Where the data, a name or a setting cannot be used; the message says what to do.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all")
    >>> grn.get.edges(adata).columns.tolist()
    ['source', 'target', 'weight', 'sign']
    """
    from grn.config import compose, plain_config, validate
    from grn.data.given import require_anndata
    from grn.evaluation.baselines import BASELINES
    from grn.network import add_to_anndata
    from grn.pipeline import infer as run
    from grn.pipeline import infer_by_method
    from grn.prior import SOURCES, Prior

    require_anndata(adata, "grn.tl.infer", copy=copy)
    check_key(key_added)
    methods = (*METHODS, *BASELINES)
    if method not in methods:
        raise InputError(
            f"Unknown method {method!r}; choose one of {', '.join(methods)}.{did_you_mean(method, methods)}"
        )
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if (
            key.partition(".")[0] in _ARGUMENTS
            or key in ("model", "run", "method")
            or (dynamics is not None and key == "dynamics")
            or (prior is not None and key in ("prior", "prior.name", "prior.path"))
            or (confidence and key == "confidence")
            or (key.startswith("network.") and key != "network.readout")
        ):
            raise InputError(
                f"overrides has {override!r}: that is an argument of `infer`, or it belongs to the run folder that "
                "only `grn train` makes."
            )
    if layer == "raw" and adata.raw is not None and not adata.raw.var_names.isin(adata.var_names).all():
        raise InputError(
            "adata.raw has genes that adata has not, so the network would not fit into its slots. Infer on "
            "adata.raw.to_adata() instead."
        )
    command, choice = ("infer", "method") if method in BASELINES else ("train", "model")
    added = [] if dynamics is None else [f"dynamics={dynamics}"]
    known = prior if isinstance(prior, str) and prior in SOURCES else "file"
    added += [] if prior is None else [f"prior={known}"]
    added += ["confidence=default"] if confidence else []
    cfg = compose(command, [f"{choice}={method}", f"seed={seed}", *added, *overrides])
    validate(cfg, command)
    config = plain_config(cfg)
    if method in BASELINES and config["dynamics"] not in (None, {"name": "none"}):
        raise InputError(
            f"dynamics={config['dynamics']['name']} is added to a trained map; method={method!r} has none."
        )
    config["tf"] = tf if isinstance(tf, str) else list(tf)
    config["data"] = {"name": "anndata", "layer": layer}
    config["group_by"], config["batch_key"] = group_by, batch_key
    config["allow_negative"] |= allow_negative
    table = None
    if isinstance(prior, str | os.PathLike):
        if known == "file":
            config["prior"]["path"] = os.fspath(prior)
    elif prior is not None:
        table = Prior(prior, "a table", config["prior"]["strength"])
    attention = None
    if method in BASELINES:
        config["network"]["formats"] = []
        network: GeneNetwork | None = infer_by_method(adata, config, prior=table)[0]
    else:
        with tempfile.TemporaryDirectory(prefix="grn-") as folder:
            found = run(adata, config, Path(folder), prior=table)
            network, attention = found.network, found.attention
    if network is None:  # another process of a distributed run holds it
        return None
    target = adata.copy() if copy else adata
    add_to_anndata(target, network, key_added=key_added)
    target.obsm.pop(f"{key_added}_attention", None)  # of an earlier model
    if attention is not None:
        target.obsm[f"{key_added}_attention"] = attention
    return target if copy else None
