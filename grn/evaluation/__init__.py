"""How good a network is: metrics against a reference network, under named conventions."""

from grn.evaluation.candidates import CONVENTIONS, Candidates, candidate_pairs
from grn.evaluation.evaluate import evaluate
from grn.evaluation.reference import clean_reference, read_reference

__all__ = ["CONVENTIONS", "Candidates", "candidate_pairs", "clean_reference", "evaluate", "read_reference"]
