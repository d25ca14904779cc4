"""Types and ranges of the simulator's parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np

from grn._errors import InputError


def check_parameters(values: dict) -> None:
    """Raise TypeError or InputError unless `values`, by name, can be simulated."""
    for name in ("n_cells", "n_genes", "n_tfs", "n_masters", "n_cell_types", "seed"):
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, not {value!r}.")
        smallest = 0 if name == "seed" else 1
        if value < smallest:
            raise InputError(f"{name}={value}: must be at least {smallest}.")
    if values["n_tfs"] > values["n_genes"]:
        raise InputError(f"n_tfs={values['n_tfs']} regulators do not fit among n_genes={values['n_genes']} genes.")
    if values["n_masters"] > values["n_tfs"]:
        raise InputError(
            f"n_masters={values['n_masters']}: masters are regulators, and there are n_tfs={values['n_tfs']}."
        )
    if values["n_masters"] == values["n_genes"]:
        raise InputError("every gene is a master regulator, so there is no edge; raise n_genes or lower n_masters.")
    _real("mean_regulators", values["mean_regulators"], 1)
    _real("repression", values["repression"], 0, 1)
    _real("hill", values["hill"], 0, open_low=True)
    _real("intrinsic_noise", values["intrinsic_noise"], 0)
    _real("library_size", values["library_size"], 0, open_low=True)
    _real("library_spread", values["library_spread"], 0)
    _real("dropout", values["dropout"], 0, 1, open_high=True)
    _real("outliers", values["outliers"], 0, 1)
    strength = values["strength"]
    if isinstance(strength, str) or not isinstance(strength, Sequence) or len(strength) != 2:
        raise TypeError(f"strength must be two numbers, the smallest and the largest, not {strength!r}.")
    _real("strength[0]", strength[0], 0, open_low=True)
    _real("strength[1]", strength[1], strength[0])
    knockdowns, residual = values["knockdowns"], values["knockdown_residual"]
    if isinstance(knockdowns, (str, bool)) or not isinstance(knockdowns, (Sequence, int, np.integer, type(None))):
        raise TypeError(f"knockdowns must be a list of regulators, a number or None, not {knockdowns!r}.")
    if residual is not None:
        if knockdowns is None:
            raise InputError(f"knockdown_residual={residual} has no effect without knockdowns; give knockdowns too.")
        _real("knockdown_residual", residual, 0, 1, open_high=True)


def _real(
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {value!r}.")
    number = float(value)
    below = number <= low if open_low else number < low
    above = number >= high if open_high else number > high
    if below or above or not math.isfinite(number):
        lower = f"above {low:g}" if open_low else f"at least {low:g}"
        upper = "" if math.isinf(high) else f" and {'below' if open_high else 'at most'} {high:g}"
        raise InputError(f"{name}={value}: must be {lower}{upper}.")
