"""A checkpoint of a stranger: what it declares and what it says is checked, and nothing in it is run."""

from __future__ import annotations

import copy
import functools
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from grn._errors import InputError
from grn._provenance import versions
from grn.config.registry import PLACES
from grn.data import CheckedData
from grn.data.check import check
from grn.resume import describe
from grn.training.build import build_data, build_objective, rebuild
from grn.training.checkpoints import load_checkpoint
from grn.training.described import check_checkpoint
from tests.training.conftest import cells, settings

MODELS = ("regulatory", "contextual", "transformer")
SMALL = {
    "regulatory": (),
    "contextual": ("model.encoder.dim=8", "model.encoder.layers=1", "model.encoder.heads=2"),
    "transformer": ("model.dim=8", "model.layers=1", "model.heads=2"),
}
HERE = Path("run.ckpt")
ZEROS = torch.zeros(1000)
OTHERS: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**9, 10**30, 1.5, float("nan"), float("inf"), "", "x", [], [None], {}),
    *({"_target_": "os.system", "_args_": ["touch ran"]}, "${oc.env:HOME}", b"bytes", (1, 2), torch.zeros(2)),
)


def made(model: str, **options: Any) -> dict[str, Any]:
    """A checkpoint as `grn train` writes it, of an objective that was not trained."""
    overrides = () if model == "regulatory" else ("training.noise=auto",)
    config = settings(f"model={model}", *SMALL[model], *overrides, *options.pop("overrides", ()))
    checked: CheckedData = check(cells(), tf=["A", "D"], **options)
    data = build_data(config["training"], checked, seed=0)
    objective = build_objective(config, checked, data, {**describe(config, checked), "versions": versions()})
    return {"grn": objective.description, "state_dict": dict(objective.state_dict())}


@pytest.fixture(scope="module")
def checkpoints() -> dict[str, dict[str, Any]]:
    return {**{model: made(model) for model in MODELS}, "batched": made("regulatory", batch_key="kind")}


def quantised(value: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(value, 1.0, 0, torch.quint8)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in a tree of dictionaries and lists, inner and outer ones; of long lists the ends alone."""
    if path:
        yield path
    keys: Any = node if isinstance(node, dict) else {0, len(node) - 1} if isinstance(node, list) and node else ()
    for key in keys:
        yield from places(node[key], (*path, key))


def changed(checkpoint: dict[str, Any], path: tuple[Any, ...], value: Any, *, remove: bool = False) -> dict[str, Any]:
    """The checkpoint with another value at `path`, or none."""
    said = copy.deepcopy({key: one for key, one in checkpoint.items() if key != "state_dict"})
    said["state_dict"] = dict(checkpoint["state_dict"])
    holder: Any = said
    for key in path[:-1]:
        holder = holder[key]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return said


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for child in node.values():
            yield from targets(child)


def survives(checkpoint: dict[str, Any], what: Any) -> bool:
    """Whether it is taken, and then makes a model with finite weights; anything but an InputError is a failure."""
    try:
        model, said = rebuild(check_checkpoint(checkpoint, HERE, of_run=True))
    except InputError:
        return False
    except Exception as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error}")
    assert all(bool(torch.isfinite(one).all()) for one in model.state_dict().values()), what
    registered = {target for place in PLACES.values() for target in place.entries}
    assert set(targets(said)) <= registered, what
    return True


@pytest.mark.parametrize("kind", [*MODELS, "batched"])
def test_a_checkpoint_of_ours_is_taken(kind: str, checkpoints: dict[str, Any], tmp_path: Path) -> None:
    torch.save(checkpoints[kind], tmp_path / "own.ckpt")
    read = load_checkpoint(tmp_path / "own.ckpt", of_run=True)
    assert read["grn"] == checkpoints[kind]["grn"]
    assert survives(read, kind)


@pytest.mark.parametrize("kind", [*MODELS, "batched"])
def test_every_entry_changed(kind: str, checkpoints: dict[str, Any]) -> None:
    """Each place of the description in turn is given values of other types, out of range, or is removed."""
    taken = refused = 0
    for path in places({"grn": checkpoints[kind]["grn"]}):
        if path[:2] == ("grn", "versions") and len(path) > 2:
            continue  # of which nothing is made
        if kind != "regulatory" and path[:2] not in (("grn", "model"), ("grn", "batches"), ("grn", "noise")):
            continue  # the same in each kind
        for value in OTHERS:
            survived = survives(changed(checkpoints[kind], path, value), (path, value))
            taken, refused = taken + survived, refused + (not survived)
        survives(changed(checkpoints[kind], path, None, remove=True), (path, "removed"))
    assert refused > 5 * taken


@pytest.mark.parametrize("kind", [*MODELS, "batched"])
def test_every_weight_changed(kind: str, checkpoints: dict[str, Any]) -> None:
    state = checkpoints[kind]["state_dict"]
    for key, value in state.items():
        bad = value.clone().float()
        bad.view(-1)[0] = float("nan")
        others = (
            *OTHERS,
            *(
                bad,
                value.float()[..., :-1],
                value.unsqueeze(0),
                torch.zeros(0),
                value.bool(),
                value.to(torch.complex64),
            ),
            *(value.to_sparse(), value.to("meta"), value.float().expand(3, *value.shape), value + 10**6),
            quantised(value.float()),
        )
        for other in others:
            kept = survives(changed(checkpoints[kind], ("state_dict", key), other), (key, type(other)))
            assert not kept or (isinstance(other, torch.Tensor) and other.shape == value.shape), (key, other)
        assert not survives(changed(checkpoints[kind], ("state_dict", key), None, remove=True), key)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("config", "data", "_target_"),
            "grn._provenance._git",
            r"data._target_ = 'grn._provenance._git' is not allowed",
        ),
        (("config", "data", "_args_"), ["x"], r"data._args_ is not a setting"),
        (("config", "trainer", "plugins"), ["x"], r"trainer.plugins is not a setting"),
        (("config", "seed"), "0", r"seed = '0' \(str\) does not fit"),
        (("config", "sed"), 0, r"sed is not a key of the configuration. Did you mean 'seed'"),
        (("model", "_target_"), "torch.nn.Linear", "model._target_ = 'torch.nn.Linear' is not allowed"),
        (("model", "head_dim"), 10**9, "head_dim"),
        (("config", "seed"), -1, "seed = -1 is too small"),
        (("config", "model"), {"_target_": "os.system"}, "model.name is missing"),
        (("regulators",), [0, 0], "different positions below 6"),
        (("regulators",), [0, 6], "different positions below 6"),
        (("genes",), list("ABCDE"), "one value for each of the 5 genes"),
        (("genes",), list("ABCDEE"), "expected a list of different names"),
        (("noise",), [1], "grn.noise = .* expected null, or a finite number"),
        (("batches",), ["x", "y"], "batches and the weights do not fit"),
        (("gens",), [], "grn.gens is no entry of a checkpoint. Did you mean 'genes'"),
    ],
)
def test_the_message_names_the_file_and_the_key(
    path: tuple[str, ...], value: Any, message: str, checkpoints: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=rf"^run.ckpt: .*{message}"):
        check_checkpoint(changed(checkpoints["regulatory"], ("grn", *path), value), HERE, of_run=True)


class _Runs:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


def _saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def _rewritten(content: bytes, pickled: bytes | None = None, **options: Any) -> bytes:
    """The zip file written anew, with another pickle or another compression."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", **options) as new:
        for name in old.namelist():
            new.writestr(name, pickled if pickled and name.endswith("data.pkl") else old.read(name))
    return stream.getvalue()


def _with_pickle(change: Any) -> bytes:
    content = _saved({"grn": {}, "state_dict": {"model.mean": torch.zeros(8)}})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        pickled = archive.read(name)
    return _rewritten(content, change(pickled))


def _doubled() -> bytes:
    stream = io.BytesIO(_saved({"a": torch.zeros(3)}))
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"x")
    return stream.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


# Pickles as a stranger writes them, and the words with which they are refused.
PICKLES: dict[str, tuple[Any, str]] = {
    "a shell command": (lambda _: pickle.dumps(_Runs(os.system, "touch ran"), 2), "it holds a"),
    "a function of ours": (lambda _: b"cgrn._provenance\n_git\n(X\x01\x00\x00\x00atR.", "it holds a grn"),
    "a long bytearray": (lambda _: pickle.dumps(_Runs(bytearray, 10**11), 2), "it holds a"),
    "a bytearray by its code": (lambda _: b"\x80\x05\x96" + (10**11).to_bytes(8, "little") + b".", "damaged"),
    "a long index": (lambda _: b"\x80\x02}r\xff\xff\xff\xff.", "not a checkpoint that"),
    "a cut pickle": (lambda pickled: pickled[:-2], "damaged"),
    "a storage larger than its record": (lambda one: one.replace(b"K\x08tq", b"K\xfetq"), "1,016 bytes, and 32"),
    "a state set on a class": (lambda _: b"\x80\x02ccollections\nOrderedDict\n}b.", "sets the state"),
    "a class called": (lambda _: b"\x80\x02ctorch\nFloatStorage\nK\xff\x85R.", "calls something"),
}
FILES: dict[str, tuple[Any, str]] = {
    **{name: (functools.partial(_with_pickle, change), words) for name, (change, words) in PICKLES.items()},
    "empty": (lambda: b"", "not a zip file"),
    "text": (lambda: b"<html>404</html>", "not a zip file"),
    "a zip of something": (lambda: _zip({"a.txt": b"x"}), "records data.pkl"),
    "the old format": (lambda: _saved({"grn": {}}, _use_new_zipfile_serialization=False), "not a zip file"),
    "a bare pickle": (lambda: pickle.dumps(_Runs(os.system, "touch ran")), "not a zip file"),
    "a module": (lambda: _saved(torch.nn.Linear(2, 2)), "it holds a torch.nn"),
    "a compressed record": (lambda: _rewritten(_saved({"a": ZEROS}), compression=zipfile.ZIP_DEFLATED), "compressed"),
    "a record twice": (_doubled, "the same name"),
    "an expanded tensor": (lambda: _saved({"a": ZEROS[:1].expand(10**9)}), "declared, and its record holds"),
    "a sparse tensor": (lambda: _saved({"a": ZEROS.to_sparse()}), "it holds a torch"),
    "a quantised tensor": (lambda: _saved({"a": quantised(ZEROS)}), "it holds a torch"),
    "a tensor on no device": (lambda: _saved({"a": torch.zeros(10**12, device="meta")}), "it holds a torch"),
    "a list": (lambda: _saved([1, 2]), "not a checkpoint that"),
    "nothing of ours": (lambda: _saved({"state_dict": {}}), "not a checkpoint that"),
    "a description that is a list": (lambda: _saved({"grn": [1], "state_dict": {}}), "grn is no dictionary"),
    "an empty description": (lambda: _saved({"grn": {}, "state_dict": {}}), "grn.genes is missing"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_checkpoint_of_ours(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = FILES[case]
    (tmp_path / "best.ckpt").write_bytes(content())
    with pytest.raises(InputError, match=rf"best.ckpt.*{message}"):
        load_checkpoint(tmp_path / "best.ckpt")
    assert [one.name for one in tmp_path.iterdir()] == ["best.ckpt"]


def test_bytes_changed_at_random(checkpoints: dict[str, Any], tmp_path: Path) -> None:
    """A byte changed in the names and settings, in each of 400 ways: refused, or still a sound checkpoint."""
    generator = torch.Generator().manual_seed(0)
    content = _saved({**checkpoints["regulatory"]})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    path = tmp_path / "best.ckpt"
    messages = []
    for _ in range(400):
        place = int(torch.randint(len(pickled), (1,), generator=generator))
        byte = bytes(torch.randint(256, (1,), generator=generator, dtype=torch.uint8).tolist())
        path.write_bytes(_rewritten(content, pickled[:place] + byte + pickled[place + 1 :]))
        try:
            survives(load_checkpoint(path, of_run=True), (place, byte))
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(str(path) in message or "The checkpoint's" in message for message in messages)
