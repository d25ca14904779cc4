"""The gate's report: what came in, how we know, what was done to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class GateReport:
    """What `grn.data.check` found, as one readable table (`rows`) or JSON (`to_dict`).

    Attributes
    ----------
    cells, genes
        Size of the matrix that is used.
    dropped_genes
        Genes left out because they are zero in all cells.
    zeros
        Fraction of zeros in the matrix that is used.
    kind
        `"counts"`, `"log-normalised"`, `"normalised"` or `"continuous"`: what was given.
    source, source_reason
        Where the values were taken from (`"layers['counts']"`, `"X"`, `"raw.X"`) and why.
    reason
        How the kind is known.
    treatment
        What was done to the values.
    identifiers, species
        Kind of the gene names, and a guess by their prefix or letter case.
    tf_list, tf_found, tf_listed
        The TF list, how many of its names are genes of the data, how many it has.
    tf_absent
        Names asked for one by one that cannot be used, with the reason.
    groups
        Number of cells per group; empty without `group_by`.
    notes
        What else a user should know.
    """

    cells: int
    genes: int
    dropped_genes: int
    zeros: float
    kind: str
    source: str
    source_reason: str
    reason: str
    treatment: str
    identifiers: str
    species: str
    tf_list: str
    tf_found: int
    tf_listed: int
    tf_absent: dict[str, str] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """Label and value of every line of the table."""
        dropped = f" ({self.dropped_genes:,} more are zero in all cells: left out)" if self.dropped_genes else ""
        species = f", {self.species} by their form" if self.species != "unknown" else ""
        lines = [
            ("Cells", f"{self.cells:,}"),
            ("Genes", f"{self.genes:,}{dropped}"),
            ("Zeros", f"{self.zeros:.1%}"),
            ("Values", f"{self.source} ({self.source_reason})"),
            ("Kind", f"{self.kind}: {self.reason}"),
            ("Treatment", self.treatment),
            ("Gene names", f"{self.identifiers}{species}"),
            ("TFs", f"{self.tf_found:,} of {self.tf_listed:,} ({self.tf_list})"),
        ]
        shown = 8
        for name, why in list(self.tf_absent.items())[:shown]:
            lines.append(("TF left out", f"{name}: {why}"))
        if len(self.tf_absent) > shown:
            lines.append(("TF left out", f"and {len(self.tf_absent) - shown:,} more"))
        if self.groups:
            largest = sorted(self.groups.items(), key=lambda item: -item[1])
            text = ", ".join(f"{name} ({count:,})" for name, count in largest[:shown])
            more = f" and {len(largest) - shown} more" if len(largest) > shown else ""
            lines.append((f"Groups ({len(largest)})", text + more))
        lines += [("Note", note) for note in self.notes]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The report as plain types for JSON."""
        return {**asdict(self), "notes": list(self.notes)}
