"""The regulatory model: its attention IS the network.

Every gene is reconstructed from other genes through a signed attention row (`grn.models.view`), once in each view:

- "regulators": a target attends to the transcription factors alone, through their level and their detection. Its
  rows say which regulators explain a target together.
- "genes": a target attends to all genes, under strong input noise. What many genes share goes to those many, so
  that a regulator's weight is what it has with the target beyond that background.

Notable choices
- Input noise on the values is integrated out exactly: its expected squared error is the error without noise plus
  noise^2 gain^2 sum A^2, which is ridge regression's penalty: no noise is ever drawn.
- The noise is a share of the total variance of a view's values: components that explain less than this share of
  the variance are held down, whatever the number of genes.
- The context of a cell comes from a transformer's cell state. In training that encoder does not see the genes
  it is asked for, so that it cannot pass their values through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

import torch
from torch import Tensor, nn

from grn.kernels import Backend
from grn.kernels._inputs import LARGEST_HEAD_DIM
from grn.models.transformer import GeneTransformer
from grn.models.view import Attention, Reconstruction, View

VIEWS = ("regulators", "genes")


class RegulatoryModel(nn.Module):
    """Signed spherical attention from target genes to regulators, in one or several views.

    Parameters
    ----------
    n_genes
        Number of target genes (all genes of the data).
    regulators
        Positions of the regulators among the genes, int64 (regulators,).
    mean, std
        Mean and standard deviation of each gene, (genes,), in the units of the expression given later.
    detection
        Share of cells in which each gene is above zero, (genes,).
    views
        For each of "regulators" and "genes" the variance of the input noise on a value, in parts of the total variance
        of the view's values; None leaves the view out.
    head_dim
        Length of queries and keys; a map has at most this rank. None is the number of value channels, at most 128.
    attention
        "spherical" (signed); for comparison "softmax" (all weights positive) or "unnormalised" (the bare scores).
    backend
        Form of the spherical attention, see `grn.kernels.spherical_attention`.
    seed
        Of the initial weights.
    encoder
        Transformer whose cell state gives each cell a context; None makes one map for all cells.
    batch_mean, batch_detection
        Mean and share of cells above zero of each gene in each batch, (batches, genes): cells are then measured from
        their own batch, which is an intercept for every gene and batch. None for one batch.
    """

    mean: Tensor
    std: Tensor
    detection: Tensor
    regulators: Tensor
    batch_mean: Tensor | None
    batch_detection: Tensor | None

    def __init__(
        self,
        n_genes: int,
        regulators: Tensor,
        *,
        mean: Tensor,
        std: Tensor,
        detection: Tensor,
        views: Mapping[str, float | None],
        head_dim: int | None,
        attention: Attention,
        backend: Backend,
        seed: int,
        encoder: GeneTransformer | None = None,
        batch_mean: Tensor | None = None,
        batch_detection: Tensor | None = None,
    ) -> None:
        super().__init__()
        if attention not in get_args(Attention):
            raise ValueError(f"attention must be one of {', '.join(get_args(Attention))}, not {attention!r}.")
        if attention != "spherical" and backend != "auto":
            raise ValueError(f"backend={backend!r} chooses a form of spherical attention; {attention} has one form.")
        if head_dim is not None and head_dim < 1:
            raise ValueError(f"head_dim must be at least 1, but is {head_dim}.")
        if head_dim is not None and head_dim > LARGEST_HEAD_DIM:
            raise ValueError(f"head_dim is {head_dim}; the kernels take at most {LARGEST_HEAD_DIM}.")
        shares = checked_views(views)
        self.n_genes = n_genes
        for name, tensor in {"mean": mean, "std": std, "detection": detection}.items():
            self.register_buffer(name, torch.as_tensor(tensor, dtype=torch.float32).clone())
        for name, table in {"batch_mean": batch_mean, "batch_detection": batch_detection}.items():
            self.register_buffer(name, None if table is None else torch.as_tensor(table, dtype=torch.float32).clone())
        self.register_buffer("regulators", torch.as_tensor(regulators, dtype=torch.int64).clone())
        generator = torch.Generator().manual_seed(seed)
        self.views = nn.ModuleDict()
        for name, share in shares.items():
            keys = self.regulators if name == "regulators" else torch.arange(n_genes)
            self.views[name] = View(
                n_genes,
                keys,
                detection=self.detection[self.regulators] if name == "regulators" else None,
                noise_share=share,
                head_dim=head_dim,
                attention=attention,
                backend=backend,
                generator=generator,
            )
        self.encoder = encoder
        if encoder is not None:
            self.to_context = nn.ModuleDict()
            for name in self.views:
                layer = nn.utils.skip_init(nn.Linear, encoder.dim, self.view(name).head_dim)  # draws no random numbers
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
                self.to_context[name] = layer

    def view(self, name: str) -> View:
        """View of this name."""
        return cast(View, self.views[name])

    def standardise(self, x: Tensor, batch: Tensor | None = None) -> Tensor:
        """Expression (cells, genes) in units of each gene's standard deviation, around its mean.

        `batch` is the batch of each cell, int64 (cells,); where the model knows batches, means are those of the cell's.
        """
        if self.batch_mean is None:
            return (x - self.mean) / self.std
        if batch is None:
            raise ValueError("This model was made with batches; give the batch of every cell.")
        return (x - self.batch_mean[batch]) / self.std

    def values(self, view: str, x: Tensor, batch: Tensor | None = None) -> Tensor:
        """Value channels of a view's keys, (channels x keys, cells); `x` and `batch` as in `standardise`."""
        rates = None if self.batch_detection is None or batch is None else self.batch_detection[batch]
        return self.view(view).values(x, self.standardise(x, batch), rates)

    def start(self, x: Tensor, noise: Mapping[str, float], batch: Tensor | None = None) -> None:
        """Start every view from the principal components of these cells, see `View.start`.

        Parameters
        ----------
        x
            Expression, (cells, genes).
        noise
            Standard deviation of the input noise by view.
        batch
            Batch of each cell, int64 (cells,), where the model knows batches.
        """
        standardised = self.standardise(x, batch)
        for name in self.views:
            self.view(name).start(self.values(name, x, batch), standardised, noise[name])

    def forward(
        self, x: Tensor, hidden: Tensor | None = None, batch: Tensor | None = None
    ) -> dict[str, Reconstruction]:
        """Reconstruct every gene of every cell from the other genes, in each view.

        Parameters
        ----------
        x
            Expression, (cells, genes).
        hidden
            Genes that the encoder may not see, bool (cells, genes).
        batch
            Batch of each cell, int64 (cells,), where the model knows batches.
        """
        contexts = self.contexts(x, hidden)
        return {name: self.view(name)(self.values(name, x, batch), contexts.get(name)) for name in self.views}

    def contexts(self, x: Tensor, hidden: Tensor | None = None) -> dict[str, Tensor]:
        """Context vector of each cell by view, (cells, head_dim); empty without an encoder."""
        if self.encoder is None:
            return {}
        state = self.encoder(x, hidden).state
        return {name: self.to_context[name](state) for name in self.views}

    @torch.no_grad()
    def weights(self, view: str, x: Tensor | None = None, groups: Tensor | None = None) -> Tensor:
        """Signed weight of each key's channels for each target in one view: gain times the mean attention map.

        Parameters
        ----------
        view
            Name of the view.
        x, groups
            Expression (cells, genes) and group of each cell, int64 (cells,), of a model with an encoder.

        Returns
        -------
        (groups, genes, channels, keys): the groups given, or one; always one without an encoder.
        """
        if self.encoder is None:
            return self.view(view).weights()
        if x is None:
            raise ValueError("This model's map depends on the cell; give the expression x of the cells.")
        return self.view(view).weights(self.contexts(x)[view], groups)


def checked_views(views: Mapping[str, float | None]) -> dict[str, float]:
    """Noise shares of the views that are on; ValueError where there is none, or one is unknown or out of range."""
    for name, share in views.items():
        if name not in VIEWS:
            raise ValueError(f"views has no {name!r}; there are {' and '.join(VIEWS)}.")
        if share is not None and (isinstance(share, bool) or not 0 < share <= 10):
            raise ValueError(f"views.{name} is a share of variance above 0 and at most 10, but is {share!r}.")
    kept = {name: float(share) for name in VIEWS if (share := views.get(name)) is not None}
    if not kept:
        raise ValueError(f"views has no view left; give a share to one of {' and '.join(VIEWS)}.")
    return kept
