"""`grn differential`: edges that differ between groups of cells."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from grn.commands._files import checked_output, given_data, write_table
from grn.commands._launch import launch, task
from grn.config import conf_dir

SHOWN = 10


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="differential")
@task
def differential(cfg: DictConfig) -> None:
    """Read, compare, write, show the edges that differ most."""
    from grn import console, tl

    output = checked_output(cfg.output)
    adata = given_data(cfg)
    names = ("group_by", "group", "reference", "batch_key", "permutations", "seed", "allow_negative")
    tf = OmegaConf.to_object(cfg.tf) if OmegaConf.is_list(cfg.tf) else cfg.tf
    table = tl.differential(
        adata,
        tf=cfg.data.tf if tf is None else tf,  # type: ignore[arg-type]
        layer=cfg.data.layer,
        **{name: cfg[name] for name in names},
    )
    write_table(table, output)
    shown = ["source", "target", "group", "reference", "effect", "qvalue"]
    rows = [
        [f"{row[name]:.3g}" if name in shown[4:] else row[name] for name in shown]
        for _, row in table.head(SHOWN).iterrows()
    ]
    console.show_table("Edges that differ most", shown, rows)
    few = int((table["qvalue"] <= 0.05).sum())
    console.show(f"{len(table):,} comparisons written to {output}, {few:,} with a q-value of at most 0.05")


def main() -> None:
    """Entry point of the command."""
    launch(differential, "differential")


if __name__ == "__main__":
    main()
