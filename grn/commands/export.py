"""`grn export`: write a network, or its strongest edges, in another format."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="export")
@task
def export(cfg: DictConfig) -> None:
    """Read, keep what was asked for, write."""
    from grn import console
    from grn.network import GeneNetwork

    network = GeneNetwork.read(cfg.network)
    if cfg.group is not None:
        network = network.of_group(cfg.group)
    network = network.chosen(fdr=cfg.fdr, per_target=cfg.per_target, top=cfg.top)
    network.write(cfg.output, format=cfg.format)
    console.show(f"{len(network):,} edges written to {cfg.output}")


def main() -> None:
    """Entry point of the command."""
    launch(export, "export")


if __name__ == "__main__":
    main()
