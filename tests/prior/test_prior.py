"""A prior on networks: what it gives, says and refuses."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from grn._errors import InputError
from grn.prior import Prior, clean_prior, evidence, with_prior


def test_the_prior_helps_and_so_does_the_expression(planted) -> None:
    combined, facts = Prior(planted.table, "test").apply(planted.weights, planted.genes, planted.regulators)
    found = evidence(planted.table, planted.genes, planted.regulators)

    def score(weights: np.ndarray) -> float:
        return average_precision_score(planted.truth.ravel() != 0, np.abs(weights).ravel())

    assert score(combined) > 1.2 * max(score(planted.weights), score(found.known.toarray()))
    assert facts["edges"] == found.edges == len(planted.table)
    assert facts["tfs"] == 30
    np.testing.assert_array_equal(combined, with_prior(planted.weights, found, facts["strength"]))


def test_a_number_is_taken_as_it_is_and_zero_changes_nothing(planted) -> None:
    def applied(strength: float) -> tuple[np.ndarray, dict]:
        return Prior(planted.table, "test", strength).apply(planted.weights, planted.genes, planted.regulators)

    assert applied(0)[0] is planted.weights
    weights, facts = applied(0.4)
    assert facts["strength"] == facts["setting"] == 0.4
    assert facts["z"] > 2
    assert (weights != planted.weights).any()


def test_each_group_is_judged_by_its_own_agreement(planted, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(3).normal(size=planted.weights.shape)
    prior = Prior(planted.table, "test")
    with caplog.at_level(logging.INFO, "grn"):
        combined, facts = prior.apply({"a": planted.weights, "b": noise}, planted.genes, planted.regulators)
    assert facts["strength"]["a"] > 0.5
    assert facts["strength"]["b"] == 0
    assert combined["b"] is noise
    alone = prior.apply(planted.weights, planted.genes, planted.regulators)[0]
    np.testing.assert_array_equal(combined["a"], alone)
    assert "in b agreement with expression z =" in caplog.text
    assert "the prior changes nothing in b" in caplog.text


def test_one_line_says_what_happened(planted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "grn"):
        Prior(planted.table, "test").apply(planted.weights, planted.genes, planted.regulators)
        Prior(planted.shuffled(0), "test").apply(planted.weights, planted.genes, planted.regulators)
        lower = planted.table.assign(source=planted.table["source"].str.lower())
        Prior(lower, "test").apply(planted.weights, planted.genes, planted.regulators)
    used, closed, folded = caplog.messages
    assert used.startswith(
        f"prior: {len(planted.table)} edges of 30 TFs among the genes; agreement with expression z ="
    )
    assert "changes nothing" not in used
    assert "no agreement beyond chance, so the prior changes nothing (prior.strength=1 would)" in closed
    assert f"({len(lower)} rows of its table by ignoring letter case)" in folded


def test_a_table_of_other_names_is_refused(planted) -> None:
    table = clean_prior(pd.DataFrame({"tf": ["G-1", "ENSG2"], "target": ["G5", "ENSG9"]}))
    with pytest.raises(InputError, match="no edge from a regulator to another gene") as caught:
        Prior(table, "mine.csv").on(planted.genes, planted.regulators)
    text = str(caught.value)
    assert "(mine.csv)" in text
    assert "of its 2 sources 0 are regulators here and 0 are genes; of its 2 targets 1 are genes" in text
    assert "look like G-1, ENSG2, the regulators like G0, G1, G2" in text
    assert "Did you mean 'G1'" in text


def test_genes_that_are_no_regulators_are_named_as_such(planted) -> None:
    table = clean_prior(pd.DataFrame({"tf": ["G140"], "target": ["G5"]}))
    with pytest.raises(InputError, match=r"0 are regulators here and 1 are genes.*tf=\.\.\."):
        Prior(table, "mine.csv").on(planted.genes, planted.regulators)
