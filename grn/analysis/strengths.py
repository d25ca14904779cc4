"""How much each regulator does in each cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grn._errors import InputError
from grn.data import CheckedData
from grn.data.statistics import gene_statistics
from grn.network.network import GeneNetwork


def strengths(network: GeneNetwork, checked: CheckedData) -> pd.DataFrame:
    """Size of what each regulator contributes in each cell, |z_cj| sqrt(sum_i w_ji^2).

    Parameters
    ----------
    network
        Its weights w; of groups, those of the cell's own.
    checked
        The cells, with the network's groups where it has any. With batches, z is measured from the cell's own.

    Returns
    -------
    DataFrame
        (cells, regulators), float32.

    Raises
    ------
    InputError
        If cells are of groups that the network does not know.
    """
    own = checked.x[:, checked.regulators]
    values = np.asarray(own) if isinstance(own, np.ndarray) else own.toarray()
    statistics = gene_statistics(values, checked.batch_codes)
    mean = statistics.mean if statistics.batch_mean is None else statistics.batch_mean[checked.batch_codes]
    standardised = np.abs(values - mean) / statistics.std
    if not network.groups:
        found = standardised * _norms(network, checked.tf_names)
    else:
        here = checked.group_names or []
        unknown = [name for name in here if name not in network.groups]
        if unknown or not here:
            raise InputError(
                f"The network has the groups {', '.join(network.groups)}, the cells {', '.join(here) or 'none'}: give "
                "cells with the groups that the network was made for."
            )
        found = np.zeros_like(standardised)
        for name in here:
            cells = np.asarray(checked.groups == name)
            found[cells] = standardised[cells] * _norms(network.of_group(name), checked.tf_names)
    return pd.DataFrame(found.astype(np.float32), index=checked.cells, columns=checked.tf_names)


def _norms(network: GeneNetwork, regulators: list[str]) -> np.ndarray:
    squared = network.edges["weight"].astype(np.float64).pow(2).groupby(network.edges["source"]).sum()
    return np.sqrt(squared.reindex(regulators, fill_value=0.0).to_numpy())
