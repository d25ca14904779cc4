"""A gene-token transformer encoder on spherical attention.

One token per gene: identity plus expression times a direction, e_j + y_cj u; a hidden expression becomes a
learned direction instead. Layers are pre-norm: attention with a gated residual, then a two-layer perceptron.
The mean token is the cell state. It serves two ends: as the context of the regulatory model, or trained alone by
masked expression, where its attention map is read as a network (weak: such maps follow co-expression).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from grn.kernels import Backend, attention_maps, spherical_attention
from grn.models.other_attention import softmax_maps


class Encoded(NamedTuple):
    """Gene tokens (cells, genes, dim) and cell state (cells, dim)."""

    tokens: Tensor
    state: Tensor


class AttentionLayer(nn.Module):
    """Pre-norm transformer layer with spherical or softmax attention."""

    def __init__(self, dim: int, heads: int, attention: Literal["spherical", "softmax"], backend: Backend) -> None:
        super().__init__()
        self.heads, self.attention, self.backend = heads, attention, backend
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (cells, heads, genes, head_dim) each."""
        parts = self.qkv(self.norm_attention(tokens)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return q, k, v

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (cells, genes, dim) to tokens of the same shape."""
        q, k, v = self.project(tokens)
        if self.attention == "softmax":
            mixed = scaled_dot_product_attention(q, k, v)
        else:
            mixed = spherical_attention(q, k, v, backend=self.backend)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        return tokens + self.down(gelu(self.up(self.norm_mlp(tokens))))


class GeneTransformer(nn.Module):
    """Encoder of expression profiles: genes are tokens.

    Parameters
    ----------
    n_genes
        Number of genes.
    mean, std
        Of each gene, (genes,), in the units of the expression given later.
    dim
        Width of the tokens, a multiple of `heads`.
    layers, heads
        Number of layers, and of attention heads in each.
    attention
        "spherical" or "softmax" (the comparison).
    backend
        Form of the spherical attention, see `grn.kernels.spherical_attention`.
    seed
        Of the initial weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        n_genes: int,
        *,
        mean: Tensor,
        std: Tensor,
        dim: int,
        layers: int,
        heads: int,
        attention: Literal["spherical", "softmax"],
        backend: Backend,
        seed: int,
    ) -> None:
        super().__init__()
        if attention not in ("spherical", "softmax"):
            raise ValueError(f"attention must be 'spherical' or 'softmax', not {attention!r}.")
        if attention == "softmax" and backend != "auto":
            raise ValueError(f"backend={backend!r} chooses a form of spherical attention; softmax has one form.")
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, but dim is {dim} and heads is {heads}.")
        self.dim, self.attention = dim, attention
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).clone())
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.identity = nn.Parameter(torch.randn(n_genes, dim) * dim**-0.5)
            self.direction = nn.Parameter(torch.randn(dim) * dim**-0.5)
            self.hidden = nn.Parameter(torch.zeros(dim))
            self.layers = nn.ModuleList(AttentionLayer(dim, heads, attention, backend) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, 1)

    def standardise(self, x: Tensor) -> Tensor:
        """Expression (cells, genes) in units of each gene's standard deviation, around its mean."""
        return (x - self.mean) / self.std

    def embed(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Tokens (cells, genes, dim) of expression (cells, genes); `hidden` genes (same shape, bool) are masked."""
        level = self.standardise(x).unsqueeze(-1) * self.direction
        if hidden is not None:
            level = torch.where(hidden.unsqueeze(-1), self.hidden, level)
        return self.identity + level

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Encoded:
        """Encode expression (cells, genes)."""
        tokens = self.embed(x, hidden)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        return Encoded(tokens, tokens.mean(1))

    def reconstruct(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Standardised expression predicted for every gene, (cells, genes), with `hidden` genes masked."""
        return self.head(self(x, hidden).tokens).squeeze(-1)

    @torch.no_grad()
    def map(self, x: Tensor, groups: Tensor) -> Tensor:
        """Last layer's attention map, mean over heads and over the cells of each group, (groups, genes, genes).

        Row: target (query). Column: regulator (key). `groups` is int64 (cells,). Softmax maps are written out
        one cell at a time.
        """
        tokens = self.embed(x)
        layers = cast(list[AttentionLayer], list(self.layers))
        for layer in layers[:-1]:
            tokens = layer(tokens)
        q, k, _ = layers[-1].project(tokens)
        if self.attention == "spherical":
            return attention_maps(q, k, groups=groups, statistics=("mean",)).mean.mean(1)
        return softmax_maps(q, k, exclude=None, groups=groups).mean(1)
