"""GeneNetwork: the signed edges between regulators and their targets.

Notable choices: direction is source (regulator) -> target and a positive weight is activation; the
edges are an ordinary table of strings and numbers, strongest first; there are no self-edges and no
zeros; a network of several groups is one table with a column `group`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grn._errors import InputError, did_you_mean
from grn.data.groups import group_name
from grn.network.table import EVIDENCE, clean_edges, edge_table, is_signed, name_index, order_by_strength, signs

COLUMNS = ["source", "target", "weight", "sign"]
HOW_TO_TEST = "`grn train confidence=default` and `grn.tl.confidence(adata)` compute them."


@dataclass(frozen=True, eq=False, repr=False)
class GeneNetwork:
    """A signed, weighted, directed network of genes.

    Make one with :meth:`from_matrix`, :meth:`from_edges` or :meth:`read`.

    Parameters
    ----------
    edges
        One row per edge, strongest first: `source` (regulator), `target`, `weight` (float32; positive =
        activation; comparable within one network only), `sign` (int8, +1 or -1; 0 in every row where the method
        does not tell activation from repression), where they are known `confidence`, `pvalue` and `qvalue` (float32,
        0 to 1; see :func:`grn.tl.confidence`) and, where the network was made per group of cells, `group`.
    genes
        Names of all genes the network could reach, the regulators among them.
    regulators
        Names of the genes that could be a source.
    params
        How the network was made: method, seed, settings, version. Must be expressible as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from grn.network import GeneNetwork
    >>> network = GeneNetwork.from_matrix(
    ...     np.array([[0.0, 0.9, -0.2], [0.4, 0.0, 0.0]]), ["A", "B"], ["A", "B", "C"]
    ... )
    >>> network.edges[["source", "target", "sign"]].values.tolist()
    [['A', 'B', 1], ['B', 'A', 1], ['A', 'C', -1]]
    """

    edges: pd.DataFrame
    genes: pd.Index
    regulators: pd.Index
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.edges, pd.DataFrame):
            raise TypeError(f"The edges are a {type(self.edges).__name__}, expected a table (pandas DataFrame).")
        columns = list(self.edges.columns)
        known = [name for name in EVIDENCE if name in columns]
        if columns not in ([*COLUMNS, *known], [*COLUMNS, *known, "group"]):
            raise InputError(
                f"The edges have the columns {columns}; expected {COLUMNS}, optionally {', '.join(EVIDENCE)}, group. "
                "GeneNetwork.from_edges makes them from any table with source, target and weight."
            )
        # Only what costs nothing: a table of millions of edges is made in one go by from_edges or from_matrix.
        for name in ("weight", "sign", *known):
            if not pd.api.types.is_numeric_dtype(self.edges[name]):
                raise InputError(f"The column {name!r} of the edges holds {self.edges[name].dtype}, expected numbers.")
        for what in ("genes", "regulators"):
            object.__setattr__(self, what, name_index(getattr(self, what), what))
        if not self.regulators.isin(self.genes).all():
            raise _not_a_gene(self.regulators[~self.regulators.isin(self.genes)], self.genes)

    @classmethod
    def from_matrix(
        cls,
        weights: Any,
        regulators: Iterable[str],
        genes: Iterable[str],
        *,
        params: Mapping[str, Any] | None = None,
        signed: bool = True,
    ) -> GeneNetwork:
        """Make a network from a matrix of weights; self-edges and exact zeros are left out.

        Parameters
        ----------
        weights
            Array `(regulators, genes)`, dense or scipy sparse, or a mapping from the name of a group to
            such an array. Entry (r, g) is the effect of regulator r on gene g.
        regulators
            Names of the rows; each must be one of `genes`.
        genes
            Names of the columns.
        params
            How the weights were made; kept with the network.
        signed
            False for importances, which do not tell activation from repression: every edge gets the sign 0.

        Raises
        ------
        InputError
            On a wrong shape, NaN or infinite weights, negative ones that are said to be unsigned, duplicated names,
            or a regulator that is no gene.
        """
        genes = name_index(genes, "genes")
        regulators = name_index(regulators, "regulators")
        rows = genes.get_indexer(regulators)
        if (rows < 0).any():
            raise _not_a_gene(regulators[rows < 0], genes)
        if isinstance(weights, Mapping):
            if not weights:
                raise InputError("No group was given: the mapping of weights is empty.")
            parts = [
                edge_table(matrix, regulators, genes, rows, group=str(group), signed=signed)
                for group, matrix in weights.items()
            ]
            edges = order_by_strength(pd.concat(parts, ignore_index=True))
        else:
            edges = edge_table(weights, regulators, genes, rows, signed=signed)
        return cls(edges, genes, regulators, dict(params or {}))

    @classmethod
    def from_edges(
        cls,
        edges: pd.DataFrame,
        *,
        genes: Iterable[str] | None = None,
        regulators: Iterable[str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> GeneNetwork:
        """Make a network from a table of edges.

        Parameters
        ----------
        edges
            Table with `source`, `target`, `weight` and optionally `group`. A column `sign` must agree with
            the weights, or be 0 in every row where these are unsigned; `confidence`, `pvalue` and `qvalue` are kept,
            other columns are left out. Self-edges and zeros are left out, with their number logged.
        genes, regulators
            All genes and all regulators of the data; by default those that occur in the edges.
        params
            How the edges were made.

        Raises
        ------
        InputError
            On missing columns, weights that are no finite numbers, an edge given twice, a sign that contradicts its
            weight, or a confidence, p-value or q-value outside 0 to 1.
        """
        table = clean_edges(edges)
        seen_sources = pd.Index(table["source"].unique())
        seen = seen_sources.append(pd.Index(table["target"].unique())).unique()
        all_genes = name_index(seen if genes is None else genes, "genes")
        sources = name_index(seen_sources if regulators is None else regulators, "regulators")
        for names in (seen, sources):
            if len(unknown := names.difference(all_genes)):
                raise _not_a_gene(unknown, all_genes)
        if len(unknown := seen_sources.difference(sources)):
            raise InputError(
                f"{len(unknown)} sources of edges are not among the regulators, e.g. {unknown[0]!r}."
                f"{did_you_mean(unknown[0], sources)} Add them to `regulators` or leave `regulators` out."
            )
        return cls(table, all_genes, sources, dict(params or {}))

    @property
    def groups(self) -> list[str]:
        """Names of the groups of cells, sorted; empty for a network of all cells."""
        return sorted(self.edges["group"].unique()) if "group" in self.edges else []

    @property
    def signed(self) -> bool:
        """Whether the edges tell activation from repression."""
        return is_signed(self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def __repr__(self) -> str:
        active = int((self.edges["sign"] > 0).sum())
        effects = f"{active:,} activating, {len(self) - active:,} repressing" if self.signed else "unsigned"
        text = (
            f"GeneNetwork: {len(self):,} edges ({effects}), "
            f"{len(self.regulators):,} regulators, {len(self.genes):,} genes"
        )
        return f"{text}, {len(self.groups)} groups" if self.groups else text

    def of_group(self, group: str | int) -> GeneNetwork:
        """The network of one group of cells, without the column `group`.

        Names of groups are text; a whole number stands for its text, as clusters are often numbered.

        Raises
        ------
        InputError
            If there is no such group; near misses are named.
        """
        group = group_name(group)
        if group not in self.groups:
            if not self.groups:
                raise InputError(f"The network has no groups, but group={group!r} was asked for; leave it out.")
            raise InputError(
                f"No group {group!r} in the network; it has {', '.join(map(repr, self.groups))}."
                f"{did_you_mean(group, self.groups)}"
            )
        chosen = self.edges.loc[self.edges["group"] == group].drop(columns="group")
        return replace(self, edges=chosen.reset_index(drop=True))

    def ungrouped(self) -> GeneNetwork:
        """One network for all groups: the mean weight over groups, where a missing edge counts 0.

        Confidence, p-values and q-values belong to the single groups and are left out.
        """
        if not self.groups:
            return self
        total = self.edges.groupby(["source", "target"], sort=False)["weight"].sum()
        table = (total / np.float32(len(self.groups))).reset_index()
        table = table[table["weight"] != 0]
        table["sign"] = signs(table["weight"].to_numpy(), signed=self.signed)
        return replace(self, edges=order_by_strength(table))

    def matrix(self, group: str | None = None) -> pd.DataFrame:
        """Weights as a dense table `(regulators, genes)`, 0 where there is no edge.

        Parameters
        ----------
        group
            The group of cells. Without it, a network with groups gives the mean over its groups.
        """
        if group is not None:
            return self.of_group(group).matrix()
        edges = self.ungrouped().edges
        dense = np.zeros((len(self.regulators), len(self.genes)), dtype=np.float32)
        rows = self.regulators.get_indexer(pd.Index(edges["source"]))
        columns = self.genes.get_indexer(pd.Index(edges["target"]))
        dense[rows, columns] = edges["weight"]
        return pd.DataFrame(dense, index=self.regulators, columns=self.genes)

    def top(self, k: int) -> GeneNetwork:
        """The `k` strongest edges (of each group, where there are groups)."""
        _positive(k, "top")
        if not self.groups:
            return replace(self, edges=self.edges.head(k).copy())
        rank = self.edges.groupby("group", sort=False).cumcount()
        return replace(self, edges=self.edges[rank < k].reset_index(drop=True))

    def per_target(self, k: int) -> GeneNetwork:
        """For each target (and group) the edges of its `k` strongest regulators."""
        _positive(k, "per_target")
        by = ["target", "group"] if self.groups else ["target"]
        rank = self.edges.groupby(by, sort=False).cumcount()
        return replace(self, edges=self.edges[rank < k].reset_index(drop=True))

    def significant(self, fdr: float) -> GeneNetwork:
        """The edges whose q-value is at most `fdr`, the expected share of false ones among them.

        Raises
        ------
        InputError
            If the edges have no q-values, or `fdr` is not above 0 and at most 1.
        """
        if isinstance(fdr, bool) or not 0 < fdr <= 1:
            raise InputError(f"fdr={fdr!r}: expected the accepted share of false edges, above 0 and at most 1.")
        if "qvalue" not in self.edges:
            raise InputError(f"fdr={fdr} needs q-values, and the edges of this network have none. {HOW_TO_TEST}")
        return replace(self, edges=self.edges[self.edges["qvalue"] <= np.float32(fdr)].reset_index(drop=True))

    def chosen(self, *, fdr: float | None = None, per_target: int | None = None, top: int | None = None) -> GeneNetwork:
        """What is left after :meth:`significant`, :meth:`per_target` and :meth:`top`, in this order; None skips one."""
        network = self if fdr is None else self.significant(fdr)
        network = network if per_target is None else network.per_target(per_target)
        return network if top is None else network.top(top)

    def regulator_table(self, top: int = 1000) -> pd.DataFrame:
        """The regulators, strongest first.

        Parameters
        ----------
        top
            Targets are counted among this many strongest edges (of each group): a trained network has an
            edge for nearly every pair, so that counting all of them says nothing.

        Returns
        -------
        DataFrame
            Indexed by regulator: `out_strength` (sum of |weight| over all its edges; mean over groups),
            `activated` and `repressed` (number of its targets among the top edges) and `strongest` (the
            target of its strongest edge, empty for a regulator without edges).
        """
        source = self.edges["source"]
        strength = self.edges["weight"].abs().astype(np.float64).groupby(source, sort=False).sum()
        best = self.top(top).edges.drop_duplicates(["source", "target", "sign"])
        counts = {
            name: best.loc[best["sign"] == sign, "source"].value_counts()
            for name, sign in (("activated", 1), ("repressed", -1))
        }
        table = pd.DataFrame(index=self.regulators.rename("regulator"))
        table["out_strength"] = strength.reindex(table.index, fill_value=0.0) / max(1, len(self.groups))
        for name, count in counts.items():
            table[name] = count.reindex(table.index, fill_value=0).astype(np.int64)
        first = self.edges.drop_duplicates("source").set_index("source")["target"]
        table["strongest"] = first.reindex(table.index, fill_value="")
        return table.sort_values("out_strength", ascending=False, kind="stable")

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Write the network to a file, whole or not at all.

        Parameters
        ----------
        path
            The file.
        format
            One of `grn.network.formats.FORMATS`, such as parquet (keeps everything), tsv, graphml, h5ad, scenic or
            cytoscape; by default chosen by the ending of `path`. See docs/formats.md for what each of them keeps.

        Raises
        ------
        InputError
            On an unknown format, or one that cannot hold this network.
        """
        from grn.network.formats import write_network

        write_network(self, path, format)

    @classmethod
    def read(cls, path: str | Path, format: str | None = None) -> GeneNetwork:
        """Read a network from a file that :meth:`write` made, or from a run folder.

        Raises
        ------
        FileNotFoundError
            If there is no such file; near misses beside it are named.
        InputError
            If the file is not a network in that format.
        """
        from grn.network.formats import read_network

        return read_network(path, format)


def _positive(k: int, name: str) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise TypeError(f"{name}({k!r}): expected a whole number of edges, at least 1.")
    if k < 1:
        raise InputError(f"{name}({k}): expected a whole number of edges, at least 1.")


def _not_a_gene(names: pd.Index, genes: pd.Index) -> InputError:
    return InputError(
        f"{len(names)} names of the network are not among its {len(genes)} genes, e.g. {names[0]!r}."
        f"{did_you_mean(str(names[0]), genes)}"
    )
