"""The package's logger. Each automatic choice (layer, device, backend, TF list) is told once, with its reason."""

from __future__ import annotations

import logging

logger = logging.getLogger("grn")
logger.addHandler(logging.NullHandler())
