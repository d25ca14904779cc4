"""What each command's configuration may hold. The values are in conf/*.yaml: here are names and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

Format = Literal[
    "parquet",
    "tsv",
    "csv",
    "graphml",
    "h5ad",
    "sif",
    "gmt",
    "cytoscape",
    "scenic",
    "decoupler",
    "celloracle",
    "beeline",
    "genernib",
]

# A path as a user writes it: `grn.config.paths.expand_paths` replaces `~` and `$HOME` in it.
PATH = "path"
UserPath = Annotated[str, PATH]


@dataclass
class Data:
    """Where the expression comes from; everything else in the node goes to its `_target_`."""

    name: str
    tf: str | list[str]
    layer: str | None


@dataclass
class Views:
    """Noise share of each view of the regulatory model; null leaves it out."""

    regulators: float | None
    genes: float | None


@dataclass
class Model:
    """A model; everything else goes to its `_target_`. These may depend on the data: resolved later."""

    name: str
    views: Views | None = None
    head_dim: int | None = None


@dataclass
class Training:
    """How a model is trained. A field with a default may be absent: not every objective has it."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    validation_fraction: float
    patience: int
    noise: float | Literal["auto"]
    optimizer: dict[str, Any]
    hidden_fraction: float | None = None


@dataclass
class Network:
    """How the trained model is read out, and which files are written."""

    readout: Literal["auto", "effect", "sphere"]
    formats: list[Format]
    fdr: float | None
    per_target: int | None
    top_k: int | None
    graphml_top: int
    figure_top: int


@dataclass
class Dynamics:
    """Direction from time or splicing; which keys there are depends on `name` (`grn.dynamics`)."""

    name: Literal["none", "time", "velocity"]
    columns: str | list[str] | None = None
    spliced: str | None = None
    unspliced: str | None = None
    gate: bool | None = None


@dataclass
class Prior:
    """Prior knowledge; which of the fields without a value belong to which source, `grn.prior` says."""

    name: Literal["file", "collectri", "dorothea"]
    strength: float | Literal["auto"]
    path: UserPath | None = None
    organism: str | None = None
    levels: list[str] | None = None


@dataclass
class Confidence:
    """Stability, p-values and q-values of edges (`grn.network.confidence`)."""

    resamples: int
    permutations: int | None
    cells: int | None


@dataclass
class Train:
    """`grn train`."""

    data: Data
    model: Model
    training: Training
    trainer: dict[str, Any]
    callbacks: dict[str, Any]
    network: Network
    prior: Prior | None
    dynamics: Dynamics
    confidence: Confidence | None
    name: str | None
    seed: int
    tf: str | list[str]
    group_by: str | None
    batch_key: str | None
    allow_negative: bool
    resume: bool
    overwrite: bool


@dataclass
class Infer:
    """`grn infer`."""

    run: UserPath | None
    method: str | None
    data: Data | None
    tf: str | list[str] | None
    seed: int
    allow_negative: bool
    network: Network
    prior: Prior | None
    dynamics: Dynamics | None
    confidence: Confidence | None
    name: str | None
    group_by: str | None
    batch_key: str | None
    overwrite: bool


@dataclass
class Evaluate:
    """`grn evaluate`."""

    network: UserPath
    reference: UserPath
    candidates: Literal["all_genes", "reference_genes"]
    genes: UserPath | None
    group: str | None
    output: UserPath | None


@dataclass
class Export:
    """`grn export`."""

    network: UserPath
    output: UserPath
    format: str | None
    group: str | None
    fdr: float | None
    top: int | None
    per_target: int | None


@dataclass
class Compare:
    """`grn compare`."""

    network: UserPath
    other: UserPath | None
    top: int | list[int]
    differences: int
    group: str | None
    other_group: str | None
    output: UserPath | None


@dataclass
class Activity:
    """`grn activity`."""

    network: UserPath
    data: Data | None
    output: UserPath
    method: Literal["ulm", "mlm", "viper", "aucell", "gsva", "ora"]
    top: int | None
    per_target: int | None
    fdr: float | None
    min_targets: int
    group: str | None
    group_by: str | None
    centre: bool
    allow_negative: bool


@dataclass
class Differential:
    """`grn differential`."""

    data: Data | None
    group_by: str
    group: str | None
    reference: str
    output: UserPath
    tf: str | list[str] | None
    batch_key: str | None
    permutations: int | None
    seed: int
    allow_negative: bool


@dataclass
class Perturb:
    """`grn perturb`."""

    network: UserPath
    data: Data | None
    ko: str | list[str] | None
    oe: str | list[str] | dict[str, float] | None
    group: str | None
    group_by: str | None
    batch_key: str | None
    allow_negative: bool
    damping: float
    output: UserPath


@dataclass
class Report:
    """`grn report`."""

    run: UserPath
    output: UserPath | None
    title: str | None


@dataclass
class Simulate:
    """`grn simulate`."""

    data: Data
    output: UserPath
    reference: UserPath | None
    overwrite: bool


@dataclass
class Root:
    """Where the sets of a suite lie."""

    root: UserPath | None


@dataclass
class Suite:
    """What a benchmark compares on what. Entries of `sets` are checked by `grn.evaluation.benchmark.SetSpec`."""

    name: str
    methods: list[str] | None
    variants: list[dict[str, Any]]
    seeds: list[int]
    candidates: list[Literal["all_genes", "reference_genes"]]
    families: dict[str, Any]
    sets: list[dict[str, Any]]


@dataclass
class Benchmark:
    """`grn benchmark`."""

    suite: Suite
    data: Root
    methods: list[str] | None
    sets: list[str] | None
    seeds: list[int]
    variants: list[dict[str, Any]]
    files: list[dict[str, Any]]
    workers: int
    time_limit: float | None
    name: str | None
    resume: bool
    overwrite: bool


@dataclass
class Doctor:
    """`grn doctor`."""

    device: str | None


COMMANDS: dict[str, type] = {
    "train": Train,
    "infer": Infer,
    "evaluate": Evaluate,
    "export": Export,
    "report": Report,
    "compare": Compare,
    "activity": Activity,
    "differential": Differential,
    "perturb": Perturb,
    "simulate": Simulate,
    "benchmark": Benchmark,
    "doctor": Doctor,
}
