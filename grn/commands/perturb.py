"""`grn perturb`: what a knock-out or overexpression does to the other genes."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from grn.commands._files import TABLES, announced, checked_output, given_data, write_h5ad, write_table
from grn.commands._launch import launch, task
from grn.config import conf_dir

SHOWN = 15


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="perturb")
@task
def perturb(cfg: DictConfig) -> None:
    """Read, predict, write, show the genes that move most."""
    from grn import console, tl
    from grn.network import GeneNetwork

    output = checked_output(cfg.output, (*TABLES, ".h5ad"))
    adata = given_data(cfg, "the unperturbed cells, ")
    known = announced(adata, output)
    ko, oe = (OmegaConf.to_object(one) if OmegaConf.is_config(one) else one for one in (cfg.ko, cfg.oe))
    names = ("group", "group_by", "batch_key", "allow_negative", "damping")
    table = tl.perturb(
        adata,
        ko=ko,  # type: ignore[arg-type]
        oe=oe,  # type: ignore[arg-type]
        network=GeneNetwork.read(cfg.network),
        layer=cfg.data.layer,
        **{name: cfg[name] for name in names},
    )
    if output.suffix == ".h5ad":
        write_h5ad(adata, output, known)
    else:
        write_table(table, output)
    shown = ["gene", "perturbed", "before", "after", "shift"]
    rows = [
        [row["gene"], "yes" if row["perturbed"] else "", *(f"{row[name]:.3f}" for name in shown[2:])]
        for _, row in table.head(SHOWN).iterrows()
    ]
    console.show_table("Genes that move most", shown, rows)
    console.show(f"{len(table):,} genes written to {output}")


def main() -> None:
    """Entry point of the command."""
    launch(perturb, "perturb")


if __name__ == "__main__":
    main()
