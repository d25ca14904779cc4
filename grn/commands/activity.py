"""`grn activity`: score every regulator in every cell."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from grn.commands._files import TABLES, announced, checked_output, given_data, write_h5ad, write_table
from grn.commands._launch import launch, task
from grn.config import conf_dir


@hydra.main(version_base=None, config_path=str(conf_dir()), config_name="activity")
@task
def activity(cfg: DictConfig) -> None:
    """Read, score, write."""
    from grn import console, tl
    from grn.network import GeneNetwork

    output = checked_output(cfg.output, (*TABLES, ".h5ad"))
    adata = given_data(cfg)
    known = announced(adata, output)
    network = GeneNetwork.read(cfg.network)
    names = ("method", "per_target", "top", "fdr", "min_targets", "group", "group_by", "centre", "allow_negative")
    tl.activity(adata, network, layer=cfg.data.layer, **{name: cfg[name] for name in names})
    scores, padj = adata.obsm["grn_activity"], adata.obsm.get("grn_activity_padj")
    written = [output]
    if output.suffix == ".h5ad":
        write_h5ad(adata, output, known)
    else:
        write_table(scores, output, index="cell")
        if padj is not None:
            written.append(output.with_name(f"{output.stem}_padj{output.suffix}"))
            write_table(padj, written[-1], index="cell")
    cells, regulators = scores.shape
    console.show(
        f"Activities of {regulators:,} regulators in {cells:,} cells written to {' and '.join(map(str, written))}"
    )


def main() -> None:
    """Entry point of the command."""
    launch(activity, "activity")


if __name__ == "__main__":
    main()
