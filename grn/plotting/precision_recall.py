"""The figure of networks against a reference: precision by recall, with chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._log import logger
from grn.evaluation import metrics
from grn.evaluation.candidates import candidate_pairs
from grn.evaluation.evaluate import clean_truth, true_pairs
from grn.network.network import GeneNetwork
from grn.plotting.inputs import drawable
from grn.plotting.style import CURVES, INK, elide, new_axes, tidy

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

CHANCE = (0, (1, 4))  # sparser dots than any curve's


def precision_recall(
    networks: AnnData | GeneNetwork | pd.DataFrame | Mapping[str, AnnData | GeneNetwork | pd.DataFrame],
    reference: pd.DataFrame | str | Path,
    *,
    key: str = "grn",
    candidates: str = "all_genes",
    genes: Iterable[str] | None = None,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw precision against recall of one or several networks.

    Candidates are ranked by |weight| as in :func:`grn.evaluation.evaluate`; those of equal weight are one step. The
    area under the drawn steps is the AUPRC of the legend, the same as `evaluate`'s. The dotted line is chance: the
    share of true edges among the candidates. Where networks differ in their genes, and so in their candidates, each
    has a line of chance in its own colour; give `genes` to compare them on the same ones.

    Parameters
    ----------
    networks
        A network, an AnnData with one, or a table of edges; or a mapping from names to such, at most eight.
    reference
        Table with `source` and `target`, or the path of one; see :func:`grn.evaluation.read_reference`.
    key
        Where the network of an AnnData is.
    candidates
        "all_genes" or "reference_genes"; see :func:`grn.evaluation.evaluate`.
    genes
        All genes of the data. By default those of each network.
    group
        The group of cells; without it a network with groups is evaluated as the mean over groups.
    ax
        Where to draw; by default a new figure of 6 inches width.

    Returns
    -------
    Axes
        One line of steps per network.

    Raises
    ------
    InputError
        If a network has no edges, reference and genes have nothing in common, or there are no or too many networks.

    Examples
    --------
    >>> import pandas as pd, grn
    >>> edges = pd.DataFrame({"source": ["A", "A"], "target": ["B", "C"], "weight": [0.9, -0.1]})
    >>> truth = pd.DataFrame({"source": ["A"], "target": ["B"]})
    >>> ax = grn.pl.precision_recall({"mine": grn.GeneNetwork.from_edges(edges)}, truth)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mine: AUPRC 1.000 (2.0 x chance)', 'chance 0.500']
    """
    named = dict(networks) if isinstance(networks, Mapping) else {"network": networks}
    if not named:
        raise InputError("No network was given, so there is nothing to draw.")
    if len(named) > len(CURVES):
        raise InputError(f"{len(named)} networks: expected at most {len(CURVES)}, more curves cannot be told apart.")
    truth = clean_truth(reference)
    everything = None if genes is None else pd.Index(list(genes), dtype=object).unique()
    rows = [
        (str(name), *_ranked(truth, _network(value, key, group), everything, candidates))
        for name, value in named.items()
    ]
    ax = new_axes(6.0, 4.4 + 0.2 * len(rows)) if ax is None else ax
    densities = [float(true.mean()) for _, true, _ in rows]
    together = max(densities) - min(densities) < 1e-12
    if not together:
        logger.info("The networks differ in their candidates, so their chance differs; genes= makes them the same")
    shown: list[Line2D] = []
    for (name, true, strength), density, (colour, dashes) in zip(rows, densities, CURVES, strict=False):
        auprc = metrics.average_precision(true, strength)
        words = f"AUPRC {auprc:.3f} ({auprc / density:.1f} x chance)"
        label = f"{elide(name, 40)}: {words}" if isinstance(networks, Mapping) else words
        style: dict[str, Any] = {"drawstyle": "steps-pre", "color": colour, "linestyle": dashes, "linewidth": 1.8}
        shown += ax.plot(*_steps(true, strength), label=label, **style)
        if not together:
            ax.axhline(density, color=colour, linewidth=1.0, linestyle=CHANCE)
    if together:
        chance = ax.axhline(
            densities[0], color=INK, linewidth=1.2, linestyle=CHANCE, label=f"chance {densities[0]:.3f}"
        )
    else:
        (chance,) = ax.plot([], [], color=INK, linewidth=1.2, linestyle=CHANCE, label="chance of each network")
    shown.append(chance)
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02))
    ax.set_xlabel("recall", fontsize=10)
    ax.set_ylabel("precision", fontsize=10)
    tidy(ax, grid="both")
    # Above the axes: within them there is no place that is free for every curve. Given one by one, because matplotlib
    # would leave out names that begin with an underscore.
    legend = ax.legend(
        handles=shown,
        labels=[str(line.get_label()) for line in shown],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        frameon=False,
        fontsize=9,
        handlelength=3.2,
        borderaxespad=0.3,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return ax


def _network(value: Any, key: str, group: str | None) -> GeneNetwork:
    network = GeneNetwork.from_edges(value) if isinstance(value, pd.DataFrame) else value
    return drawable(network, key, group)


def _ranked(
    truth: pd.DataFrame, network: GeneNetwork, genes: pd.Index | None, candidates: str
) -> tuple[np.ndarray, np.ndarray]:
    """Truth and |weight| of all candidates, `(candidates,)` each."""
    names = network.genes if genes is None else genes
    pairs = candidate_pairs(truth, names, candidates)
    true = true_pairs(truth, pairs, len(names))
    return true[pairs.mask], np.abs(pairs.lookup(network.edges, "weight"))[pairs.mask]


def _steps(true: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall, growing from 0, and the precision that holds up to it: one step per distinct weight that gains any."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(true, strength)
    precision, recall = precision[::-1], recall[::-1]  # scikit-learn goes from the smallest weight to the largest
    gains = np.diff(recall, prepend=0.0) > 0
    precision, recall = precision[gains], recall[gains]
    return np.r_[0.0, recall], np.r_[precision[0], precision]
