"""`grn infer`: read a trained run out again, on its own cells or on others, or infer without training."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from grn._errors import InputError
from grn.commands._launch import current_folder, launch, open_run, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="infer")
@task
def infer(cfg: DictConfig) -> None:
    """Make a network with a trained model, or with a method that needs none, and show it."""
    from grn import console, pipeline
    from grn._processes import is_first_process

    here = current_folder().resolve()
    if cfg.run is not None and Path(cfg.run).resolve() in (here, *here.parents[:1]):
        raise InputError(f"The network of {cfg.run} cannot be written into the run itself: give another name=...")
    cfg, folder = open_run(cfg)
    network = pipeline.infer_command(cfg, folder)
    if is_first_process():
        console.show_first_sight(network, folder)


def main() -> None:
    """Entry point of the command."""
    launch(infer, "infer")


if __name__ == "__main__":
    main()
