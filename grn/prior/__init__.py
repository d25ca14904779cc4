"""Prior knowledge: known regulons, brought into a network as far as the expression agrees with them (docs/prior.md)."""

from grn.prior.agreement import agreement, gate
from grn.prior.prior import Prior
from grn.prior.score import Evidence, evidence, family, with_prior
from grn.prior.sources import SOURCES, load_prior
from grn.prior.table import clean_prior, read_prior

__all__ = [
    "SOURCES",
    "Evidence",
    "Prior",
    "agreement",
    "clean_prior",
    "evidence",
    "family",
    "gate",
    "load_prior",
    "read_prior",
    "with_prior",
]
