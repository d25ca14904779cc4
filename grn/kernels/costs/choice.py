"""Which form `backend="auto"` takes: the one of least modelled time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from grn.kernels.costs.axes import Options, Pass, Shapes, costs, roofline_seconds
from grn.kernels.costs.devices import Device
from grn.kernels.costs.forms import NO_OPTIONS, flashsign, linear, reference

Form = Literal["linear", "flashsign", "reference"]
FORMS: tuple[Form, ...] = ("linear", "flashsign", "reference")
MATERIALISED = 2**18
"""Scores of a call (1 MB in float32, all batch entries and heads) up to which a processor may write them out.

Kept for the backward pass they need not be computed again; a GPU fuses the streamed form into fewer launches.
"""


@dataclass(frozen=True)
class Choice:
    """The form that `backend="auto"` takes, why, and the modelled seconds of each form that could be taken."""

    form: Form
    reason: str
    estimates: Mapping[Form, float] = field(default_factory=dict)


def kernels_of(
    form: Form, shapes: Shapes, device: Device, options: Options = NO_OPTIONS, *, backward: bool = False
) -> tuple[Pass, ...]:
    """Kernels of a form on a device: forward alone, or forward and backward."""
    if form == "linear":
        return linear(shapes, options) + (linear(shapes, options, backward=True) if backward else ())
    if form == "reference":
        return reference(shapes, options) + (reference(shapes, options, backward=True) if backward else ())
    forward = flashsign(shapes, options)
    # PyTorch operations on a processor run one after another: every score is computed once and nothing is atomic.
    alone = device.overlaps
    return forward + (flashsign(shapes, options, backward=True, deterministic=alone) if backward else ())


def seconds(
    form: Form, shapes: Shapes, device: Device, options: Options = NO_OPTIONS, *, backward: bool = False
) -> float:
    """Modelled seconds of a form on a device."""
    kernels = kernels_of(form, shapes, device, options, backward=backward)
    return roofline_seconds(costs(kernels, device, shapes.element_bytes), device)


@lru_cache(maxsize=1024)
def choose(shapes: Shapes, device: Device, *, dense: bool, backward: bool) -> Choice:
    """Form for `backend="auto"`: the fastest of those that can be taken, by modelled time.

    The scores are written out (`reference`) only where they are few, see `MATERIALISED`.

    Parameters
    ----------
    shapes
        Sizes of the call.
    device
        Figures of the machine, from `grn.kernels.costs.devices.find_device`.
    dense
        Whether there is a dense pair mask, a dense prior or dropout: these do not factorise.
    backward
        Whether gradients will be asked for.
    """
    estimates = {form: seconds(form, shapes, device, backward=backward) for form in FORMS}
    size = f"n={shapes.n}, m={shapes.m}, head_dim={shapes.d}"
    allowed: tuple[Form, ...] = ("flashsign",) if dense else ("linear", "flashsign")
    small = shapes.batch * shapes.heads * shapes.n * shapes.m <= MATERIALISED and not device.overlaps
    if small and all(estimates["reference"] < estimates[form] for form in allowed):
        reason = f"so few scores are written out in {_duration(estimates['reference'])} ({size}, {device.name})"
        return Choice("reference", reason, {form: estimates[form] for form in (*allowed, "reference")})
    if dense:
        reason = (
            f"a dense mask, dense prior or dropout does not factorise; streamed scores take about "
            f"{_duration(estimates['flashsign'])} at {size} on {device.name}"
        )
        return Choice("flashsign", reason, {form: estimates[form] for form in ("flashsign", "reference")})
    form: Form = "linear" if estimates["linear"] <= estimates["flashsign"] else "flashsign"
    other: Form = "flashsign" if form == "linear" else "linear"
    reason = (
        f"{form} is modelled at {_duration(estimates[form])}, {other} at {_duration(estimates[other])} "
        f"({size}, {'forward and backward' if backward else 'forward'}, {device.name})"
    )
    return Choice(form, reason, estimates)


def break_even(device: Device, d: int, *, backward: bool, element_bytes: int = 2, heads: int = 1) -> int:
    """Smallest number of genes (n = m, dv = d) from which the linear form is chosen for good."""
    low, high = 1, 2**20
    while low < high:
        n = (low + high) // 2
        shapes = Shapes(1, heads, heads, n, n, d, d, element_bytes)
        if choose(shapes, device, dense=False, backward=backward).form == "linear":
            high = n
        else:
            low = n + 1
    return low


def explain(device: Device, note: str, *, d: int = 64) -> str:
    """One sentence for `grn doctor`: which form long sequences take on `device`, from which length, and the gain."""
    width = 2 if device.overlaps else 4
    large = Shapes(1, 8, 8, 20000, 20000, d, d, width)
    found = choose(large, device, dense=False, backward=True)
    start = break_even(device, d, backward=True, element_bytes=width, heads=8)
    gain = found.estimates["flashsign"] / found.estimates["linear"]
    return (
        f"exact linear form from about {start} genes on, streamed quadratic form below and with dense masks or "
        f"dropout; at 20000 genes, 8 heads of {d}: {_duration(found.estimates['linear'])}, {gain:.0f} times less than "
        f"quadratic (modelled for {device.name}, {note})"
    )


def _duration(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
