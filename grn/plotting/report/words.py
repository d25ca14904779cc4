"""What a weight means, and when not to trust it: the same in every report of a method."""

from __future__ import annotations

from grn.network.network import GeneNetwork

LIMITS = (
    ("A ranked list of hypotheses.", "Correlated causes make strong edges too. An edge is a reason to look, no proof."),
    (
        "Cell types are the commonest such cause.",
        "Where the cells are of distinct types, the strongest edges join regulators and markers of the same type. "
        "They may be true, but these cells do not show it; infer within one type to find out more.",
    ),
    (
        "Expression is not activity.",
        "A regulator that is switched by phosphorylation, a ligand or a partner is invisible here: an edge that is "
        "missing means nothing.",
    ),
    (
        "Direction comes from the list of regulators.",
        "Of two regulators that predict each other, both directions usually get a weight.",
    ),
    ("Redundant regulators share an effect.", "One that is measured badly may be replaced by another that follows it."),
    ("Few cells.", "With a hundred cells the weak edges are chance."),
    ("Runs do not compare by weight.", "Weights depend on the genes and regulators of the run; compare ranks."),
)
SIGNS = (
    "Signs are uncertain.",
    "On the real references we know, no method tells activation from repression much better than always guessing "
    "activation. Build nothing on the sign of a single edge.",
)
UNTESTED = (
    "No confidence was computed.",
    "There is no standard error, p-value or false discovery rate in this network: a long list of edges is not a list "
    "of discoveries.",
)


def meaning(network: GeneNetwork) -> list[str]:
    """Paragraphs on what a weight, and the confidence where it is there, say."""
    paragraphs = [_direction(network), _weight(network)]
    if "confidence" in network.edges:
        paragraphs.append(_confidence(network))
    if "pvalue" in network.edges or "qvalue" in network.edges:
        paragraphs.append(
            "p is the chance of so strong a tie, beyond all other regulators, where the gene's values are shuffled "
            "over the cells. q is the share of false ones to expect among all edges with a q as small: of those up to "
            "0.05, about one in twenty is chance. Only chance is counted, not common causes."
        )
    return paragraphs


def limits(network: GeneNetwork) -> list[tuple[str, str]]:
    """When not to trust the network: claim and explanation."""
    tested = any(name in network.edges for name in ("confidence", "pvalue", "qvalue"))
    return [*LIMITS, *([SIGNS] if network.signed else []), *([] if tested else [UNTESTED])]


def _direction(network: GeneNetwork) -> str:
    text = "An edge goes from a regulator to a target gene. "
    if network.signed:
        text += "A positive weight says that the target rises with the regulator (activates), a negative one that it "
        text += "falls (represses)."
    else:
        text += "This method tells no signs: the edge says that the regulator matters for the target, not in which "
        text += "direction it moves it."
    return text


def _confidence(network: GeneNetwork) -> str:
    settings = network.params.get("confidence")
    halves = f"{settings['resamples']} " if isinstance(settings, dict) and "resamples" in settings else ""
    return (
        f"Confidence lies between 0 and 1: the share of {halves}random halves of the cells in which the edge is found "
        "again, with the same sign and among the strongest. It says that these data support the edge steadily, not "
        "that it is causal: an edge from a common cause is steady too."
    )


def _weight(network: GeneNetwork) -> str:
    from grn.evaluation.baselines import BASELINES

    method, readout = network.params.get("method"), network.params.get("readout")
    ranks = "Weights rank edges within this network; nearly every pair of regulator and gene has one, so take the "
    ranks += "strongest thousand, or ten for each gene, not all."
    if method in BASELINES:
        told = f"A weight is a score of the method {method}: {BASELINES[method].summary}."
        if readout == "sphere":
            told += " It was divided by each target's row norm."
    elif method == "transformer":
        told = "A weight is the mean attention of a transformer's last layer, and follows co-expression."
    elif readout == "sphere":
        told = (
            "A weight is a share between \u22121 and 1: how much of what explains the target over these cells points "
            "to this regulator. It is the mean of two fits, one to the regulators alone and one to all genes; where "
            "they disagree it is small. It is no effect size."
        )
    elif readout == "effect":
        told = (
            "A weight says by how many of its standard deviations the target's predicted level moves with this "
            "regulator's variation over these cells, with all other regulators in the model. A penalty shrinks it, so "
            "do not quote it as an effect size."
        )
    else:
        told = "The larger a weight without its sign, the stronger the edge."
    return f"{told} {ranks}"
