"""`grn benchmark`: methods, and other tools' networks, on sets whose network is known."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._launch import launch, open_run, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="benchmark")
@task
def benchmark(cfg: DictConfig) -> None:
    """Run what is not finished yet, and show the means."""
    from grn import benchmarking

    cfg, folder = open_run(cfg)
    results = benchmarking.benchmark(cfg, folder)
    benchmarking.show(results, folder)


def main() -> None:
    """Entry point of the command."""
    launch(benchmark, "benchmark")


if __name__ == "__main__":
    main()
