"""What a checkpoint file declares, looked at before torch reads it.

`torch.load(weights_only=True)` runs nothing, but it trusts the sizes that the file declares: a storage that is larger
than its record is read beyond its end, and a compressed record, an expanded tensor or a long bytearray takes all the
memory. Here the pickle is walked with stand-ins for the four things that a checkpoint of ours is made of. Nothing is
allocated that the file does not hold.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from grn._errors import InputError

# Of the names, settings and losses in a checkpoint; the weights stand in records of their own.
LARGEST_PICKLE = 64 << 20
_ITEM_SIZES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("BoolStorage", "ByteStorage", "CharStorage"), 1),
}
_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_ORDERED = ("collections", "OrderedDict")
# What torch.save writes of plain values and dense tensors. Others are refused, bytearrays of any length among them.
_OPERATIONS = (
    *(pickle.PROTO, pickle.STOP, pickle.GLOBAL, pickle.MARK, pickle.REDUCE, pickle.BUILD, pickle.BINPERSID),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1),
    *(pickle.BINFLOAT, pickle.BINUNICODE),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET),
)
_DAMAGED = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, struct.error, ValueError, TypeError, KeyError),
    *(IndexError, AttributeError, OverflowError, RecursionError, NotImplementedError, RuntimeError),
)


@dataclass(frozen=True, slots=True)
class _Global:
    """Stand-in for a class or function; it can be called in no way."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """Stand-in for a storage: how many values its record holds."""

    values: int


def refuse_unsound(path: Path) -> None:
    """Refuse a checkpoint file that declares more than it holds, or holds what no checkpoint of ours does.

    Raises
    ------
    grn._errors.InputError
        If it is no file of `torch.save` in its present format, is damaged, holds an object that is not a plain value
        or a dense tensor, or a record is compressed, encrypted, doubled or of another size than is declared.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is not a checkpoint, or it is damaged: it is not a zip file as torch.save writes it.")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _records(archive, path)
            pickles = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise InputError(f"{path} is not a checkpoint: it has {len(pickles)} records data.pkl, not one.")
            if sizes[pickles[0]] > LARGEST_PICKLE:
                raise InputError(
                    f"{path} is refused: its names and settings alone take {sizes[pickles[0]]:,} bytes, and at most "
                    f"{LARGEST_PICKLE:,} are read."
                )
            _Outline(archive.read(pickles[0]), sizes, pickles[0].partition("/")[0]).load()
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path} is refused: {error}") from None
    except _DAMAGED as error:
        raise InputError(f"{path} is not a checkpoint, or it is damaged ({type(error).__name__}: {error}).") from error


def _records(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """Size of each record by name."""
    records = archive.infolist()
    sizes = {one.filename: one.file_size for one in records}
    odd = [one.filename for one in records if one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1]
    if odd:
        raise InputError(f"{path} is refused: its record {odd[0]!r} is compressed or encrypted.")
    if len(sizes) < len(records):
        raise InputError(f"{path} is refused: two of its records have the same name.")
    if sum(sizes.values()) > path.stat().st_size:
        raise InputError(
            f"{path} is refused: its records declare {sum(sizes.values()):,} bytes, and the file has "
            f"{path.stat().st_size:,}."
        )
    return sizes


class _Outline(pickle._Unpickler):  # documented as Unpickler, whose form in C is chosen where there is one
    """Walk a pickle with stand-ins; in Python, because the one in C allocates what an index says."""

    dispatch: ClassVar[dict[int, Any]] = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in _OPERATIONS}

    def __init__(self, content: bytes, sizes: dict[str, int], top: str) -> None:
        super().__init__(io.BytesIO(content))
        self._sizes, self._top = sizes, top
        self.stack: list[Any]

    def find_class(self, module: str, name: str) -> _Global:
        """The stand-in for a name that a checkpoint may hold."""
        known = (module, name) in (_TENSOR, _ORDERED) or (module == "torch" and name in _ITEM_SIZES)
        if not known:
            raise InputError(f"it holds a {module}.{name}, which is no plain value and no dense tensor.")
        return _Global(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        """The stand-in for a storage whose record has the size that is declared."""
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0:
            raise InputError("a storage is declared in an unknown way.")
        size, there = count * _ITEM_SIZES[storage.name], self._sizes.get(f"{self._top}/data/{key}")
        if there != size:
            raise InputError(
                f"the tensor in record {key} is declared with {size:,} bytes, and {there or 0:,} are there."
            )
        return _Storage(count)

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        called = self.stack[-1]
        if called == _Global(*_ORDERED) and arguments == ():
            self.stack[-1] = OrderedDict()
        elif called == _Global(*_TENSOR):
            _check_tensor(*arguments)
            self.stack[-1] = None
        else:
            raise InputError("it calls something that no checkpoint calls.")

    def _build(self) -> None:
        self.stack.pop()
        if type(self.stack[-1]) is not OrderedDict:
            raise InputError("it sets the state of something that is no dictionary.")

    dispatch[pickle.REDUCE[0]], dispatch[pickle.BUILD[0]] = _reduce, _build


def _check_tensor(
    storage: Any, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], gradient: bool, hooks: Any
) -> None:
    """Refuse a tensor that shows more values than its storage holds, or the same ones many times."""
    numbers = (offset, *shape, *stride)
    plain = type(gradient) is bool and type(hooks) is OrderedDict and not hooks
    if not isinstance(storage, _Storage) or len(shape) != len(stride) or not plain:
        raise InputError("a tensor has no storage, hooks, or a shape that does not fit its strides.")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise InputError("a tensor's shape and strides are no whole numbers.")
    count = math.prod(shape)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True)) if count else 0
    if count and (count > storage.values or last >= storage.values):
        raise InputError(f"a tensor of shape {shape} is declared, and its record holds {storage.values:,} values.")
