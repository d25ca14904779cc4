"""One view of the data: every target gene's signed attention to a set of genes, its keys.

    s_ijc = q_i . (1 + u) k_jc                 i: target, j: key, c: value channel; a gene never sees itself
    A_ijc = s_ijc / sqrt(sum s_ijc^2 + sink_i^2)
    z_i   = b_i + gain_i sum_jc A_ijc v_jc

Notable choices
- Queries and keys are gene identities, not cell states: the map is a property of the genes, and u, the context of a
  single cell where the model has one, modulates it.
- Value channels: standardised expression, and standardised detection (expressed at all or not), which tells a
  knock-out or dropout from a low level. Detection is left out where every key is detected everywhere.
- Queries and keys start from the principal components of the values, from which ridge regression's optimum is
  nearly reached; gradient descent does the rest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from grn.kernels import Backend, attention_maps, attention_strengths, spherical_attention
from grn.kernels._inputs import absolute_eps
from grn.models.other_attention import softmax_attention, softmax_maps, unnormalised_attention, unnormalised_maps

Attention = Literal["spherical", "softmax", "unnormalised"]
DEFAULT_HEAD_DIM = 128  # the kernels' cost grows with its square
EPS = 1e-6  # of the attention: keeps the row of a target whose scores are all zero finite
_EXACT_COMPONENTS = 1024  # up to so many cells or keys all components are computed, above only the leading ones


class Reconstruction(NamedTuple):
    """What a forward pass gives.

    Attributes
    ----------
    prediction
        Standardised expression, (cells, genes).
    squared_weight
        Sum over keys of each target's squared weights, averaged over cells, (genes,).
    """

    prediction: Tensor
    squared_weight: Tensor


class View(nn.Module):
    """Signed attention of all genes to `keys`.

    Parameters
    ----------
    n_genes
        Number of target genes (all genes of the data).
    keys
        Positions of the attended genes among them, int64 (keys,).
    detection
        Share of cells in which each key is above zero, (keys,); None leaves the detection channel out.
    noise_share
        Variance of the input noise on a value, in parts of the total variance of all values.
    head_dim
        Length of queries and keys; the map has at most this rank. None is the number of value channels, at most 128.
    attention
        "spherical" (signed); for comparison "softmax" (all weights positive) or "unnormalised" (the bare scores).
    backend
        Form of the spherical attention, see `grn.kernels.spherical_attention`.
    generator
        Of the initial weights.
    """

    keys: Tensor
    detection: Tensor
    own_targets: Tensor
    own_keys: Tensor

    def __init__(
        self,
        n_genes: int,
        keys: Tensor,
        *,
        detection: Tensor | None,
        noise_share: float,
        head_dim: int | None,
        attention: Attention,
        backend: Backend,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_genes, self.noise_share = n_genes, noise_share
        self.attention, self.backend = attention, backend
        self.register_buffer("keys", keys.clone())
        self.register_buffer("detection", torch.ones(len(keys)) if detection is None else detection.clone())
        varies = (self.detection > 0) & (self.detection < 1)
        self.channels = 2 if bool(varies.any()) else 1
        values = self.channels * len(keys)
        self.head_dim = head_dim or min(values, DEFAULT_HEAD_DIM)
        self.register_buffer("own_targets", self.keys.repeat(self.channels))
        self.register_buffer("own_keys", torch.arange(values))

        scale = self.head_dim**-0.25  # scores then start with unit variance
        self.query = nn.Parameter(torch.randn(n_genes, self.head_dim, generator=generator) * scale)
        self.key = nn.Parameter(torch.randn(values, self.head_dim, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(n_genes))
        self.gain = nn.Parameter(torch.full((n_genes,), -2.0))
        self.sink = nn.Parameter(torch.zeros(n_genes), requires_grad=attention == "spherical")

    @property
    def noise(self) -> float:
        """Standard deviation of the input noise: every value has variance 1, so their total is their number."""
        return (self.noise_share * len(self.own_keys)) ** 0.5

    def values(self, x: Tensor, standardised: Tensor, detection: Tensor | None = None) -> Tensor:
        """Value channels of the keys, (channels x keys, cells), channel after channel.

        Parameters
        ----------
        x, standardised
            Expression and standardised expression, (cells, genes).
        detection
            Share of cells above zero to measure each cell's detection from, (cells, genes), such as that of the cell's
            batch; by default that of all cells.
        """
        level = standardised[:, self.keys]
        if self.channels == 1:
            return level.T
        rate = self.detection
        # A key seen in all cells or in none has a silent detection channel, on cells of other data too.
        spread = torch.where((rate > 0) & (rate < 1), (rate * (1 - rate)).sqrt().clamp(min=1e-3), torch.inf)
        expected = rate if detection is None else detection[:, self.keys]
        detected = ((x[:, self.keys] > 0).to(x.dtype) - expected) / spread
        return torch.cat([level, detected], dim=1).T

    @torch.no_grad()
    def start(self, values: Tensor, standardised: Tensor, noise: float) -> None:
        """Start from ridge regression on the leading principal components of the values.

        With V = U S T^T the weights of a target z are T (S^2 + n noise^2)^-1 S U^T z, a product of one vector for each
        key and one for each target. Leaving a gene's own key out rescales its row, which the gain takes up.

        Parameters
        ----------
        values, standardised
            Value channels (channels x keys, cells) and standardised expression (cells, genes) to start from.
        noise
            Standard deviation of the input noise.
        """
        cells = len(standardised)
        components, lengths, directions = _components(values.T, self.head_dim)
        projected = components.T @ standardised
        # With less noise a row is nearly its gene's own key, and what is left without it too short to be scaled up.
        shrunk = lengths / (lengths.square() + cells * max(noise, 0.05) ** 2)
        # Queries and keys share the length of each component; rows get the mean square 1, as random scores have.
        common = (shrunk * projected.norm(dim=1)).sqrt()
        key = directions * common
        query = (projected * (shrunk / common.clamp(min=1e-30)).unsqueeze(1)).T
        rows = ((query @ (key.T @ key)) * query).sum(1).div(len(key)).sqrt()
        size = rows.square().mean().sqrt().clamp(min=1e-30) ** 0.5
        rank = key.shape[1]
        self.query.zero_()[:, :rank] = query / rows.clamp(min=1e-6 * size**2).unsqueeze(1) * size
        self.key.zero_()[:, :rank] = key / size
        output, mass = self._attend(self.key[None], values[None])
        mixed = output[0].T
        # The gain that minimises the loss of each target, given its row.
        best = (mixed * standardised).sum(0) / (mixed.square().sum(0) + cells * noise**2 * mass[0]).clamp(min=1e-30)
        self.gain.copy_(torch.log(torch.expm1(best.clamp(min=1e-3, max=50.0))))

    def forward(self, values: Tensor, context: Tensor | None = None) -> Reconstruction:
        """Reconstruct every gene of every cell from the other keys.

        Parameters
        ----------
        values
            Value channels, (channels x keys, cells).
        context
            Context vector of each cell, (cells, head_dim).
        """
        if context is not None:
            output, per_cell = self._attend(self._keys_of(context), values.T.unsqueeze(-1))
            mixed, squared = output.squeeze(-1), per_cell.mean(0)
        else:
            output, mass = self._attend(self.key[None], values[None])
            mixed, squared = output[0].T, mass[0]
        gain = softplus(self.gain)
        return Reconstruction(torch.addcmul(self.bias, gain, mixed), gain.square() * squared)

    def _keys_of(self, context: Tensor) -> Tensor:
        """Keys (contexts, keys, head_dim) under the context vectors (contexts, head_dim).

        q (1 + u) . k may modulate either side; there are at most as many keys as targets.
        """
        return self.key * (1 + context.unsqueeze(1))

    def _attend(self, key: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Output (batch, genes, width) and row mass sum A^2 (batch, genes).

        `key` is (batch, keys, head_dim), `values` (batch, keys, width). Cells that share one map are the width of the
        values rather than the batch: one pass serves them all.
        """
        query = self.query.expand(len(key), 1, -1, -1)
        key, values = key.unsqueeze(1), values.unsqueeze(1)
        own = (self.own_targets, self.own_keys)
        if self.attention == "softmax":
            output, mass = softmax_attention(query, key, values, exclude=own)
        elif self.attention == "unnormalised":
            output, mass = unnormalised_attention(query, key, values, exclude=own)
        else:
            sink = softplus(self.sink)[None, None]
            output, inverse_norm = spherical_attention(
                query, key, values, exclude=own, sink=sink, eps=EPS, return_norm=True, backend=self.backend
            )
            outside = sink.square() + absolute_eps(EPS, key)
            mass = 1 - outside * inverse_norm.square()
        return output.squeeze(1), mass.squeeze(1)

    @torch.no_grad()
    def strengths(self, context: Tensor) -> Tensor:
        """Root of the summed squared attention that all targets pay to each key in each cell, (cells, keys).

        Computed without any cell's map, in time and memory linear in genes (`grn.kernels.attention_strengths`).

        Parameters
        ----------
        context
            Context vectors of the cells, (cells, head_dim).
        """
        if self.attention != "spherical":
            raise ValueError(
                f"Strengths in single cells are those of spherical attention; this one is {self.attention}."
            )
        key = self._keys_of(context).unsqueeze(1)
        query = self.query.expand(len(key), 1, -1, -1)
        sink = softplus(self.sink)[None, None]
        squares = attention_strengths(
            query, key, exclude=(self.own_targets, self.own_keys), sink=sink, eps=EPS
        ).out_square
        return squares.squeeze(1).unflatten(-1, (self.channels, len(self.keys))).sum(1).sqrt()

    @torch.no_grad()
    def weights(self, context: Tensor | None = None, groups: Tensor | None = None) -> Tensor:
        """Signed weight of each key's channels for each target: gain times the mean attention map.

        Parameters
        ----------
        context
            Context vectors, (contexts, head_dim); None for none.
        groups
            Group of each context, int64 (contexts,), within which maps are averaged; None averages all.

        Returns
        -------
        (groups, genes, channels, keys).
        """
        key = (self.key[None] if context is None else self._keys_of(context)).unsqueeze(1)
        query = self.query.expand(len(key), 1, -1, -1)
        own = (self.own_targets, self.own_keys)
        if self.attention == "softmax":
            maps = softmax_maps(query, key, exclude=own, groups=groups)
        elif self.attention == "unnormalised":
            maps = unnormalised_maps(query, key, exclude=own, groups=groups)
        else:
            sink = softplus(self.sink)[None, None]
            maps = attention_maps(query, key, groups=groups, statistics=("mean",), exclude=own, sink=sink, eps=EPS).mean
        weights = maps.squeeze(1).mul_(softplus(self.gain).unsqueeze(-1))
        return weights.unflatten(-1, (self.channels, len(self.keys)))


def _components(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Leading left singular vectors (rows, r), singular values (r,) and right ones (columns, r), r at most `rank`."""
    smaller = min(matrix.shape)
    if smaller <= _EXACT_COMPONENTS:
        left, lengths, right = torch.linalg.svd(matrix, full_matrices=False)
        kept = min(rank, int((lengths > 1e-5 * lengths[0].clamp(min=1e-30)).sum()))
        return left[:, :kept], lengths[:kept], right[:kept].T
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        left, lengths, right = torch.svd_lowrank(matrix, q=min(rank + 16, smaller), niter=3)
    return left[:, :rank], lengths[:rank], right[:, :rank]
