"""Expression to score: without any structure to rely on, and with a planted one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest


class Expression(NamedTuple):
    """Expression (cells, genes), positions of the regulators, and the true effects (regulators, genes)."""

    x: np.ndarray
    regulators: np.ndarray
    truth: np.ndarray


@pytest.fixture(scope="session")
def expression() -> Expression:
    """Sixty cells of twelve correlated genes with many zeros; gene 5 never varies, regulators stand anywhere."""
    random = np.random.default_rng(0)
    x = np.maximum(random.normal(size=(60, 12)) @ random.normal(size=(12, 12)), 0.0)
    x[:, 5] = 1.5
    regulators = np.array([1, 4, 5, 9])
    return Expression(x, regulators, np.zeros((4, 12)))


@pytest.fixture(scope="session")
def planted() -> Expression:
    """Each of fifteen targets follows two of five independent regulators, with a little noise."""
    random = np.random.default_rng(1)
    regulators = np.array([2, 5, 11, 14, 19])
    x = random.normal(size=(250, 20))
    truth = np.zeros((5, 20))
    for target in np.setdiff1d(np.arange(20), regulators):
        chosen = random.choice(5, 2, replace=False)
        truth[chosen, target] = random.choice([-1.0, 1.0], 2)
        x[:, target] = x[:, regulators] @ truth[:, target] + 0.3 * x[:, target]
    return Expression(x, regulators, truth)
