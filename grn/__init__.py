"""Signed gene regulatory networks from single-cell expression by spherical attention.

The public names are imported when they are first used: `import grn` alone loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grn import datasets, get, pl, pp, tl
    from grn.network import GeneNetwork

    __version__: str

_MODULES = ("datasets", "get", "pl", "pp", "tl")

__all__ = ["GeneNetwork", "__version__", "datasets", "get", "pl", "pp", "tl"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"grn.{name}")
    if name == "GeneNetwork":
        value = import_module("grn.network").GeneNetwork
    elif name == "__version__":
        value = import_module("importlib.metadata").version("grn")
    else:
        raise AttributeError(f"module 'grn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
