"""Losses by epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from grn import pl
from grn._errors import InputError

TABLE = pd.DataFrame(
    {"epoch": [0, 1, 2, 3], "train_loss": [0.9, 0.7, 0.6, 0.5], "val_loss": [0.8, 0.65, 0.64, 0.66], "step": 1}
)


def curves(ax) -> dict:
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_losses_and_the_best_epoch(legible):
    ax = pl.training(TABLE)
    np.testing.assert_array_equal(curves(ax)["training"], TABLE["train_loss"])
    np.testing.assert_array_equal(curves(ax)["validation"], TABLE["val_loss"])
    assert words(ax) == ["training", "validation", "lowest validation loss: 0.64, epoch 2"]
    assert ax.lines[2].get_xydata().tolist() == [[2, 0.64]]
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()
    legible(ax.figure)


@pytest.mark.parametrize("table", [TABLE.drop(columns="val_loss"), TABLE.assign(val_loss=np.nan)])
def test_without_validation(table):
    assert words(pl.training(table)) == ["training", "lowest training loss: 0.5, epoch 3"]


def test_a_run_folder_its_file_and_one_epoch(tmp_path, legible):
    run = tmp_path / "my_run"
    run.mkdir()
    TABLE.head(1).to_csv(run / "metrics.csv", index=False)
    for given in (run, str(run), run / "metrics.csv"):
        ax = pl.training(given)
        assert curves(ax)["training"].tolist() == [0.9]
        assert ax.lines[0].get_marker() == "o"  # one point makes no line
        legible(ax.figure)
    _, axes = plt.subplots(1, 2)
    assert pl.training(run, axes[1]) is axes[1]


def test_refusals(tmp_path):
    (tmp_path / "my_run").mkdir()
    with pytest.raises(FileNotFoundError, match=r"There is no run .*Beside it: my_run"):
        pl.training(tmp_path / "my-runs")
    with pytest.raises(InputError, match=r"holds no metrics\.csv"):
        pl.training(tmp_path / "my_run")
    with pytest.raises(InputError, match=r"no column 'train_loss'; it has .*Did you mean 'trainloss'"):
        pl.training(TABLE.rename(columns={"train_loss": "trainloss"}))
    with pytest.raises(InputError, match="holds no loss"):
        pl.training(TABLE.head(0))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="cannot be read as a table of losses"):
        pl.training(tmp_path / "empty.csv")
