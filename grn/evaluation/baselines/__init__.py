"""Other ways to infer a network, all with one call: what every claim about our model is measured against.

`BASELINES[name].score(x, regulators, seed=0)` takes log-normalised expression (cells, genes) and the positions of the
regulators among the genes, int64 (regulators,), and gives scores (regulators, genes): signed (positive = activation)
or, for an unsigned method, not negative. A regulator's entry for itself is 0. `grn.tl.infer(adata, method=name)` and
`grn infer method=name` make a network of them.
"""

from grn._errors import InputError, did_you_mean
from grn.evaluation.baselines import (
    closed_form,
    clr,
    elastic_net,
    genie3,
    grnboost2,
    partial_correlation,
    pearson,
    ridge,
    softmax_attention,
    spearman,
    unnormalised_attention,
)
from grn.evaluation.baselines.baseline import Baseline, Score

BASELINES: dict[str, Baseline] = {
    one.name: one
    for one in (
        pearson.BASELINE,
        spearman.BASELINE,
        clr.BASELINE,
        partial_correlation.BASELINE,
        ridge.BASELINE,
        elastic_net.BASELINE,
        closed_form.BASELINE,
        genie3.BASELINE,
        grnboost2.BASELINE,
        softmax_attention.BASELINE,
        unnormalised_attention.BASELINE,
    )
}

__all__ = ["BASELINES", "Baseline", "Score", "find"]


def find(name: str) -> Baseline:
    """The method called `name`.

    Raises
    ------
    InputError
        If there is none; near misses are named.
    """
    if name not in BASELINES:
        raise InputError(
            f"Unknown method {name!r}; choose one of {', '.join(BASELINES)}.{did_you_mean(str(name), BASELINES)}"
        )
    return BASELINES[name]
