"""What a user does with a network: regulons and their activity, central genes, comparisons (docs/analysis.md)."""

from grn.analysis.activity import Activity, activity
from grn.analysis.centrality import centrality
from grn.analysis.compare import Comparison, compare
from grn.analysis.differential import differential
from grn.analysis.perturbation import Perturbation, perturb
from grn.analysis.regulons import regulon_sets, regulons
from grn.analysis.strengths import strengths

__all__ = [
    "Activity",
    "Comparison",
    "Perturbation",
    "activity",
    "centrality",
    "compare",
    "differential",
    "perturb",
    "regulon_sets",
    "regulons",
    "strengths",
]
