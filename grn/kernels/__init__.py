"""Spherical attention. Needs torch alone (and runs Triton kernels where they apply); imports nothing else of grn."""

from grn.kernels.attention import spherical_attention
from grn.kernels.dispatch import Backend, explain_backend
from grn.kernels.maps import AttentionMaps, attention_maps
from grn.kernels.summaries import Strengths, attention_strengths, network_similarity

__all__ = [
    "AttentionMaps",
    "Backend",
    "Strengths",
    "attention_maps",
    "attention_strengths",
    "explain_backend",
    "network_similarity",
    "spherical_attention",
]
