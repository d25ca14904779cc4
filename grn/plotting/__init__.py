"""Figures of networks; the functions of `grn.pl` live here. Matplotlib is imported when a figure is drawn."""

from grn.plotting.activity import activity
from grn.plotting.benchmark import benchmark
from grn.plotting.confidence import confidence
from grn.plotting.differential import differential
from grn.plotting.heatmap import heatmap
from grn.plotting.network import network
from grn.plotting.precision_recall import precision_recall
from grn.plotting.regulators import regulators
from grn.plotting.report import report, write_report
from grn.plotting.save import save
from grn.plotting.training import training

__all__ = [
    "activity",
    "benchmark",
    "confidence",
    "differential",
    "heatmap",
    "network",
    "precision_recall",
    "regulators",
    "report",
    "save",
    "training",
    "write_report",
]
