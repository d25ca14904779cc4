"""What each form of the attention costs, as arithmetic on shapes: no tensor is touched.

The derivation follows Abbott & Zardini 2024 (arXiv 2412.03317): `axes` is the accounting, `forms` holds each form's
grouped and streamed axes, `devices` the machines, `choice` what `backend="auto"` takes, `tiles` the ranking of tile
configurations. docs/kernels.md works it out.
"""

from grn.kernels.costs.axes import Cost, Options, Shapes, costs, footprint, roofline_seconds, total
from grn.kernels.costs.choice import Choice, break_even, choose, explain, kernels_of, seconds
from grn.kernels.costs.devices import Device, find_device
from grn.kernels.costs.forms import flashsign, linear, maps, reference
from grn.kernels.costs.tiles import prune_tiles

__all__ = [
    "Choice",
    "Cost",
    "Device",
    "Options",
    "Shapes",
    "break_even",
    "choose",
    "costs",
    "explain",
    "find_device",
    "flashsign",
    "footprint",
    "kernels_of",
    "linear",
    "maps",
    "prune_tiles",
    "reference",
    "roofline_seconds",
    "seconds",
    "total",
]
