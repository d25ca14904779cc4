"""`grn evaluate`: score a network against a reference."""

from __future__ import annotations

import json
from pathlib import Path

import hydra
from omegaconf import DictConfig

from grn._errors import InputError
from grn._files import write_text
from grn._opening import require_file
from grn._tables import open_text
from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="evaluate")
@task
def evaluate(cfg: DictConfig) -> None:
    """Read, score, show, and write the scores where that is asked for."""
    from grn import console, evaluation
    from grn.network import GeneNetwork

    network = GeneNetwork.read(cfg.network)
    if cfg.group is not None:
        network = network.of_group(cfg.group)
    genes = None if cfg.genes is None else read_genes(Path(cfg.genes))
    scores = evaluation.evaluate(network, cfg.reference, genes=genes, candidates=cfg.candidates)
    console.show_scores(scores, f"{cfg.network} against {cfg.reference}, candidates {cfg.candidates}")
    if cfg.output is not None:
        write_scores(scores, Path(cfg.output))


def read_genes(path: Path) -> list[str]:
    """Names of all genes of the data: those of an .h5ad, or the lines of a text file."""
    require_file(path, "the list of genes")
    if path.suffix == ".h5ad":
        from grn.data.readers import read_expression

        return [str(name) for name in read_expression(path, backed=True, layer="X").var_names]
    with open_text(path, "the list of genes") as stream:
        return stream.read().split()


def write_scores(scores: dict[str, float | int], path: Path) -> None:
    """Write metrics as one JSON object, or as CSV with one row per metric."""
    if path.suffix == ".json":
        # JSON knows no NaN: a metric that is not defined becomes null.
        known = {name: None if value != value else value for name, value in scores.items()}
        text = json.dumps(known, indent=2)
    elif path.suffix == ".csv":
        text = "\n".join(["metric,value", *(f"{name},{value}" for name, value in scores.items())])
    else:
        raise InputError(f"output={path} must end in .json or .csv.")
    write_text(path, f"{text}\n")


def main() -> None:
    """Entry point of the command."""
    launch(evaluate, "evaluate")


if __name__ == "__main__":
    main()
