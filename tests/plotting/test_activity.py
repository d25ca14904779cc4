"""Activity of regulators on an embedding."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError

NAMES = ["SPI1", "a$b$", "a_regulator_with_quite_a_long_name", "D", "E", "F"]


@pytest.fixture
def adata() -> anndata.AnnData:
    random = np.random.default_rng(0)
    adata = anndata.AnnData(np.ones((300, 4), dtype=np.float32))
    adata.obsm["X_umap"] = random.normal(size=(300, 2))
    adata.obsm["X_pca"] = random.normal(size=(300, 5))
    adata.obsm["grn_activity"] = pd.DataFrame(random.normal(size=(300, 6)), index=adata.obs_names, columns=NAMES)
    return adata


def test_every_cell_has_its_place_and_value(adata):
    ax = pl.activity(adata, "SPI1")
    (dots,) = ax.collections
    order = np.argsort(adata.obsm["grn_activity"]["SPI1"].to_numpy(), kind="stable")
    np.testing.assert_array_equal(dots.get_offsets(), adata.obsm["X_umap"][order])
    np.testing.assert_array_equal(dots.get_array(), adata.obsm["grn_activity"]["SPI1"].to_numpy()[order])
    assert ax.get_title(loc="left") == "SPI1"
    low, high = dots.get_clim()
    assert low == -high < 0
    assert ax.get_xlabel() == "umap 1"


def test_positive_activities_start_at_zero(adata):
    adata.obsm["grn_activity"] = adata.obsm["grn_activity"].abs()
    (dots,) = pl.activity(adata, "SPI1").collections
    assert dots.get_clim()[0] == 0
    assert dots.get_clim()[1] < dots.get_array().max()  # the outermost percent is cut, and the bar says so


def test_several_regulators_are_several_panels(adata, legible):
    first = pl.activity(adata, NAMES[:5])
    panels = [ax for ax in first.figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == NAMES[:5]
    assert panels[0] is first
    assert len(first.figure.axes) == 10  # five panels, five colour bars, no empty ones
    legible(first.figure)


def test_slots(adata):
    adata.obsm["other"] = adata.obsm.pop("grn_activity")
    ax = pl.activity(adata, "D", basis="X_pca", key="other")
    assert ax.get_ylabel() == "pca 2"
    np.testing.assert_array_equal(np.sort(ax.collections[0].get_offsets()[:, 0]), np.sort(adata.obsm["X_pca"][:, 0]))
    with pytest.raises(KeyError, match=r"no 'grn_activity'\..*Tables there: 'other'.*grn.tl.activity"):
        pl.activity(adata, "D")
    with pytest.raises(KeyError, match=r"no 'X_umpa'.*Did you mean 'umap'.*There are 'umap', 'pca'"):
        pl.activity(adata, "D", basis="umpa", key="other")


def test_cells_without_activity_are_crosses(adata):
    adata.obsm["grn_activity"].loc[adata.obs_names[:3], "D"] = np.nan
    crosses, dots = pl.activity(adata, "D").collections
    np.testing.assert_array_equal(crosses.get_offsets(), adata.obsm["X_umap"][:3])
    assert len(dots.get_offsets()) == 297
    assert np.isfinite(dots.get_clim()).all()


def test_sets_of_activated_and_repressed_targets(adata):
    adata.obsm["grn_activity"] = adata.obsm["grn_activity"].rename(columns={"SPI1": "SPI1(+)", "D": "SPI1(-)"})
    assert pl.activity(adata, "SPI1(-)").get_title(loc="left") == "SPI1(-)"
    with pytest.raises(InputError, match=r"'SPI1' is no regulator .*Did you mean 'SPI1\(\+\)'"):
        pl.activity(adata, "SPI1")


def test_all_zero_and_given_axes(adata, legible):
    adata.obsm["grn_activity"]["D"] = 0.0
    figure, axes = plt.subplots(1, 2, layout="constrained")
    assert pl.activity(adata, ["D"], ax=axes[1]) is axes[1]
    assert not axes[0].collections
    legible(figure)


def test_refusals(adata):
    with pytest.raises(InputError, match=r"'Spi1' is no regulator .*Did you mean 'SPI1'"):
        pl.activity(adata, "Spi1")
    with pytest.raises(InputError, match="ax= holds one panel, and 2 regulators"):
        pl.activity(adata, ["SPI1", "D"], ax=plt.subplot())
    with pytest.raises(InputError, match="No regulator was given"):
        pl.activity(adata, [])
    for value, rows, count in ((np.inf, 2, 2), (np.nan, 300, 300)):
        adata.obsm["grn_activity"].loc[adata.obs_names[:rows], "D"] = value
        with pytest.raises(InputError, match=f"{count} of 300 activities of 'D' are not finite"):
            pl.activity(adata, "D")
    adata.obsm["X_flat"] = np.ones((300, 1))
    with pytest.raises(InputError, match=r"shape \(300, 1\); expected two columns"):
        pl.activity(adata, "SPI1", basis="flat")
    adata.obsm["grn_activity"] = adata.obsm["grn_activity"].to_numpy()
    with pytest.raises(InputError, match="ndarray without names"):
        pl.activity(adata, "SPI1")
    wide = pd.DataFrame(np.ones((300, 25)), index=adata.obs_names, columns=[f"r{i}" for i in range(25)])
    adata.obsm["wide"] = wide
    with pytest.raises(InputError, match="25 regulators: expected at most 24"):
        pl.activity(adata, list(wide), key="wide")
