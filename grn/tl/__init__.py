"""Tools on an AnnData in memory: inference, and what is asked of a network afterwards."""

from grn.tl._activity import activity
from grn.tl._confidence import confidence
from grn.tl._differential import differential
from grn.tl._infer import METHODS, infer
from grn.tl._perturb import perturb
from grn.tl._strengths import strengths

__all__ = ["METHODS", "activity", "confidence", "differential", "infer", "perturb", "strengths"]
