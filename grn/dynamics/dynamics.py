"""From the configuration group `dynamics` to a map to add, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grn._errors import InputError
from grn._log import logger
from grn.data import CheckedData
from grn.data.statistics import gene_statistics
from grn.dynamics.gate import Gate, judge
from grn.dynamics.head import dynamics_map, pairs
from grn.dynamics.trajectories import read_trajectories
from grn.dynamics.velocity import judge_velocity, read_layers, velocity_map

if TYPE_CHECKING:
    from anndata import AnnData

SETTINGS = {"none": (), "time": ("columns", "gate"), "velocity": ("spliced", "unspliced", "gate")}


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What time or splicing says.

    Attributes
    ----------
    map
        Signed, float64 (regulators, genes), root mean square 1; None where the gate is closed and asked.
    facts
        For the network's params and run.json: settings, `open`, `added`, `reason` and what the gate measured.
    """

    map: np.ndarray | None
    facts: dict[str, Any]


def check_settings(settings: Mapping[str, Any], *, model: str, readout: str, group_by: str | None) -> None:
    """Refuse settings that do not go together, before anything is loaded.

    Parameters
    ----------
    settings
        Configuration group `dynamics`.
    model, readout, group_by
        `model.name`, `network.readout` and `group_by` of the run.

    Raises
    ------
    InputError
        For a setting that the choice lacks or does not have, with groups, with the read-out "effect", or with a model
        without signed effects.
    """
    name = settings["name"]
    given = {key for key, value in settings.items() if key != "name" and value is not None}
    missing, strange = [key for key in SETTINGS[name] if key not in given], sorted(given - set(SETTINGS[name]))
    if missing or strange:
        wrong = " and ".join([f"lacks {key}" for key in missing] + [f"has no {key}" for key in strange])
        raise InputError(f"dynamics.name={name} {wrong}; choose with dynamics={name}, which brings its own settings.")
    if name == "none":
        return
    if group_by is not None:
        raise InputError(
            f"dynamics={name} and group_by={group_by}: a trajectory runs through groups, so it says nothing about each "
            "of them. Leave one out, or infer on the cells of one group."
        )
    if readout == "effect":
        raise InputError(
            f"dynamics={name} is added to effects on equal terms, network.readout=sphere; effects in standard "
            "deviations have another unit. Leave network.readout out."
        )
    if model == "transformer":
        raise InputError(f"dynamics={name} is added to a signed map of regulators, which model=transformer lacks.")


def find_dynamics(adata: AnnData, checked: CheckedData, settings: Mapping[str, Any], *, seed: int) -> Dynamics | None:
    """The dynamics map of these cells, if its gate opens; None for dynamics=none.

    Parameters
    ----------
    adata
        Has the times in `obs`, or spliced and unspliced values in `layers`.
    checked
        The same cells after the gate of `grn.data.check`.
    settings
        Configuration group `dynamics`.
    seed
        Of halvings, permutations and the order of cells of equal time.

    Raises
    ------
    InputError
        Where columns or layers cannot be used, or, with gate=false, no trajectory has 20 cells.
    """
    name = settings["name"]
    if name == "none":
        return None
    facts = dict(settings)
    if name == "time":
        trajectories = read_trajectories(adata.obs, settings["columns"])
        facts["columns"] = list(trajectories)
        z, times = standardise(checked.x), list(trajectories.values())
        gate = judge(z, times, checked.regulators, seed=seed)
        data = pairs(z, times, np.random.default_rng((seed, 2)))
        if not len(data.state) and not settings["gate"]:
            raise InputError(
                f"No trajectory of {', '.join(trajectories)} has 20 cells: there is no course in time to follow."
            )
        found = dynamics_map(data, checked.regulators) if gate.open or not settings["gate"] else None
    else:
        spliced, unspliced, facts["treatment"] = read_layers(
            adata, checked.genes, (settings["spliced"], settings["unspliced"])
        )
        spliced, unspliced = standardise(spliced), standardise(unspliced)
        gate = judge_velocity(spliced, unspliced, checked.regulators, seed=seed)
        wanted = gate.open or not settings["gate"]
        found = velocity_map(spliced, unspliced, checked.regulators) if wanted else None
    facts |= {"open": gate.open, "added": found is not None, "reason": gate.reason, **gate.facts}
    _log(name, gate, added=found is not None)
    return Dynamics(found, facts)


def standardise(x: Any) -> np.ndarray:
    """Expression (cells, genes), dense or sparse, in each gene's standard deviations around its mean: dense float64."""
    statistics = gene_statistics(x)
    dense = np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64)
    return (dense - statistics.mean.astype(np.float64)) / statistics.std.astype(np.float64)


def _log(name: str, gate: Gate, *, added: bool) -> None:
    if gate.open:
        logger.info("dynamics=%s: the gate is open and the map is added: %s.", name, gate.reason)
    elif added:
        logger.warning("dynamics=%s: dynamics.gate=false, so the map is added although: %s.", name, gate.reason)
    else:
        logger.warning("dynamics=%s: the gate is closed and nothing is added: %s.", name, gate.reason)
