"""What a configuration or a checkpoint may build: a registry of names, by the place where each may stand.

A `_target_` is a dotted path, and it is looked up here and nowhere else: what is not registered is never imported.
A path that may stand at `data` may not stand at `model`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Of the model these are worked out from the data, of the optimizer and the callback from the run.
_FROM_DATA = ("n_genes", "mean", "std", "seed")
_OF_GENES = (*_FROM_DATA, "regulators", "detection", "batch_mean", "batch_detection")
# Settings of the Trainer that are plain values. The others take objects, or are the run folder's own affair.
_TRAINER = (
    *("accelerator", "devices", "num_nodes", "strategy", "precision", "deterministic", "benchmark"),
    *("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches", "detect_anomaly"),
    *("limit_train_batches", "limit_val_batches", "check_val_every_n_epoch", "val_check_interval"),
    *("min_epochs", "min_steps", "max_steps", "max_time", "overfit_batches", "inference_mode", "sync_batchnorm"),
    *("log_every_n_steps", "reload_dataloaders_every_n_epochs"),
)


@dataclass(frozen=True)
class Buildable:
    """One class or function that may be built.

    Attributes
    ----------
    target
        Its dotted path, as a `_target_` names it.
    settings
        The settings that a configuration may give; None: all of its parameters.
    ours
        Parameters that grn itself gives, which a configuration may not.
    nested
        Settings that are built too, with their place in `PLACES`.
    """

    target: str
    settings: tuple[str, ...] | None = None
    ours: tuple[str, ...] = ()
    nested: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Place:
    """A place of the configuration where something is built, and what may stand there."""

    what: str
    entries: dict[str, Buildable]


def _place(what: str, entries: Iterable[Buildable]) -> Place:
    return Place(what, {entry.target: entry for entry in entries})


_DATA = _place(
    "a source of data",
    (
        Buildable("grn.data.read_expression"),
        *(
            Buildable(f"grn.datasets.{name}")
            for name in ("beeline", "krumsiek11", "paul15", "pbmc3k", "pbmc68k", "simulated")
        ),
    ),
)
# Those that ask for nothing but parameters of any shape with dense gradients. LBFGS is left out: it calls the model
# many times a step.
_OPTIMIZERS = (
    *("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop"),
    "SGD",
)
# Those of Lightning that write no file, take no function and need no logger.
_CALLBACKS = ("EarlyStopping", "GradientAccumulationScheduler", "StochasticWeightAveraging", "Timer")

PLACES: dict[str, Place] = {
    "data": _DATA,
    "model": _place(
        "a model",
        (
            Buildable("grn.models.RegulatoryModel", ours=_OF_GENES, nested=(("encoder", "model.encoder"),)),
            Buildable("grn.models.GeneTransformer", ours=_FROM_DATA),
        ),
    ),
    "model.encoder": _place("an encoder", (Buildable("grn.models.GeneTransformer", ours=_FROM_DATA),)),
    "training.optimizer": _place(
        "an optimizer", (Buildable(f"torch.optim.{name}", ours=("params",)) for name in _OPTIMIZERS)
    ),
    "trainer": _place("the trainer", (Buildable("lightning.pytorch.Trainer", settings=_TRAINER),)),
    "callbacks.*": _place(
        "a callback",
        (
            Buildable("grn.training.checkpoints.BestAndLast", ours=("folder",)),
            *(Buildable(f"lightning.pytorch.callbacks.{name}") for name in _CALLBACKS),
        ),
    ),
    "suite.sets.*.data": _DATA,
}
