"""Activity of regulators in single cells, from the expression of their targets, by decoupler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn._process import unchanged_process
from grn.analysis.regulons import regulons, set_names
from grn.data.identifiers import alike, examples
from grn.network.network import GeneNetwork

if TYPE_CHECKING:
    from anndata import AnnData

# Methods of decoupler, and whether they use the weights of targets. Those that do not take a regulator's activated and
# repressed targets as two sets. Left out are mdt and udt, which need a further package, gsea and waggr, which take
# long, and zscore, whose subtracted mean makes regulators that repress look inactive in every cell.
METHODS = {"ulm": True, "mlm": True, "viper": True, "aucell": False, "gsva": False, "ora": False}
_BLOCK_VALUES = 50_000_000  # sparse expression is made dense in blocks of about this many values


@dataclass(frozen=True, eq=False)
class Activity:
    """Activities of regulators.

    Attributes
    ----------
    scores
        (cells, regulators); NaN for cells without any expression, and where a cell's group has no regulon of that
        regulator. The columns are `A(+)` and `A(-)` where the method takes sets.
    padj
        Of the same shape: p-values, adjusted within each cell over regulators (Benjamini & Hochberg; of `mlm`, not
        adjusted). None where the method has no test.
    params
        How they were made; can be written to .h5ad.
    """

    scores: pd.DataFrame
    padj: pd.DataFrame | None
    params: dict[str, Any]


def activity(
    network: GeneNetwork,
    adata: AnnData,
    *,
    method: str = "ulm",
    layer: str | None = None,
    top: int | None = None,
    per_target: int | None = None,
    fdr: float | None = None,
    min_targets: int = 5,
    group: str | None = None,
    group_by: str | None = None,
    centre: bool = False,
    allow_negative: bool = False,
) -> Activity:
    r"""Score the regulons of a network in every cell; `adata` is not changed.

    With the default method, `ulm`, the activity of regulator j in cell c is the t-value of the slope b in

    .. math:: x_{ci} = a + b\, w_{ji} + e_i

    Where: i runs over the genes of both the data and the network; x is log-normalised expression as the gate makes it
    (`grn.pp.check`); w is the weight of j for target i, 0 for genes outside its regulon. There are no self-edges, so
    the regulator's own expression counts among these zeros. Badia-i-Mompel et al. 2022.

    Parameters
    ----------
    network
        Where the regulons come from.
    adata
        Expression (cells, genes): counts, or log1p of normalised counts.
    method
        A method of decoupler: a name in `METHODS`.
    layer, allow_negative
        As in :func:`grn.pp.check`.
    top, per_target, fdr, min_targets
        Which edges make the regulons, among genes of the data; see :func:`grn.get.regulons`.
    group
        Score the regulons of this group's network in all cells; without it, those of the mean over groups.
    group_by
        Column of `adata.obs` with names of the network's groups: score in each cell the regulons of its own group.
    centre
        Subtract from each gene its mean over cells first. Without it, a regulator whose targets are highly expressed
        everywhere is active everywhere; differences between cells are nearly the same either way.

    Raises
    ------
    InputError
        If decoupler is not installed, the data do not pass the gate, the network and the data share no gene, no regulon
        has enough targets, or a name is unknown.
    """
    decoupler = _decoupler(method)
    from grn.data import check

    if group_by is not None and group is not None:
        raise InputError(f"Give either group={group!r} (for all cells) or group_by={group_by!r} (each cell its own).")
    if group_by is not None and not network.groups:
        raise InputError(f"group_by={group_by!r} needs a network with groups, and this one has none; leave it out.")
    checked = check(adata, tf="all", layer=layer, group_by=group_by, allow_negative=allow_negative)
    genes = _shared(checked.genes, network)
    x = checked.x[:, checked.genes.get_indexer(genes)]
    # Before centring, after which they are no longer flat.
    flat = _flat(x)
    if flat.any():
        logger.warning("%d cells have the same value, or none, of all genes: their activities are NaN", flat.sum())
    if centre:
        x = x if isinstance(x, np.ndarray) else x.toarray()
        x = x - x.mean(axis=0, dtype=np.float64)
        flat |= _flat(x)
    network = _within(network, genes)
    settings: dict[str, Any] = {"top": top, "per_target": per_target, "fdr": fdr, "min_targets": min_targets}
    parts = []
    for name, cells in _cells(checked.groups, network, group, len(flat)):
        table = regulons(network, group=name, **settings)
        where = "" if name is None else f" of group {name!r}"
        nets = _as_decoupler(table, method, min_targets, len(genes), where)
        chosen = np.flatnonzero(cells & ~flat)
        if len(chosen):
            parts.append(_run(getattr(decoupler.mt, method), nets, x[chosen], checked.cells[chosen], genes))
    if not parts:
        raise InputError(
            f"In every cell the {len(genes)} genes shared with the network have one value: nothing varies."
        )
    frames = [pd.concat(tables).reindex(checked.cells) for tables in zip(*parts, strict=True) if tables[0] is not None]
    scores = frames[0].sort_index(axis=1)
    params = {
        "method": method,
        "expression": f"{checked.report.source} ({checked.report.kind}): {checked.report.treatment}",
        "genes": len(genes),
        "centre": centre,
        **{
            key: value for key, value in {**settings, "group": group, "group_by": group_by}.items() if value is not None
        },
    }
    return Activity(scores, frames[1][scores.columns] if len(frames) > 1 else None, params)


def _decoupler(method: str) -> Any:
    if method not in METHODS:
        raise InputError(
            f"Unknown method {method!r}; choose one of {', '.join(METHODS)}.{did_you_mean(method, METHODS)}"
        )
    try:
        import decoupler
        from decoupler import mt  # noqa: F401  what version 1 lacks
    except ImportError as error:
        raise InputError(
            f"Activities are computed by the package decoupler (version 2), which cannot be imported: {error}. Install "
            'it: pip install "grn[activity]".'
        ) from error
    return decoupler


def _shared(genes: pd.Index, network: GeneNetwork) -> pd.Index:
    shared = genes[genes.isin(network.genes)]
    if not len(shared):
        same = len(alike(list(network.genes), genes))
        case = f" {same} would match if letter case were ignored: is one human and the other mouse?" if same else ""
        raise InputError(
            f"The data ({examples(genes)}) have none of the network's {len(network.genes)} genes "
            f"({examples(network.genes)}).{case}"
        )
    if len(shared) < len(genes) or len(shared) < len(network.genes):
        logger.info(
            "activity: %d genes, which are in both the data (%d) and the network (%d)",
            len(shared), len(genes), len(network.genes),
        )  # fmt: skip
    return shared


def _within(network: GeneNetwork, genes: pd.Index) -> GeneNetwork:
    """The network with these targets alone; a regulator may be none of the genes of the data."""
    edges = network.edges[network.edges["target"].isin(genes)].reset_index(drop=True)
    kept = network.genes[network.genes.isin(genes) | network.genes.isin(network.regulators)]
    return replace(network, edges=edges, genes=kept)


def _cells(
    groups: pd.Categorical | None, network: GeneNetwork, group: str | None, cells: int
) -> list[tuple[str | None, np.ndarray]]:
    """Each group of the network to score, and a mask of the cells to score it in."""
    if groups is None:
        return [(group, np.ones(cells, dtype=bool))]
    names = [str(name) for name in groups.categories]
    if unknown := [name for name in names if name not in network.groups]:
        raise InputError(
            f"The network has no group {unknown[0]!r} for these cells; it has "
            f"{', '.join(map(repr, network.groups))}.{did_you_mean(unknown[0], network.groups)}"
        )
    return [(name, np.asarray(groups == name)) for name in names]


def _flat(x: Any) -> np.ndarray:
    """Whether a cell (row) has the same value of all genes."""
    high, low = (np.asarray(one.todense() if hasattr(one, "todense") else one).ravel() for one in (x.max(1), x.min(1)))
    return high == low


def _as_decoupler(table: pd.DataFrame, method: str, min_targets: int, genes: int, where: str) -> pd.DataFrame:
    """Regulons as decoupler takes them: source, target and weight, which is 1 where the method uses none."""
    net = pd.DataFrame({"source": table["regulator"], "target": table["target"], "weight": table["weight"]})
    if not METHODS[method] and len(net):
        net["source"], net["weight"] = set_names(table), 1.0
        size = net["source"].map(net["source"].value_counts())
        net = net[size >= min_targets]
    if net.empty:
        raise InputError(
            f"No regulator{where} has {min_targets} targets among the genes of the data, so there is no regulon to "
            "score. Lower min_targets, or keep more edges: larger top or per_target."
        )
    weights = net.groupby("source")["weight"].agg(["size", "nunique"])
    same = weights.index[(weights["size"] == genes) & (weights["nunique"] == 1)]
    if len(same):
        logger.warning("Left out, because all genes of the data are targets of one weight: %s", examples(same))
        net = net[~net["source"].isin(same)]
        if net.empty:
            raise InputError(f"All regulators{where} have all genes of the data as targets of one weight.")
    return net.reset_index(drop=True)


def _run(
    method: Any, net: pd.DataFrame, x: Any, cells: pd.Index, genes: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Scores and adjusted p-values (cells, regulators)."""
    from anndata import AnnData

    data = AnnData(x, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
    # empty=False: decoupler must not drop genes that one group of cells does not express.
    try:
        with unchanged_process():  # decoupler's compiled loops set the number of threads for the whole process
            method(data, net, tmin=1, empty=False, bsize=max(1, _BLOCK_VALUES // len(genes)))
    except (AssertionError, ValueError, np.linalg.LinAlgError) as error:
        raise InputError(
            f"decoupler's {method.name} could not score {net['source'].nunique()} regulons in {len(cells)} cells and "
            f"{len(genes)} genes: {error}. The method ulm takes each regulon by itself."
        ) from error
    return data.obsm[f"score_{method.name}"], data.obsm.get(f"padj_{method.name}")
