"""Spherical attention. Needs torch alone (and runs Triton kernels where they apply); imports nothing else of grn."""

from grn.kernels.attention import spherical_attention
from grn.kernels.dispatch import Backend, explain_backend
from grn.kernels.maps import attention_maps

__all__ = ["Backend", "attention_maps", "explain_backend", "spherical_attention"]
