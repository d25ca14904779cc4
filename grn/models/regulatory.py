"""The regulatory model: its attention IS the network.

Every target gene attends to the regulators (transcription factors); the value of a regulator is its expression,
so that one signed attention row reconstructs one target:

    s_ijc = q_i . (1 + u) k_jc                 i: target, j: regulator, c: value channel; a gene never sees itself
    A_ijc = s_ijc / sqrt(sum s_ijc^2 + sink_i^2)
    z_i   = b_i + gain_i sum_jc A_ijc v_jc

Notable choices
- Queries and keys are gene identities, not cell states: the map is a property of the genes, and u, the context
  of a cell group or of a single cell, modulates it.
- The context of a cell comes from a transformer's cell state. In training that encoder does not see the genes
  it is asked for, so that it cannot pass their values through.
- Value channels: standardised expression, and standardised detection (expressed at all or not), which tells a
  knock-out or dropout from a low level. Detection is left out where every regulator is detected everywhere.
- Input noise of standard deviation s on the values is integrated out exactly: its expected squared error is the
  error without noise plus s^2 gain^2 sum A^2, which is ridge regression's penalty. Training is deterministic.
- `members` independent copies train side by side on the heads axis and are averaged at read-out.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from grn.kernels import Backend, attention_maps, spherical_attention
from grn.kernels._inputs import absolute_eps
from grn.models.softmax import softmax_attention, softmax_maps
from grn.models.transformer import GeneTransformer

LARGEST_HEAD_DIM = 128  # the kernels' cost grows with its square
EPS = 1e-6  # of the attention: keeps the row of a target whose scores are all zero finite


class Reconstruction(NamedTuple):
    """What a forward pass gives.

    Attributes
    ----------
    prediction
        Standardised expression, (members, cells, genes).
    squared_weight
        Sum over regulators of each target's squared weights, averaged over cells, (members, genes).
    """

    prediction: Tensor
    squared_weight: Tensor


class RegulatoryModel(nn.Module):
    """Signed spherical attention from target genes to regulators.

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
    head_dim
        Length of queries and keys; the map has at most this rank. None is the number of keys, at most 128.
    members
        Independent copies trained side by side.
    attention
        "spherical" (signed) or "softmax" (the comparison: all weights positive).
    context
        "none": one map; "group": a context vector for each cell group; "cell": one for each cell, from `encoder`.
    n_groups
        Number of cell groups, for context="group".
    backend
        Form of the spherical attention, see `grn.kernels.spherical_attention`.
    seed
        Of the initial weights.
    encoder
        Transformer that gives each cell's context, for context="cell".
    """

    mean: Tensor
    std: Tensor
    detection: Tensor
    regulators: Tensor
    own_targets: Tensor
    own_keys: Tensor

    def __init__(
        self,
        n_genes: int,
        regulators: Tensor,
        *,
        mean: Tensor,
        std: Tensor,
        detection: Tensor,
        head_dim: int | None,
        members: int,
        attention: Literal["spherical", "softmax"],
        context: Literal["none", "group", "cell"],
        n_groups: int,
        backend: Backend,
        seed: int,
        encoder: GeneTransformer | None = None,
    ) -> None:
        super().__init__()
        if attention not in ("spherical", "softmax"):
            raise ValueError(f"attention must be 'spherical' or 'softmax', not {attention!r}.")
        if attention == "softmax" and backend != "auto":
            raise ValueError(f"backend={backend!r} chooses a form of spherical attention; softmax has one form.")
        if context not in ("none", "group", "cell"):
            raise ValueError(f"context must be 'none', 'group' or 'cell', not {context!r}.")
        if (context == "cell") != (encoder is not None):
            raise ValueError(f"context='cell' takes an encoder and no other context does; context is {context!r}.")
        for name, value in {"head_dim": head_dim, "members": members, "n_groups": n_groups}.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, but is {value}.")
        self.n_genes, self.members = n_genes, members
        self.attention, self.context, self.backend = attention, context, backend
        for name, tensor in {"mean": mean, "std": std, "detection": detection}.items():
            self.register_buffer(name, torch.as_tensor(tensor, dtype=torch.float32).clone())
        self.register_buffer("regulators", torch.as_tensor(regulators, dtype=torch.int64).clone())
        detected = self.detection[self.regulators]
        self.channels = 2 if bool(((detected > 0) & (detected < 1)).any()) else 1
        n_regulators = len(self.regulators)
        head_dim = head_dim or min(self.channels * n_regulators, LARGEST_HEAD_DIM)
        self.head_dim = head_dim
        self.register_buffer("own_targets", self.regulators.repeat(self.channels))
        self.register_buffer("own_keys", torch.arange(self.channels * n_regulators))

        generator = torch.Generator().manual_seed(seed)
        scale = head_dim**-0.25  # scores then start with unit variance
        self.query = nn.Parameter(torch.randn(members, n_genes, head_dim, generator=generator) * scale)
        self.key = nn.Parameter(
            torch.randn(members, self.channels * n_regulators, head_dim, generator=generator) * scale
        )
        self.bias = nn.Parameter(torch.zeros(members, n_genes))
        self.gain = nn.Parameter(torch.full((members, n_genes), -2.0))
        self.sink = nn.Parameter(torch.zeros(members, n_genes))
        if context == "group":
            self.group_context = nn.Parameter(torch.zeros(n_groups, head_dim))
        if encoder is not None:
            self.encoder = encoder
            self.to_context = nn.utils.skip_init(nn.Linear, encoder.dim, head_dim)  # draws no random numbers
            nn.init.zeros_(self.to_context.weight)
            nn.init.zeros_(self.to_context.bias)

    @property
    def n_regulators(self) -> int:
        """Number of regulators."""
        return len(self.regulators)

    def standardise(self, x: Tensor) -> Tensor:
        """Expression (cells, genes) in units of each gene's standard deviation, around its mean."""
        return (x - self.mean) / self.std

    def values(self, x: Tensor) -> Tensor:
        """Value channels of the regulators: (channels x regulators, cells), channel after channel."""
        standardised = self.standardise(x)[:, self.regulators]
        if self.channels == 1:
            return standardised.T
        rate = self.detection[self.regulators]
        # A regulator seen in all cells or in none has a silent detection channel, on cells of other data too.
        spread = torch.where((rate > 0) & (rate < 1), (rate * (1 - rate)).sqrt().clamp(min=1e-3), torch.inf)
        detected = ((x[:, self.regulators] > 0).to(x.dtype) - rate) / spread
        return torch.cat([standardised, detected], dim=1).T

    def forward(self, x: Tensor, group: Tensor | None = None, hidden: Tensor | None = None) -> Reconstruction:
        """Reconstruct every gene of every cell from the other genes' regulators.

        Parameters
        ----------
        x
            Expression, (cells, genes).
        group
            Group of each cell, int64 (cells,), for context="group".
        hidden
            Genes that the encoder may not see, bool (cells, genes), for context="cell".
        """
        values = self.values(x)
        if self.context == "none":
            output, squared = self._attend(self.key[None], values[None])
            mixed, squared = output[0].transpose(-1, -2), squared[0]
        elif self.context == "group":
            if group is None:
                raise ValueError("This model has a context for each group; give the group of every cell.")
            mixed, squared = self._by_group(values, group)
        else:
            context = self.to_context(self.encoder(x, hidden).state)
            output, per_cell = self._attend(self._keys_of(context), values.T.unsqueeze(-1))
            mixed, squared = output.squeeze(-1).transpose(0, 1), per_cell.mean(0)
        gain = softplus(self.gain)
        prediction = torch.addcmul(self.bias.unsqueeze(1), gain.unsqueeze(1), mixed)
        return Reconstruction(prediction, gain.square() * squared)

    def _by_group(self, values: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        mixed = values.new_empty(self.members, values.shape[1], self.n_genes)
        squared = values.new_zeros(self.members, self.n_genes)
        for index in group.unique().tolist():
            cells = (group == index).nonzero().squeeze(1)
            output, mass = self._attend(self._keys_of(self.group_context[index][None]), values[:, cells][None])
            mixed = mixed.index_copy(1, cells, output[0].transpose(-1, -2))
            squared = squared + mass[0] * (len(cells) / values.shape[1])
        return mixed, squared

    def _keys_of(self, context: Tensor) -> Tensor:
        """Keys (cells, members, keys, head_dim) under the context vectors (cells, head_dim).

        q (1 + u) . k may modulate either side; there are fewer regulators than targets.
        """
        return self.key[None] * (1 + context[:, None, None, :])

    def _attend(self, key: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Output (batch, members, genes, width) and row mass sum A^2 (batch, members, genes).

        `key` is (batch, members, keys, head_dim), `values` (batch, keys, width). Cells that share one map are
        the width of the values rather than the batch: one pass serves them all.
        """
        query = self.query[None].expand(len(key), -1, -1, -1)
        value = values.unsqueeze(1).expand(-1, self.members, -1, -1)
        own = (self.own_targets, self.own_keys)
        if self.attention == "softmax":
            return softmax_attention(query, key, value, exclude=own)
        sink = softplus(self.sink)[None]
        output, inverse_norm = spherical_attention(
            query, key, value, exclude=own, sink=sink, eps=EPS, return_norm=True, backend=self.backend
        )
        outside = sink.square() + absolute_eps(EPS, key)
        return output, 1 - outside * inverse_norm.square()

    @torch.no_grad()
    def weights(self, x: Tensor | None = None, groups: Tensor | None = None) -> Tensor:
        """Signed weight of each regulator's channels for each target: gain times the mean attention map.

        Parameters
        ----------
        x, groups
            Expression (cells, genes) and group of each cell, int64 (cells,), for context="cell".

        Returns
        -------
        (groups, members, genes, channels, regulators). One group for context="none"; the model's own groups
        for context="group"; the groups given, or one, for context="cell".
        """
        if self.context == "none":
            key = self.key[None]
        elif self.context == "group":
            key = self._keys_of(self.group_context)
            groups = torch.arange(len(key), device=key.device)
        else:
            if x is None:
                raise ValueError("This model's map depends on the cell; give the expression x of the cells.")
            key = self._keys_of(self.to_context(self.encoder(x).state))
        query = self.query[None].expand(len(key), -1, -1, -1)
        own = (self.own_targets, self.own_keys)
        if self.attention == "softmax":
            maps = softmax_maps(query, key, exclude=own, groups=groups)
        else:
            sink = softplus(self.sink)[None]
            maps = attention_maps(query, key, groups=groups, statistics=("mean",), exclude=own, sink=sink, eps=EPS).mean
        weights = softplus(self.gain).unsqueeze(-1) * maps
        return weights.unflatten(-1, (self.channels, self.n_regulators))
