"""Preprocessing, as in Scanpy: `grn.pp.check` is the gate that every matrix passes before a model sees it."""

from grn.data.check import check

__all__ = ["check"]
