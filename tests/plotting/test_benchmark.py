"""The figure of a benchmark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from grn._errors import InputError
from grn.plotting import benchmark
from grn.plotting.benchmark import INK, OTHERS, OURS, SHORTCUT


@pytest.fixture
def families() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "family": ["a", "a", "b", "b", "b"],
            "method": ["regulatory", "ridge", "regulatory", "ridge", "file"],
            "auprc_ratio": [4.0, 2.0, 0.8, 1.2, 1.1],
            "shortcut_ratio": [1.5, 1.5, 1.7, 1.7, 9.0],
            "pairs": [3, 3, 2, 2, 1],
        }
    )


def test_every_value_stands_in_its_panel_and_row(families: pd.DataFrame) -> None:
    first = benchmark(families, {"a": "simulated", "b": "real"})
    panels = first.get_figure(root=True).axes  # type: ignore[union-attr]
    assert [ax.get_title() for ax in panels] == ["simulated (3 pairs)", "real (2 pairs)"]
    rows = [label.get_text() for label in first.get_yticklabels()]
    for ax, family in zip(panels, ("a", "b"), strict=True):
        chosen = families[families["family"] == family].set_index("method")["auprc_ratio"]
        dots = [line for line in ax.lines if line.get_marker() in ("o", "D")]
        drawn = {rows[round(float(dot.get_ydata()[0]))]: float(dot.get_xdata()[0]) for dot in dots}
        assert drawn == chosen.to_dict()
        assert {rows[round(float(dot.get_ydata()[0]))] for dot in dots if dot.get_marker() == "D"} == {"regulatory"}
        low, high = ax.get_xlim()
        assert low < min(*drawn.values(), 1.0)
        assert high > max(drawn.values())
        assert 1 in ax.get_xticks()
    # The shortcut of all pairs, not that of a method which has only some.
    assert [float(line.get_xdata()[0]) for line in panels[1].lines[:2]] == [1.0, 1.7]


def test_it_can_be_read_in_grey() -> None:
    def grey(colour: str) -> float:
        return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))

    assert grey(OTHERS) - grey(OURS) > 0.4
    assert grey(SHORTCUT) - grey(INK) > 0.2


def test_nothing_to_draw(families: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no result to draw"):
        benchmark(families.iloc[:0])
