"""Plotting: figures from an AnnData, a network or a table. docs/plots.md shows each."""

from grn.plotting.activity import activity
from grn.plotting.confidence import confidence
from grn.plotting.differential import differential
from grn.plotting.heatmap import heatmap
from grn.plotting.network import network
from grn.plotting.precision_recall import precision_recall
from grn.plotting.regulators import regulators
from grn.plotting.report import report
from grn.plotting.training import training

__all__ = [
    "activity",
    "confidence",
    "differential",
    "heatmap",
    "network",
    "precision_recall",
    "regulators",
    "report",
    "training",
]
