"""What a result was made with: command, versions, commit, memory, checksum of the input."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("grn", "torch", "triton", "lightning", "hydra-core", "omegaconf", "anndata", "scanpy"),
    *("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "networkx"),
)


def command_line(arguments: Sequence[str]) -> str:
    """The command as a user would type it again."""
    program = Path(arguments[0])
    shown = ["grn", program.stem] if program.parent.name == "commands" else [program.name]
    return shlex.join([*shown, *arguments[1:]])


def versions() -> dict[str, str]:
    """Versions of the packages a result may depend on; those not installed are left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Git commit of the package's own checkout, with `+changes` if files differ; None outside a checkout."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    try:
        head = _git(checkout, "rev-parse", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changed else "")


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """Kind of the machine: `system`, `kind`, `processor` and `cores`; nothing that names it."""
    processor = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        # On Linux platform.processor() is often empty or the same as the kind.
        found = re.search(r"^model name\s*:\s*(.+)$", facts.read_text(encoding="utf-8"), re.MULTILINE)
        processor = found[1].strip() if found else processor
    return {
        "system": platform.system(),
        "kind": platform.machine(),
        "processor": processor,
        "cores": os.cpu_count(),
    }


def peak_memory() -> dict[str, int]:
    """Largest memory of this process so far in bytes, `cpu` and, if used, `gpu`."""
    peak = {}
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its figure starts from the size of the process that started this one.
        peak["cpu"] = int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    elif sys.platform != "win32":
        import resource

        # Kilobytes elsewhere, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        peak["cpu"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak


def matrix_checksum(x: Any, *names: Any) -> str:
    """SHA-256 of a dense or sparse matrix's shape, numbers and names.

    Parameters
    ----------
    x
        `(cells, genes)`, numpy array or scipy CSR matrix.
    *names
        Sequences of names to include.
    """
    import numpy as np

    digest = hashlib.sha256(str(x.shape).encode())
    parts = (x.data, x.indices, x.indptr) if hasattr(x, "indptr") else (x,)
    for part in parts:
        digest.update(str(part.dtype).encode())
        digest.update(np.ascontiguousarray(part).data)
    for sequence in names:
        digest.update("\n".join(map(str, sequence)).encode())
    return digest.hexdigest()
