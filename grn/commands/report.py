"""`grn report`: the report of a finished run, made again."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="report")
@task
def report(cfg: DictConfig) -> None:
    """Read what the run left in its folder, write the page."""
    from grn import console
    from grn.plotting import write_report

    path = write_report(cfg.run, output=cfg.output, title=cfg.title or "")
    console.show(f"Report  {path}")


def main() -> None:
    """Entry point of the command."""
    launch(report, "report")


if __name__ == "__main__":
    main()
