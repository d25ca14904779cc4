"""Expression data in: reading, checking, normalising, TF lists, batches; bundled sets and a simulator.

Names are imported when used, so that `import grn.data` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOME = {
    "CheckedData": "check",
    "ExpressionDataModule": "module",
    "GateReport": "report",
    "TFSelection": "tfs",
    "beeline": "beeline",
    "check": "check",
    "identify": "identifiers",
    "read_expression": "readers",
    "resolve_tfs": "tfs",
    "simulate": "simulator.simulate",
    "tf_list": "tfs",
}

if TYPE_CHECKING:
    from grn.data.beeline import beeline
    from grn.data.check import CheckedData, check
    from grn.data.identifiers import identify
    from grn.data.module import ExpressionDataModule
    from grn.data.readers import read_expression
    from grn.data.report import GateReport
    from grn.data.simulator.simulate import simulate
    from grn.data.tfs import TFSelection, resolve_tfs, tf_list

__all__ = [
    "CheckedData",
    "ExpressionDataModule",
    "GateReport",
    "TFSelection",
    "beeline",
    "check",
    "identify",
    "read_expression",
    "resolve_tfs",
    "simulate",
    "tf_list",
]


class _Package(ModuleType):
    """The package: `check`, `simulate` and `beeline` are functions in it, whatever is imported first.

    Importing the file check.py sets the attribute `check` of the package to that module, which would hide the
    function of the same name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOME:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'grn.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"grn.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
