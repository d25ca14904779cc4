"""The differential network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.patches import Polygon

from grn import pl
from grn._errors import InputError
from grn.plotting.differential import LOOKS

# Edges to B ... G: what the two weights make of each.
WEIGHTS = {
    "B": (0.9, 0.1, "gained"),
    "C": (-0.8, 0.0, "gained"),
    "D": (0.1, 0.8, "lost"),
    "E": (0.0, -0.7, "lost"),
    "F": (0.5, -0.4, "reversed"),
    "G": (-0.05, 0.6, "lost"),  # the weaker one is too weak for a reversal
}


def table(weights: bool = True) -> pd.DataFrame:
    rows = [("A", target, here, there, here - there) for target, (here, there, _) in WEIGHTS.items()]
    made = pd.DataFrame(rows, columns=["source", "target", "weight_group", "weight_reference", "effect"])
    made = made.assign(group="treated", reference="control", qvalue=[0.01, 0.01, 0.2, 0.01, 0.01, 0.3])
    return made if weights else made.drop(columns=["weight_group", "weight_reference"])


def large(edges: int = 300, stem: str = "GENE") -> pd.DataFrame:
    random = np.random.default_rng(0)
    source, target = np.divmod(random.permutation(20 * 100)[:edges], 100)
    made = pd.DataFrame({"source": [f"{stem}{i}" for i in source], "target": [f"{stem}{i}" for i in target + 20]})
    here, there = random.standard_t(3, size=(2, edges))
    made = made.assign(weight_group=here, weight_reference=there, effect=here - there)
    return made.assign(group="x", reference="y")


def words(ax) -> set[str]:
    return {text.get_text() for text in ax.texts}


def drawn(ax) -> dict[str, int]:
    """How many lines have the look of each kind; one of them is in the legend."""
    counts = {}
    for kind in ("gained", "lost", "reversed"):
        colour, dashes = LOOKS[kind]
        counts[kind] = sum(
            line.get_color() == colour and line.is_dashed() == bool(dashes) and len(line.get_xdata()) > 2
            for line in ax.lines
        )
    return counts


def test_kinds_differ_in_colour_and_dash():
    ax = pl.differential(table())
    kinds = [kind for _, _, kind in WEIGHTS.values()]
    assert drawn(ax) == {kind: kinds.count(kind) + 1 for kind in ("gained", "lost", "reversed")}
    assert {"gained", "lost", "reversed", "arrow: activates", "bar: represses"} <= words(ax)
    assert set(WEIGHTS) | {"A"} <= words(ax)
    # Arrows: B, D, F, G, and three of the legend.
    assert sum(isinstance(patch, Polygon) for patch in ax.patches) == 4 + 3
    assert ax.get_title(loc="left") == "All 6 differences: treated against control"
    assert len({str(LOOKS[kind][1]) for kind in ("gained", "lost", "reversed")}) == 3


def test_without_weights_only_the_direction_is_told():
    ax = pl.differential(table(weights=False))
    assert {"higher", "lower"} <= words(ax)
    assert not words(ax) & {"gained", "lost", "reversed", "arrow: activates"}
    up = sum(here > there for here, there, _ in WEIGHTS.values())
    assert sum(isinstance(patch, Polygon) for patch in ax.patches) == up + 1


def test_the_largest_effects_are_drawn():
    ax = pl.differential(table(), top=2)
    assert words(ax) & set(WEIGHTS) == {"F", "B"} or words(ax) & set(WEIGHTS) == {"F", "C"}
    assert ax.get_title(loc="left").startswith("The 2 largest of 6 differences")
    assert "lost" not in words(ax)  # a legend of what is there
    best = large().assign(size=lambda t: t["effect"].abs()).nlargest(40, "size")
    assert set(best["source"]) | set(best["target"]) <= words(pl.differential(large()))


def test_fdr():
    ax = pl.differential(table(), fdr=0.05)
    assert words(ax) & set(WEIGHTS) == {"B", "C", "E", "F"}
    assert ax.get_title(loc="left") == "All 4 differences with q ≤ 0.05: treated against control"
    with pytest.raises(InputError, match=r"no edge that differs with q ≤ 0\.001"):
        pl.differential(table(), fdr=0.001)
    with pytest.raises(InputError, match="has no column 'qvalue'"):
        pl.differential(large(), fdr=0.05)


@pytest.mark.parametrize(("stem", "top"), [("GENE", 60), ("GENE", 1), ("quite_a$long$_name_", 30)])
def test_legible(legible, stem, top):
    ax = pl.differential(large(stem=stem).assign(group="a group of a very long name, " * 3), top=top)
    legible(ax.figure)


def test_legible_in_small_axes(legible):
    figure, axes = plt.subplots(1, 2, figsize=(11, 5))
    assert pl.differential(table(), ax=axes[0]) is axes[0]
    assert not axes[1].texts
    sizes = {text.get_text(): text.get_fontsize() for text in axes[0].texts}
    assert sizes["bar: represses"] > 5.5
    legible(figure)


def test_the_order_of_the_table_does_not_matter_and_the_seed_does():
    def places(rows: pd.DataFrame, seed: int = 0) -> dict:
        return {text.get_text(): text.get_position() for text in pl.differential(rows, seed=seed).texts}

    assert places(large()) == places(large().sample(frac=1, random_state=0))
    assert places(large()) == places(large().astype({"source": "category", "target": "category"}))
    assert places(large()) != places(large(), seed=1)


def test_refusals():
    with pytest.raises(InputError, match=r"no column 'effect'.*Did you mean 'Effect'"):
        pl.differential(table().rename(columns={"effect": "Effect"}))
    several = pd.concat([table(), table().assign(group="other")])
    with pytest.raises(InputError, match=r"holds 2 comparisons .'treated' against 'control'; 'other' against"):
        pl.differential(several)
    with pytest.raises(InputError, match="'A' -> 'B' is in the table twice"):
        pl.differential(pd.concat([table(), table()]))
    with pytest.raises(InputError, match="6 values of 'effect' are not finite"):
        pl.differential(table().assign(effect=np.nan))
    with pytest.raises(InputError, match="'effect' of the differences holds object, expected numbers"):
        pl.differential(table().astype({"effect": object}))
    with pytest.raises(InputError, match="no edge that differs, so"):
        pl.differential(table().assign(effect=0.0))
    with pytest.raises(InputError, match="is empty"):
        pl.differential(table().head(0))
    with pytest.raises(InputError, match="top=201: expected 1 to 200"):
        pl.differential(table(), top=201)
    with pytest.raises(InputError, match="fdr=0: expected"):
        pl.differential(table(), fdr=0)
    with pytest.raises(TypeError, match="Expected a table"):
        pl.differential("table.csv")
