"""Figures of networks; the functions of `grn.pl` live here. Matplotlib is imported when a figure is drawn."""

from grn.plotting.benchmark import benchmark
from grn.plotting.network import network
from grn.plotting.save import save

__all__ = ["benchmark", "network", "save"]
