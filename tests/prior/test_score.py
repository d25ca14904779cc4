"""The formulas against themselves written out, entry by entry."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from grn.prior import clean_prior, evidence, family, with_prior

GENES = pd.Index(["A", "B", "C", "D", "E", "F", "H"])
REGULATORS = np.array([0, 2, 3, 5])
# Doubled rows, a weight, self-edges, targets and sources outside the data, both signs for one edge.
TABLE = clean_prior(
    pd.DataFrame(
        [
            *[
                ("A", "B", 1, 1),
                ("A", "B", 1, 1),
                ("A", "C", -1, 1),
                ("A", "X", 1, 1),
                ("A", "Y", 0, 1),
                ("A", "A", 1, 1),
            ],
            *[("C", "B", 1, 0.5), ("C", "E", 1, 1), ("C", "E", -1, 1), ("C", "X", 1, 1), ("C", "Z", 1, 1)],
            *[("D", "E", -1, 9), ("D", "Y", 1, 1), ("D", "H", 0, 1), ("Q", "B", 1, 1), ("F", "Z", 1, 1)],
        ],
        columns=["source", "target", "sign", "weight"],
    )
)


def naive() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P, its signs and T (0 for regulators without known edges), by loops."""
    P, signs = np.zeros((4, 7)), np.zeros((4, 7))
    targets: list[set[str]] = [set() for _ in REGULATORS]
    for j, regulator in enumerate(GENES[REGULATORS]):
        for i, gene in enumerate(GENES):
            rows = TABLE[(TABLE["source"] == regulator) & (TABLE["target"] == gene)]
            if regulator != gene and len(rows):
                P[j, i] = min(2.0, math.log2(1 + rows["weight"].sum()))
                signs[j, i] = np.sign((rows["weight"] * rows["sign"]).sum())
        targets[j] = set(TABLE[TABLE["source"] == regulator]["target"]) - {regulator}
    T = np.zeros((4, 7))
    for j in range(4):
        for i in range(7):
            for other in range(4):
                if other != j and P[other, i] > 0:
                    cosine = len(targets[j] & targets[other]) / math.sqrt(len(targets[j]) * len(targets[other]))
                    T[j, i] += cosine / math.sqrt((P[other] > 0).sum() * (P[:, i] > 0).sum())
    known = [j for j in range(4) if P[j].any()]
    mean, rows_mean, columns_mean = T[known].mean(), T.mean(1), T[known].mean(0)
    for j in range(4):
        T[j] = T[j] - rows_mean[j] - columns_mean + mean if j in known else 0.0
        if j in known:
            T[j] *= len(targets[j]) / (len(targets[j]) + 10) / T[j].std()
    return P, signs, T


def test_evidence_and_family_are_what_they_say() -> None:
    found = evidence(TABLE, GENES, REGULATORS)
    P, signs, T = naive()
    np.testing.assert_allclose(found.known.toarray(), P)
    np.testing.assert_allclose(found.sign.toarray(), signs)
    assert found.edges == np.count_nonzero(P)
    assert found.rows.tolist() == [0, 1, 2]
    assert found.folded == 0
    np.testing.assert_allclose(family(found), T[found.rows], atol=1e-10)


def test_the_score_is_what_it_says() -> None:
    P, signs, T = naive()
    E = np.random.default_rng(0).normal(size=(4, 7)) * 3
    E[np.arange(4), REGULATORS] = 0
    for strength in (0.3, 1.0, 4.0):
        found = with_prior(E, evidence(TABLE, GENES, REGULATORS), strength)
        size = math.sqrt((E**2).mean())
        for j in range(4):
            for i in range(7):
                score = abs(E[j, i]) / size + strength * (3 * P[j, i] + 0.25 * T[j, i])
                sign = -1 if E[j, i] / size + strength * 3 * P[j, i] * signs[j, i] < 0 else 1
                expected = 0.0 if i == REGULATORS[j] else sign * max(score, 0.0) * size
                assert found[j, i] == pytest.approx(expected, abs=1e-9)


def test_strength_zero_and_regulators_without_knowledge_keep_every_bit() -> None:
    E = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    found = evidence(TABLE, GENES, REGULATORS)
    assert with_prior(E, found, 0.0) is E
    combined = with_prior(E, found, 1.0)
    assert combined.dtype == E.dtype
    np.testing.assert_array_equal(combined[3], E[3])
    assert (combined[:3] != E[:3]).any()
    zero = np.zeros_like(E)
    assert with_prior(zero, found, 1.0) is zero


def test_a_known_sign_turns_a_weak_weight_and_not_a_strong_one() -> None:
    table = clean_prior(pd.DataFrame({"tf": ["A", "A"], "target": ["B", "C"], "mor": [-1, -1]}))
    E = np.zeros((4, 7))
    E[0, 1], E[0, 2], E[1, 0] = 0.1, 10.0, 5.0
    combined = with_prior(E, evidence(table, GENES, REGULATORS), 1.0)
    assert combined[0, 1] < 0 < combined[0, 2]
    unsigned = with_prior(E, evidence(table, GENES, REGULATORS), 1.0, signed=False)
    assert (unsigned >= 0).all()
    np.testing.assert_allclose(unsigned, np.abs(combined))


def test_letter_case_matters_only_where_it_must() -> None:
    genes = pd.Index(["Gata1", "GATA1", "Spi1", "Cd14"])
    table = clean_prior(pd.DataFrame({"tf": ["GATA1", "SPI1"], "target": ["Gata1", "CD14"]}))
    found = evidence(table, genes, np.array([0, 1, 2]))
    expected = np.zeros((3, 4))
    expected[1, 0] = expected[2, 3] = 1.0
    np.testing.assert_array_equal(found.known.toarray(), expected)
    assert found.folded == 1
    # Of two genes that differ in case alone, neither is taken by ignoring it.
    assert evidence(table.assign(source="gata1"), genes, np.array([0, 1, 2])).edges == 0
