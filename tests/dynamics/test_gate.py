"""The gate opens for a course in time that is there, and closes for each of its reasons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from grn.dynamics import judge
from grn.dynamics.dynamics import standardise
from grn.dynamics.gate import richness, spearman_brown
from grn.dynamics.head import Pairs

MEASURED = {"gain", "gain_permuted", "gain_permuted_largest", "reliability", "richness"}


def test_it_opens_for_a_linear_system(system: Callable) -> None:
    one = system(600)
    gate = judge(standardise(one.x), [one.time], one.regulators, seed=0)
    assert gate.open
    assert gate.facts["cells"] == [600]
    assert gate.facts["gain"] > 0.5 > gate.facts["gain_permuted_largest"]
    assert gate.facts["reliability"] > 0.95
    assert set(gate.facts) == {"cells", "distinct_times", *MEASURED}
    assert "reliability" in gate.reason
    assert "\n" not in gate.reason


def test_it_does_not_see_that_time_runs_backwards(system: Callable) -> None:
    one = system(600)
    assert judge(standardise(one.x), [-one.time], one.regulators, seed=0).open


@pytest.mark.parametrize("seed", [0, 1])
def test_it_closes_on_shuffled_time(system: Callable, seed: int) -> None:
    one = system(600)
    shuffled = np.random.default_rng(seed).permutation(one.time)
    gate = judge(standardise(one.x), [shuffled], one.regulators, seed=0)
    assert not gate.open
    assert "not found again in other cells" in gate.reason


def test_it_closes_on_few_cells(system: Callable) -> None:
    one = system(99)
    gate = judge(standardise(one.x), [one.time], one.regulators, seed=0)
    assert not gate.open
    assert gate.reason == "the largest trajectory has 99 cells, and at least 100 are needed"
    assert set(gate.facts) == {"cells", "distinct_times"}


def test_it_closes_on_few_distinct_times(system: Callable) -> None:
    one = system(600)
    gate = judge(standardise(one.x), [one.time.round()], one.regulators, seed=0)
    assert not gate.open
    assert gate.reason == "a trajectory has 7 distinct times, and at least 20 are needed"


def test_it_closes_where_all_genes_follow_one_course(system: Callable) -> None:
    one = system(600)
    common = np.sin(one.time)[:, None] + 0.05 * np.random.default_rng(0).normal(size=one.x.shape)
    gate = judge(standardise(common), [one.time], one.regulators, seed=0)
    assert not gate.open
    assert "are too alike to tell apart (richness" in gate.reason


def test_it_never_opens_for_more_regulators_than_the_penalty_tells_apart() -> None:
    z, regulators = np.random.default_rng(0).normal(size=(150, 170)), np.arange(167)
    orthogonal = np.linalg.qr(np.random.default_rng(1).normal(size=(400, 167)))[0]
    assert richness(Pairs(orthogonal, orthogonal), regulators) < 0.2
    gate = judge(z, [np.arange(150.0)], regulators, seed=0)
    assert "with more than 166 regulators it is never reached" in gate.reason


def test_the_seed_decides_the_halvings(system: Callable) -> None:
    one = system(300)
    z = standardise(one.x)
    first, again, other = (judge(z, [one.time], one.regulators, seed=seed).facts for seed in (0, 0, 1))
    assert first == again
    assert first["gain"] != other["gain"]


def test_spearman_brown() -> None:
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(1.0) == 1.0
    assert spearman_brown(-0.3) == 0.0


def test_richness_is_between_one_course_and_many() -> None:
    generator, regulators = np.random.default_rng(0), np.arange(4)
    course = np.outer(generator.normal(size=50), [1.0, 1.0, -1.0, 1.0])
    courses = np.linalg.qr(generator.normal(size=(50, 4)))[0]
    eigenvalue = 0.25  # of each of four courses of one size, with a penalty of 3 % of their sum
    assert richness(Pairs(courses, courses), regulators) == pytest.approx(eigenvalue / (eigenvalue + 0.03))
    assert richness(Pairs(course, course), regulators) == pytest.approx(0.25 / 1.03)
