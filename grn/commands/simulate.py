"""`grn simulate`: write simulated expression and the network it came from."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from grn._errors import InputError
from grn.commands._files import write_h5ad, write_table
from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="simulate")
@task
def simulate(cfg: DictConfig) -> None:
    """Simulate, then write both files."""
    from grn import console
    from grn.config import load_data

    output = Path(cfg.output)
    if output.suffix != ".h5ad":
        raise InputError(f"output={output} must end in .h5ad.")
    reference = Path(cfg.reference or output.with_name(f"{output.stem}_reference.csv"))
    standing = [str(path) for path in (output, reference) if path.exists()]
    if standing and not cfg.overwrite:
        raise InputError(f"{' and '.join(standing)} would be replaced: give output=..., or overwrite=true.")
    adata = load_data(cfg.data)
    if "reference" not in adata.uns:
        raise InputError(f"data={cfg.data.name} has no known network. Use data=simulated.")
    write_h5ad(adata, output)
    write_table(adata.uns["reference"], reference)
    console.show(f"{adata.n_obs:,} cells x {adata.n_vars:,} genes written to {output}, the network to {reference}")


def main() -> None:
    """Entry point of the command."""
    launch(simulate, "simulate")


if __name__ == "__main__":
    main()
