"""Configuration: composing it from conf/*.yaml, checking it, building objects from it."""

from grn.config.composing import compose
from grn.config.overrides import prepare_override
from grn.config.paths import conf_dir, expand_paths
from grn.config.plain import plain_config
from grn.config.targets import check_place, factory, instantiate, load_data
from grn.config.validating import validate

__all__ = [
    "check_place",
    "compose",
    "conf_dir",
    "expand_paths",
    "factory",
    "instantiate",
    "load_data",
    "plain_config",
    "prepare_override",
    "validate",
]
