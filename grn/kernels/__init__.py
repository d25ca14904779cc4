"""Spherical attention. Needs torch alone and imports nothing else of grn."""

from grn.kernels.attention import Backend, explain_backend, spherical_attention
from grn.kernels.maps import attention_maps

__all__ = ["Backend", "attention_maps", "explain_backend", "spherical_attention"]
