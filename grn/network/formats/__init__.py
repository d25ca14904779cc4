"""File formats of networks: one small module each, listed in the registry `FORMATS`.

What each keeps is told in docs/formats.md. Parquet is the canonical one.
"""

from grn.network.formats.registry import FORMATS, Format, read_network, write_network

__all__ = ["FORMATS", "Format", "read_network", "write_network"]
