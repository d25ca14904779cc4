"""`grn doctor`: what this installation would run on, and why."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="doctor")
@task
def doctor(cfg: DictConfig) -> None:
    """Show versions, devices, backends, memory and folders."""
    from grn import console
    from grn._doctor import examine

    for title, rows in examine(cfg.device).items():
        console.show_rows(title, rows)


def main() -> None:
    """Entry point of the command."""
    launch(doctor, "doctor")


if __name__ == "__main__":
    main()
