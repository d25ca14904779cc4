import pandas as pd
import pytest

from grn._errors import InputError
from grn.evaluation import CONVENTIONS, candidate_pairs

REFERENCE = pd.DataFrame({"source": ["A", "A", "B", "X"], "target": ["B", "C", "C", "A"]})
GENES = pd.Index(["A", "B", "C", "D", "E"])


def pairs(convention):
    found = candidate_pairs(REFERENCE, GENES, convention)
    rows, columns = found.mask.nonzero()
    return {(found.regulators[r], found.targets[c]) for r, c in zip(rows, columns, strict=True)}


def test_all_genes():
    assert pairs("all_genes") == {(r, g) for r in "AB" for g in "ABCDE" if r != g}


def test_reference_genes():
    assert pairs("reference_genes") == {(r, g) for r in "AB" for g in "ABC" if r != g}


def test_lookup():
    found = candidate_pairs(REFERENCE, GENES)
    values = found.lookup(REFERENCE.assign(value=[1, 2, 3, 4]), "value")
    assert values.tolist() == [[0, 1, 2, 0, 0], [0, 0, 3, 0, 0]]


def test_unknown_convention():
    with pytest.raises(InputError, match=r"'all_genes': the reference's.*Did you mean 'all_genes'"):
        candidate_pairs(REFERENCE, GENES, "allgenes")
    assert set(CONVENTIONS) == {"all_genes", "reference_genes"}


@pytest.mark.parametrize(
    ("genes", "hint"),
    [
        (["a", "b", "c"], "2 would match if letter case were ignored"),
        (["ENSG00000136997", "ENSG00000134954"], "Ensembl identifiers"),
        (["K", "L"], "None of the reference's 3 regulators"),
    ],
)
def test_no_regulator_in_the_data(genes, hint):
    with pytest.raises(InputError, match=hint):
        candidate_pairs(REFERENCE, pd.Index(genes))
