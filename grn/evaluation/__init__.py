"""How good a network is: metrics against a reference network, under named conventions."""

from grn.evaluation.candidates import CONVENTIONS, Candidates, candidate_pairs
from grn.evaluation.evaluate import evaluate, evaluate_matrix
from grn.evaluation.reference import clean_reference, read_reference
from grn.evaluation.shortcuts import SHORTCUTS, best_shortcut

__all__ = [
    "CONVENTIONS",
    "SHORTCUTS",
    "Candidates",
    "best_shortcut",
    "candidate_pairs",
    "clean_reference",
    "evaluate",
    "evaluate_matrix",
    "read_reference",
]
