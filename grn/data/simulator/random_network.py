"""A random signed network to plant: master regulators first, few hubs, few regulators per gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Tail exponent of the regulators' attractiveness. At 1.5 the out-degrees spread over two orders of
# magnitude, as in yeast and E. coli, and no regulator reaches every gene.
_HUB_TAIL = 1.5
# A regulator mostly activates or mostly represses: its own leaning outweighs what varies from target to
# target.
_LEANING = 2.0


@dataclass(frozen=True)
class PlantedNetwork:
    """Signed strengths of a network without cycles.

    Regulators are the first rows and the first genes, in an order in which each is regulated by earlier
    ones only.

    Attributes
    ----------
    strength
        ``(regulators, genes)`` float32, units of production rate; positive activates, negative represses, 0
        no edge.
    masters
        The first `masters` regulators are regulated by none.
    """

    strength: np.ndarray
    masters: int

    @property
    def gene_names(self) -> list[str]:
        """TF1, TF2, ... for the regulators, then G1, G2, ... for the other genes."""
        regulators, genes = self.strength.shape
        return [f"TF{i + 1}" for i in range(regulators)] + [f"G{i + 1}" for i in range(genes - regulators)]

    def edges(self) -> pd.DataFrame:
        """The edges as a table: source, target, sign (+1 activates, -1 represses)."""
        import pandas as pd

        names = np.asarray(self.gene_names, dtype=object)
        source, target = np.nonzero(self.strength)
        sign = np.sign(self.strength[source, target]).astype(np.int8)
        return pd.DataFrame({"source": names[source], "target": names[target], "sign": sign})


def random_network(
    rng: np.random.Generator,
    *,
    n_genes: int,
    n_tfs: int,
    n_masters: int,
    mean_regulators: float,
    repression: float,
    strength: tuple[float, float],
) -> PlantedNetwork:
    """Draw a signed network.

    The number of regulators of a gene is geometric and the number of targets of a regulator heavy-tailed,
    as measured in yeast (Guelzim et al. 2002, Nat Genet 31:60). Regulators are drawn without replacement in
    proportion to a Pareto weight each. The share of repressing edges is `repression` exactly (up to
    rounding); they gather on some of the regulators.

    Parameters
    ----------
    rng
        Source of randomness.
    n_genes, n_tfs, n_masters
        Genes, of which regulators, of which regulated by none.
    mean_regulators
        Mean number of regulators of a regulated gene, at least 1. Early regulators have fewer to choose from.
    repression
        Share of edges that repress, 0 to 1.
    strength
        Bounds of the uniform law of the strengths' size.
    """
    tfs, genes = np.arange(n_tfs), np.arange(n_genes)
    allowed = tfs[:, None] < np.minimum(genes, n_tfs)[None, :]
    allowed[:, :n_masters] = False
    wanted = rng.geometric(1.0 / mean_regulators, size=n_genes)

    # The k largest of log weight + Gumbel noise are a draw of k without replacement in proportion to the
    # weights.
    log_weight = np.log1p(rng.pareto(_HUB_TAIL, size=n_tfs))
    score = np.where(allowed, log_weight[:, None] + rng.gumbel(size=(n_tfs, n_genes)), -np.inf)
    rank = np.argsort(np.argsort(-score, axis=0, kind="stable"), axis=0, kind="stable")
    source, target = np.nonzero((rank < wanted[None, :]) & allowed)

    size = rng.uniform(*strength, size=len(source))
    leaning = _LEANING * rng.standard_normal(n_tfs)[source] + rng.standard_normal(len(source))
    repressing = np.argsort(leaning, kind="stable")[: round(repression * len(source))]
    size[repressing] *= -1
    planted = np.zeros((n_tfs, n_genes), dtype=np.float32)
    planted[source, target] = size
    return PlantedNetwork(planted, n_masters)
