"""What travels with a network in every file that can hold it: convention, version, params."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

CONVENTION = "edges go source (regulator) -> target; weight > 0 is activation, weight < 0 repression"


def version() -> str:
    """Version of the package that writes."""
    from grn import __version__

    return __version__


def dump_params(params: dict[str, Any]) -> str:
    """`params` as JSON; numpy values become plain ones and paths become text.

    Raises
    ------
    TypeError
        If a value has no form in JSON.
    """
    return json.dumps(params, default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(
        f"params holds a {type(value).__name__}, which cannot be written; use numbers, text, lists and dicts."
    )
