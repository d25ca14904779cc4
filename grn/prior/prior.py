"""Prior knowledge as one object: a table, where it comes from and how strongly it counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from grn._errors import InputError, near_misses
from grn._log import logger
from grn.prior.agreement import agreement, gate
from grn.prior.score import Evidence, evidence, with_prior
from grn.prior.table import clean_prior

Weights = np.ndarray | dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Prior:
    """Known regulons, and how strongly they count.

    Parameters
    ----------
    table
        As `clean_prior` takes it; kept as that gives it.
    source
        Where it comes from, in words.
    strength
        "auto": by the agreement of each network with the table. A number from 0 on: that; 0 changes nothing.

    Raises
    ------
    InputError
        If the table is none of regulons, or the strength is no such number.
    TypeError
        If the table is no DataFrame.
    """

    table: pd.DataFrame
    source: str = "a table"
    strength: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", clean_prior(self.table, f"The prior ({self.source})"))
        number = isinstance(self.strength, int | float) and not isinstance(self.strength, bool)
        if self.strength != "auto" and not (number and math.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength = {self.strength!r} of the prior: expected 'auto' or a number from 0 on.")

    def on(self, genes: Sequence[str] | pd.Index, regulators: Sequence[int] | np.ndarray) -> Evidence:
        """What the table says about these genes; `regulators` are positions among them.

        Raises
        ------
        InputError
            If it has no edge from one of the regulators to another gene.
        """
        names = pd.Index(genes).astype(str)
        found = evidence(self.table, names, np.asarray(regulators))
        if not found.edges:
            raise InputError(_no_edge(self, names, names[np.asarray(regulators)]))
        return found

    def apply(
        self,
        weights: Weights,
        genes: Sequence[str] | pd.Index,
        regulators: Sequence[int] | np.ndarray,
        *,
        signed: bool = True,
    ) -> tuple[Weights, dict[str, Any]]:
        """Weights of one network, or of each group's, with the prior; and the facts about it.

        Parameters
        ----------
        weights
            `(regulators, genes)`, or such arrays by the name of their group. Each is judged by its own agreement.
        genes, regulators
            As in `on`.
        signed
            As in `with_prior`.

        Returns
        -------
        The weights, and `source`, `edges`, `tfs`, `z`, `strength` (the last two by group where there are groups) and
        `setting` for the network's params. What happened is logged in one line.
        """
        found = self.on(genes, regulators)
        networks = weights if isinstance(weights, dict) else {"": weights}
        z = {name: agreement(one, found.known) for name, one in networks.items()}
        strength = {name: gate(one) if self.strength == "auto" else float(self.strength) for name, one in z.items()}
        combined = {name: with_prior(one, found, strength[name], signed=signed) for name, one in networks.items()}
        facts = {
            "source": self.source,
            "edges": found.edges,
            "tfs": len(found.rows),
            "setting": self.strength,
            "z": z if isinstance(weights, dict) else z[""],
            "strength": strength if isinstance(weights, dict) else strength[""],
        }
        logger.info("%s", self._told(found, z, strength))
        return combined if isinstance(weights, dict) else combined[""], facts

    def _told(self, found: Evidence, z: dict[str, float], strength: dict[str, float]) -> str:
        """What happened, in one line."""
        parts = [
            f"{name and f'in {name} '}agreement with expression z = {z[name]:.1f}, strength {strength[name]:.2f}"
            for name in z
        ]
        closed = [name for name in z if self.strength == "auto" and strength[name] == 0]
        where = f" in {', '.join(closed)}" if len(closed) < len(z) else ""
        folded = f" ({found.folded:,} rows of its table by ignoring letter case)" if found.folded else ""
        told = f"prior: {found.edges:,} edges of {len(found.rows)} TFs among the genes{folded}; {'; '.join(parts)}"
        if closed:
            told += f"; no agreement beyond chance, so the prior changes nothing{where} (prior.strength=1 would)"
        return told


def _no_edge(prior: Prior, genes: pd.Index, regulators: pd.Index) -> str:
    """Why a table says nothing about these data."""
    sources, targets = (pd.Index(prior.table[name].unique()) for name in ("source", "target"))

    def common(names: pd.Index, others: pd.Index) -> int:
        return int(names.str.upper().isin(others.str.upper()).sum())

    examples = ", ".join(sources[:3])
    close = near_misses(sources[0], regulators) or near_misses(sources[0], genes)
    hint = f" Did you mean {' or '.join(map(repr, close))} by {sources[0]!r}?" if close else ""
    return (
        f"The prior ({prior.source}) has no edge from a regulator to another gene of these data. Ignoring letter case, "
        f"of its {len(sources):,} sources {common(sources, regulators):,} are regulators here and "
        f"{common(sources, genes):,} are genes; of its {len(targets):,} targets {common(targets, genes):,} are genes. "
        f"Its sources look like {examples}, the regulators like {', '.join(regulators[:3])}.{hint} Give a table with "
        "the data's kind of gene names, or choose other regulators with tf=..."
    )
