"""What the tests of all figures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from grn.network import GeneNetwork


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def make() -> Callable[..., GeneNetwork]:
    """Maker of a random network; names are long where `stem` is."""

    def of(
        regulators: int = 30, genes: int = 200, *, seed: int = 0, signed: bool = True, stem: str = "GENE"
    ) -> GeneNetwork:
        names = [f"{stem}{i}" for i in range(genes)]
        weights = np.random.default_rng(seed).standard_t(3, size=(regulators, genes))
        weights *= np.linspace(2.0, 0.5, regulators)[:, None]
        return GeneNetwork.from_matrix(weights if signed else np.abs(weights), names[:regulators], names, signed=signed)

    return of


@pytest.fixture
def legible() -> Callable[[Figure], None]:
    """Check that no two texts of a figure overlap, and that none is cut by its border."""

    def check(figure: Figure) -> None:
        figure.canvas.draw()
        ticks, drawn = set(), set()  # an axis keeps labels of ticks outside its limits, which are not drawn
        for axis in figure.findobj(Axis):
            every = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            ticks |= {label for tick in every for label in (tick.label1, tick.label2)}
            if axis.axes.axison:
                drawn |= {label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)}
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        # An annotation's own extent would include its line.
        boxes = [
            (text.get_text(), Text.get_window_extent(text)) for text in texts if text not in ticks or text in drawn
        ]
        assert boxes
        for i, (name, box) in enumerate(boxes):
            assert box.x0 >= -1, name
            assert box.y0 >= -1, name
            assert box.x1 <= figure.bbox.x1 + 1, name
            assert box.y1 <= figure.bbox.y1 + 1, name
            for other_name, other in boxes[i + 1 :]:
                # A pixel less on each side: the boxes hold room for letters that the text does not have.
                apart = box.x1 - 1 <= other.x0 + 1 or other.x1 - 1 <= box.x0 + 1
                apart = apart or box.y1 - 1 <= other.y0 + 1 or other.y1 - 1 <= box.y0 + 1
                assert apart, (name, other_name)

    return check
