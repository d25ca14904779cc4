"""nn.Modules on tensors: the regulatory model, its closed form, the gene-token transformer. Needs torch alone."""

from grn.models.closed_form import Moments, NoiseChoice, RidgePath, choose_noise, effect
from grn.models.regulatory import RegulatoryModel
from grn.models.transformer import GeneTransformer

__all__ = [
    "GeneTransformer",
    "Moments",
    "NoiseChoice",
    "RegulatoryModel",
    "RidgePath",
    "choose_noise",
    "effect",
]
