"""Where the configuration lives: `grn/conf` in a wheel, the repository's `conf` in an editable install."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Absolute path of the folder of the package's configuration files."""
    package = Path(__file__).resolve().parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"
