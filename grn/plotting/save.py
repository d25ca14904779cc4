"""Figures on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._files import atomic_path, user_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save(ax: Axes, path: str | Path, *, dpi: int = 150) -> Path:
    """Write the figure of `ax` whole or not at all, in the format of the path's ending, and close it.

    Parameters
    ----------
    ax
        What a function of `grn.pl` returned.
    path
        Ending in .png, .pdf or .svg.
    dpi
        Dots per inch of a .png.

    Returns
    -------
    Path
        The file.
    """
    from matplotlib import pyplot as plt

    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("These axes belong to no figure, so there is nothing to save.")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, facecolor="white")
    plt.close(figure)
    return user_path(path)
