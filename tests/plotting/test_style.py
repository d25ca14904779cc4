"""What the figures share: colours that grey tells apart, labels that are cut short; and the check of legibility."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

from grn.plotting.style import CURVES, diverging, elide, fit_title, growing, sequential


def grey(cmap) -> np.ndarray:
    return cmap(np.linspace(0, 1, 21))[:, :3] @ (0.299, 0.587, 0.114)


def test_maps_of_colours_in_grey():
    for cmap in (sequential(), growing(), plt.get_cmap("cividis_r")):
        assert (np.diff(grey(cmap)) < 0.005).all()
        assert np.ptp(grey(cmap)) > 0.5
    both = grey(diverging())
    assert both.argmax() == 10  # white in the middle
    assert np.abs(both - both[::-1]).max() < 0.1  # equally dark at both ends: the sign must be printed


def test_curves_differ_in_colour_and_dash():
    assert len({colour for colour, _ in CURVES}) == len({str(dash) for _, dash in CURVES}) == len(CURVES)


def test_long_names_are_cut_short():
    assert elide("SPI1") == "SPI1"
    assert elide("x" * 28) == "x" * 28
    short = elide("beginning_" + "x" * 50 + "_end", 28)
    assert len(short) == 28
    assert short.startswith("beginning_")
    assert short.endswith("_end")


@pytest.mark.parametrize(("rest", "lines"), [(None, 1), ("x", 1), ("x" * 38, 2), ("x" * 300, 2)])
def test_a_title_fits(rest, lines):
    _, ax = plt.subplots(figsize=(4, 3))
    fit_title(ax, "The 40 strongest of 26,740 a$b$", rest)
    title = ax._left_title
    assert title.get_window_extent().width <= ax.get_window_extent().width
    assert title.get_fontsize() >= 7
    assert len(title.get_text().splitlines()) == lines
    assert title.get_text().startswith("The 40 strongest of 26,740 a$b$")


def test_the_check_of_legibility_finds_faults(legible):
    figure, ax = plt.subplots()
    ax.text(0.5, 0.5, "one")
    legible(figure)
    other = ax.text(0.51, 0.5, "two")
    with pytest.raises(AssertionError, match="one"):
        legible(figure)
    other.set_position((1.3, 0.5))
    with pytest.raises(AssertionError, match="two"):
        legible(figure)
