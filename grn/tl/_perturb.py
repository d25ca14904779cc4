"""Knock-outs and overexpression in the cells of an AnnData, predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn._process import unchanged_process
from grn.tl._slots import check_key, checked_again

if TYPE_CHECKING:
    from anndata import AnnData

    from grn.data import CheckedData
    from grn.network import GeneNetwork

HIGH = 0.99  # quantile over cells


@unchanged_process()
def perturb(
    adata: AnnData,
    *,
    ko: str | Sequence[str] | None = None,
    oe: str | Sequence[str] | Mapping[str, float] | None = None,
    group: str | None = None,
    group_by: str | None = None,
    network: GeneNetwork | None = None,
    key: str = "grn",
    layer: str | None = None,
    batch_key: str | None = None,
    allow_negative: bool = False,
    damping: float = 1.0,
    key_added: str = "grn_perturbed",
) -> pd.DataFrame:
    """Predict what knock-outs and overexpression do, by propagation through the signed network.

    See docs/perturbation.md for the formula, its source and its limits.

    Parameters
    ----------
    adata
        Unperturbed cells: counts, or log1p of normalised counts. Slopes and levels come from them.
    ko
        Genes to knock out: their level becomes 0.
    oe
        Genes to overexpress: names, whose level becomes the 99 % quantile over the cells, or a mapping from name to
        level, in log1p of counts per 1,000 (or the units of logged or continuous input).
    group
        Only cells of this group are perturbed.
    group_by
        Column of `adata.obs` with the groups; by default that of the network.
    network
        Default: the network under `key`. Of several groups, that of `group`, or the mean over groups.
    key
        Where the network of `adata` is.
    layer, batch_key, allow_negative
        As in :func:`grn.pp.check`; by default those of the network.
    damping
        What each step along an edge leaves of the signal, above 0 and at most 1.
    key_added
        Name of the layer that is written.

    Returns
    -------
    DataFrame
        One row per gene, the perturbed ones first, then the most moved: `gene`, `before`, `after`, `shift`,
        `perturbed`; see :class:`grn.analysis.Perturbation`. Writes

    - ``.layers[key_added]`` float32 (cells, genes): predicted expression; cells that are not perturbed keep theirs

    Raises
    ------
    KeyError
        If there is no network under `key`.
    InputError
        If nothing is perturbed, a gene is in both lists, unknown, or its level no number, or there is no such group.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.krumsiek11()
    >>> grn.tl.infer(adata, tf="all")
    >>> table = grn.tl.perturb(adata, ko="Gata1")
    >>> table["gene"].iloc[0], bool(table["perturbed"].iloc[0])
    ('Gata1', True)
    """
    from grn.analysis.perturbation import perturb as predict
    from grn.data.given import require_anndata
    from grn.network import from_anndata

    require_anndata(adata, "grn.tl.perturb")
    check_key(key_added)
    network = from_anndata(adata, key) if network is None else network
    # Groups are of use where one is chosen: other cells may not have the network's column.
    read = network if group is not None else replace(network, params={**network.params, "group_by": None})
    checked = checked_again(
        adata, read, layer=layer, group_by=group_by, batch_key=batch_key, allow_negative=allow_negative or None
    )
    found = predict(network, checked, levels_of(checked, ko, oe), group=group, damping=damping)
    x = np.array(checked.x) if isinstance(checked.x, np.ndarray) else checked.x.toarray()
    x[found.cells] = found.expression
    whole = np.zeros(adata.shape, dtype=np.float32)
    whole[:, adata.var_names.get_indexer(checked.genes)] = x
    adata.layers[key_added] = whole
    return found.table


def levels_of(
    checked: CheckedData,
    ko: str | Sequence[str] | None,
    oe: str | Sequence[str] | Mapping[str, float] | None,
) -> dict[str, float]:
    """New level of every perturbed gene; arguments as of `perturb`."""
    out = dict.fromkeys(_names(ko), 0.0)
    if out and float(checked.x.min()) < 0:
        raise InputError(
            "These values go below 0, where 0 is no knock-out but a mean level: give the level of the knock-out, "
            f"oe={{{next(iter(out))!r}: -1.5}}, or data that are not scaled."
        )
    given = {str(name): _level(name, level) for name, level in oe.items()} if isinstance(oe, Mapping) else {}
    for name in given or _names(None if isinstance(oe, Mapping) else oe):
        if name in out:
            raise InputError(f"{name} is to be knocked out and overexpressed; name it once.")
        place = checked.genes.get_indexer(pd.Index([name]))[0]
        if name in given or place < 0:
            out[name] = given.get(name, 0.0)  # an unknown gene is refused with near misses later
            continue
        column = checked.x[:, [place]]
        values = np.asarray(column) if isinstance(column, np.ndarray) else column.toarray()
        out[name] = float(np.quantile(values, HIGH))
        if out[name] == 0:
            raise InputError(
                f"{name} is 0 in nearly all cells, so there is no high level to take from them; give one: "
                f"oe={{{name!r}: 2.0}}."
            )
    return out


def _level(name: str, level: object) -> float:
    if isinstance(level, bool) or not isinstance(level, Real):
        raise InputError(f"The level of {name} is {level!r}; expected a number, such as oe={{{name!r}: 2.0}}.")
    return float(level)


def _names(names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else [str(name) for name in names]
