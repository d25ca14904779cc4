"""`grn train`: check, train, extract, write, report; everything lands in the run folder."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._launch import launch, open_run, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="train")
@task
def train(cfg: DictConfig) -> None:
    """Train on the configured data and show the network."""
    from grn import console, pipeline

    cfg, folder = open_run(cfg)
    network = pipeline.train(cfg, folder)
    if network is not None:
        console.show_first_sight(network, folder)


def main() -> None:
    """Entry point of the command."""
    launch(train, "train")


if __name__ == "__main__":
    main()
