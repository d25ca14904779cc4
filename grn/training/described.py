"""What a checkpoint says of itself, checked like what a user types: names, types, ranges, and the weights with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from grn._errors import InputError, did_you_mean

# Settings of a run that its checkpoint does not hold: they say where it goes, or what is written (`grn.resume`).
NOT_TRAINED = ("name", "resume", "overwrite", "network", "prior", "confidence")
# Names of genes are most of them.
MOST_VALUES = 5_000_000
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _names(value: Any) -> bool:
    return _texts(value) and len(value) > 0 and len(set(value)) == len(value) and "" not in value


def _positions(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(type(one) is int and one >= 0 for one in value)


def _versions(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str | None) for one in value.values())


def _noise(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(isinstance(key, str) for key in value)
        and all(type(one) in (int, float) and math.isfinite(one) and one >= 0 for one in value.values())
    )


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One entry of a description: whether a value fits, what is expected, whether every checkpoint has it."""

    fits: Callable[[Any], bool]
    expected: str
    always: bool = True


ENTRIES = {
    "genes": _Entry(_names, "a list of different names"),
    "regulators": _Entry(_positions, "a list of positions among the genes"),
    "batches": _Entry(lambda value: value is None or _names(value), "a list of different names or null"),
    "model": _Entry(lambda value: isinstance(value, dict), "the settings of the model"),
    "noise": _Entry(_noise, "null, or a finite number for each view"),
    # Of a run's checkpoint; a model trained from Python without a run may lack them.
    "config": _Entry(lambda value: isinstance(value, dict), "the settings of the run", always=False),
    "input": _Entry(lambda value: isinstance(value, str), "a checksum", always=False),
    "kind": _Entry(lambda value: isinstance(value, str), "text", always=False),
    "versions": _Entry(_versions, "versions by package", always=False),
}


def check_checkpoint(checkpoint: Any, path: Path, *, of_run: bool = False) -> dict[str, Any]:
    """The checkpoint, if what it says can be true.

    Parameters
    ----------
    checkpoint
        What torch read.
    path
        Its file, for messages.
    of_run
        Whether it must hold everything that a checkpoint of a run holds, its settings among it.

    Raises
    ------
    grn._errors.InputError
        If something is missing, unknown, of another type, out of range or contradicts the rest: the message names the
        file and the key.
    """
    if not isinstance(checkpoint, dict) or "grn" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint that `grn train` wrote.")
    said = checkpoint["grn"]
    _check_plain(said, path)
    _check_entries(said, path, of_run)
    weights = _check_weights(checkpoint.get("state_dict"), path)
    genes, regulators = len(said["genes"]), said["regulators"]
    if max(regulators) >= genes or len(set(regulators)) < len(regulators):
        raise InputError(f"{path}: regulators must be different positions below {genes}, the number of genes.")
    for name in ("mean", "std"):
        if name not in weights or weights[name].shape != (genes,):
            raise InputError(f"{path}: state_dict.model.{name} must have one value for each of the {genes} genes.")
    if not bool((weights["std"] > 0).all()):
        raise InputError(f"{path}: state_dict.model.std must be above 0.")
    batches = said["batches"]
    for name in ("detection", "batch_mean", "batch_detection"):
        shape = (genes,) if name == "detection" else (len(batches or ()), genes)
        if name in weights and weights[name].shape != shape:
            raise InputError(
                f"{path}: state_dict.model.{name} has the shape {tuple(weights[name].shape)}, not {shape}."
            )
    if (batches is None) != ("batch_mean" not in weights) or ("batch_mean" in weights) != (
        "batch_detection" in weights
    ):
        raise InputError(f"{path}: batches and the weights do not fit: the one or the other knows no batches.")
    if of_run:
        _check_settings(said, path)
    _check_model(said["model"], weights, genes, len(regulators), path)
    return checkpoint


def _check_plain(said: Any, path: Path) -> None:
    """Refuse what YAML could not hold, references to other values or to the environment, and a tree without end."""
    waiting, seen = [("grn", said)], 0
    while waiting:
        where, value = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise InputError(f"{path}: the description has more than {MOST_VALUES:,} values, as none of ours has.")
        if isinstance(value, dict):
            if not all(type(key) in (str, int) for key in value):
                raise InputError(f"{path}: {where} has a key that is neither text nor a whole number.")
            waiting += [(f"{where}.{key}", child) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [(where, child) for child in value]
        elif type(value) not in (str, int, float, bool, type(None)):
            raise InputError(f"{path}: {where} holds a {type(value).__name__}, and only plain values may stand there.")
        elif type(value) is int and not -(2**63) <= value < 2**63:
            raise InputError(f"{path}: {where} holds a whole number beyond 64 bits.")
        elif type(value) is str and "${" in value and where.startswith(("grn.config", "grn.model")):
            raise InputError(f"{path}: {where} = {value[:80]!r} refers to something else, and nothing there may.")


def _check_entries(said: Any, path: Path, of_run: bool) -> None:
    if not isinstance(said, dict):
        raise InputError(f"{path} is not a checkpoint that `grn train` wrote: its entry grn is no dictionary.")
    for key in said:
        if key not in ENTRIES:
            raise InputError(
                f"{path}: grn.{key} is no entry of a checkpoint.{did_you_mean(str(key), ENTRIES)} A later version of "
                "grn may have written it: read it with that."
            )
    for key, entry in ENTRIES.items():
        if key not in said:
            if entry.always or of_run:
                raise InputError(f"{path}: grn.{key} is missing: it should be {entry.expected}.")
        elif not entry.fits(said[key]):
            shown = repr(said[key])
            raise InputError(f"{path}: grn.{key} = {shown[:80]} does not fit: expected {entry.expected}.")


def _check_weights(state: Any, path: Path) -> dict[str, torch.Tensor]:
    """The weights by name, each a dense tensor of finite numbers."""
    if not isinstance(state, dict) or not state:
        raise InputError(f"{path}: state_dict is missing, or is no dictionary of weights.")
    for key, value in state.items():
        where = f"{path}: state_dict.{key}"
        if not isinstance(key, str) or not key.startswith("model."):
            raise InputError(f"{where} belongs to no model.")
        dense = isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized
        if not dense or value.device.type != "cpu" or value.dtype not in _DTYPES:
            raise InputError(f"{where} is no dense tensor of numbers.")
        if not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{where} holds NaN or infinity: the run that wrote it diverged. Lower training.optimizer.lr."
            )
    return {key.removeprefix("model."): value for key, value in state.items()}


def _check_settings(said: Mapping[str, Any], path: Path) -> None:
    from grn.config import validate

    config = said["config"]
    if "batch_key" not in config:
        raise InputError(
            f"{path}: the run was made by an earlier version of grn, whose model this one does not read. Train it "
            "again, with overwrite=true in its place."
        )
    try:
        validate(config, "train", absent=NOT_TRAINED)
    except InputError as error:
        raise InputError(f"{path}: grn.config: {error}") from error
    if config["model"] != said["model"]:
        raise InputError(
            f"{path}: grn.model and grn.config.model differ, and are the same in every checkpoint of ours."
        )


def _check_model(
    model: Mapping[str, Any], weights: Mapping[str, torch.Tensor], genes: int, regulators: int, path: Path
) -> None:
    """Refuse settings of a model larger than its weights, before that model is made."""
    from grn.config import check_place

    try:
        check_place("model", model, where="model", own=("name",))
    except InputError as error:
        raise InputError(f"{path}: grn.{error}") from error
    views = model.get("views") or {}
    for name, keys in (("regulators", regulators), ("genes", genes)):
        if views.get(name) is not None:
            least = model.get("head_dim") or min(keys, 128)
            query = weights.get(f"views.{name}.query")
            if query is None or query.ndim != 2 or len(query) != genes or query.shape[1] < least:
                raise InputError(
                    f"{path}: grn.model.views.{name} or head_dim does not fit state_dict.model.views.{name}."
                )
    encoder = model.get("encoder") or (model if "views" not in model else None)
    if encoder is None:
        return
    prefix = "encoder." if "views" in model else ""
    dim, layers = encoder.get("dim") or 0, encoder.get("layers") or 0
    identity = weights.get(f"{prefix}identity")
    there = [key for key in weights if key.startswith(f"{prefix}layers.") and key.endswith(".up.weight")]
    fits = identity is not None and identity.shape == (genes, dim) and len(there) == layers
    if not fits or any(weights[key].shape != (2 * dim, dim) for key in there):
        raise InputError(
            f"{path}: dim={dim} and layers={layers} of grn.model do not fit the weights of the transformer."
        )
