"""Plotting: figures from an AnnData or a network."""

from grn.plotting.network import network

__all__ = ["network"]
