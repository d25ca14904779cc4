"""Words for the sign of an edge, as tables of the field write them."""

from __future__ import annotations

SIGNS = {
    **dict.fromkeys(("+", "+1", "1", "1.0", "activation", "activates", "positive"), 1),
    **dict.fromkeys(("-", "-1", "-1.0", "repression", "represses", "inhibition", "negative"), -1),
    **dict.fromkeys(("", "0", "0.0", "?", "nan", "none", "unknown", "+-"), 0),
}
