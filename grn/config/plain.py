"""A configuration as plain dictionaries and lists."""

from __future__ import annotations

from typing import Any

from grn._errors import InputError


def plain_config(cfg: Any) -> dict[str, Any]:
    """Dictionaries and lists, interpolations resolved; an error where a value is missing."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not OmegaConf.is_config(cfg):
        return dict(cfg)
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(str(error).partition("\n")[0]) from error
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(f"{' and '.join(missing)} must be given: add {' '.join(f'{key}=...' for key in missing)}")
    if not isinstance(plain, dict):
        raise InputError("The configuration is a list; expected keys with values.")
    return {str(key): value for key, value in plain.items()}
