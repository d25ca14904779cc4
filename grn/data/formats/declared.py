"""What a file declares to hold, compared with the free memory before any of it is read.

A few kilobytes of HDF5 or zarr can stand for terabytes of zeros, and a Matrix Market file names its size in one line.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from grn._errors import InputError, printable
from grn._memory import require_memory

# Python keeps each text of an array as an object of its own.
_BYTES_OF_A_TEXT = 64
_DEEPEST = 64
_MOST = 200_000  # arrays and groups
# deflate packs zeros 1032 to 1; what is smaller still was never written.
_PACKED_AT_MOST = 1032


def require_room(group: Any, where: str, remedy: str, *, on_disk: Collection[str] = ()) -> None:
    """Refuse an HDF5 or zarr group whose arrays do not fit into the free memory.

    Parameters
    ----------
    group
        Group of h5py or zarr that is about to be read whole.
    where
        Names it in the message.
    remedy
        A sentence on what to do.
    on_disk
        Paths within it, such as `"X"`, that will not be read.

    Raises
    ------
    InputError
        If they do not fit, or groups lie within each other deeper than any writer of AnnData puts them.
    """
    sizes = dict(_sizes(group, where, tuple(on_disk)))
    largest = max(sizes, key=sizes.__getitem__, default=None)
    most = f" (most of it {printable(largest)})" if largest is not None and len(sizes) > 1 else ""
    require_memory(sum(sizes.values()), f"{where}{most}", remedy)


def require_stored(dataset: Any, where: str) -> None:
    """Refuse an HDF5 array that is larger than the free memory and was, but for a trace, never written.

    For arrays that are read in blocks, and may therefore be larger than the memory.
    """
    if bytes_of(dataset) > _PACKED_AT_MOST * max(1, dataset.id.get_storage_size()):
        require_memory(
            bytes_of(dataset),
            f"{where} holds {dataset.id.get_storage_size():,} bytes, and",
            "It was not written to its end, or made to fill a memory: fetch or write it again.",
        )


def bytes_of(array: Any) -> int:
    """Bytes of an array of h5py or zarr once it is in memory, at least; 0 where it has no shape."""
    shape = getattr(array, "shape", None)
    if shape is None:
        return 0
    width = getattr(array.dtype, "itemsize", 0) or 1
    if getattr(array.dtype, "kind", "") in "OST":
        width = max(width, _BYTES_OF_A_TEXT)
    return math.prod(int(length) for length in shape) * int(width)


def _sizes(group: Any, where: str, on_disk: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    waiting = [("", group)]
    seen = 0
    while waiting:
        path, found = waiting.pop()
        seen += 1
        # Links can make a circle, and two to one group at each level make 2^levels of them.
        if path.count("/") > _DEEPEST or seen > _MOST:
            raise InputError(
                f"{where} has more than {_MOST:,} parts, or groups within groups deeper than {_DEEPEST} levels, so it "
                "is no expression data."
            )
        if path in on_disk:
            continue
        if hasattr(found, "keys"):
            # A link that leads nowhere gives None.
            waiting += [(f"{path}/{name}".lstrip("/"), found.get(name)) for name in found]
        else:
            yield path, bytes_of(found)


def require_entries(path: Path, rows: int, columns: int, entries: int) -> None:
    """Refuse a Matrix Market file whose header declares more than the free memory."""
    # Read as value, row and column of 8 bytes each, then turned round.
    require_memory(
        24 * entries + 8 * (rows + columns),
        f"{path}, by its header {rows:,} x {columns:,} with {entries:,} values,",
        "If the header is right, use a machine with more memory, or fewer cells.",
    )
