"""Sets to start with: bundled, simulated, downloaded, or in a folder of BEELINE's layout.

Where the true network is known, ``adata.uns["reference"]`` holds it as a table of source, target and sign.
"""

from __future__ import annotations

from grn.data.beeline import beeline
from grn.data.bundled import krumsiek11, pbmc68k
from grn.data.download import paul15, pbmc3k
from grn.data.simulator.simulate import simulate as simulated

__all__ = ["beeline", "krumsiek11", "paul15", "pbmc3k", "pbmc68k", "simulated"]
