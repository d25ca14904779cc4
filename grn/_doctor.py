"""What an installation would run on: versions, devices, attention backends, memory, folders."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from grn._errors import InputError
from grn._memory import free_memory, size
from grn._provenance import commit, versions

Rows = list[tuple[str, str]]


def examine(device: str | None = None) -> dict[str, Rows]:
    """Label and value pairs by topic.

    Parameters
    ----------
    device
        Explain the attention backend of this device alone (``cpu``, ``cuda``, ``mps``, ...); None: of all.

    Returns
    -------
    dict
        Topic to rows: ``Versions``, ``Devices``, ``Attention``, ``Memory``, ``Folders``.

    Raises
    ------
    grn._errors.InputError
        If there is no such device here.

    Examples
    --------
    >>> list(examine("cpu"))
    ['Versions', 'Devices', 'Attention', 'Memory', 'Folders']
    """
    import torch

    from grn.config.paths import conf_dir
    from grn.data.download import cache_folder
    from grn.kernels import explain_backend

    present = _devices()
    if device is not None and device not in present:
        known = device == "cuda" and "cuda:0" in present
        if not known:
            raise InputError(f"device={device}: there is no such device here. There is: {', '.join(present)}.")
    chosen = [device] if device is not None else list(present)
    return {
        "Versions": [
            ("python", platform.python_version()),
            *versions().items(),
            ("commit", commit() or "no checkout"),
        ],
        "Devices": [
            *present.items(),
            ("threads", f"{torch.get_num_threads()} of {os.cpu_count()} (OMP_NUM_THREADS changes it)"),
        ],
        "Attention": [(name, "{}: {}".format(*explain_backend(name))) for name in chosen],
        "Memory": [(name, _amount(_free_memory(name))) for name in present],
        "Folders": [
            ("package", str(Path(__file__).resolve().parent)),
            ("configuration", str(conf_dir())),
            ("downloads", str(cache_folder())),
        ],
    }


def _devices() -> dict[str, str]:
    import torch

    found = {"cpu": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"}
    for index in range(torch.cuda.device_count()):
        found[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def _free_memory(device: str) -> int | None:
    """Free bytes of a device; None where the system does not tell."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return free_memory()


def _amount(count: int | None) -> str:
    return "not told by this system" if count is None else f"{size(count)} free"
