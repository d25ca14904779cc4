"""How much memory is free, and a refusal before more than that is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

from grn._errors import InputError

# The limit of a container, and what it uses of it: version 2 of Linux's control groups, then version 1.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int | None:
    """Bytes that this process may still ask for; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    table = Path("/proc/meminfo")
    lines = table.read_text(encoding="ascii").splitlines() if table.is_file() else []
    amounts = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    found = [amounts["MemAvailable"] + amounts.get("SwapFree", 0)] if "MemAvailable" in amounts else []
    for limit, used in _LIMITS:
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(0, min(found)) if found else None


def require_memory(count: int, what: str, remedy: str) -> None:
    """Refuse what needs more memory than is free, before it is asked for.

    Files may declare any size: a few kilobytes can stand for terabytes of zeros.

    Parameters
    ----------
    count
        Bytes needed.
    what
        What needs them, as the subject of a sentence, such as `"X of a.h5ad"`.
    remedy
        A sentence on what to do.

    Raises
    ------
    grn._errors.InputError
        If more is needed than is free.
    """
    free = free_memory()
    if free is not None and count > free:
        raise InputError(f"{what} needs {size(count)} of memory, and {size(free)} are free. {remedy}")


def size(count: int) -> str:
    """Bytes as text.

    Examples
    --------
    >>> size(3 << 30)
    '3.0 GiB'
    """
    amount, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:,.0f} {units[0]}" if units[0] == "bytes" else f"{amount:,.1f} {units[0]}"
