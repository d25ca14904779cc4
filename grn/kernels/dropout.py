"""Dropout without a stored mask: each decision is a hash of its place and a seed.

A counter-based generator gives the backward pass the forward pass's mask again, tile by tile and in any order, on any
device. One 32-bit mixing function is applied to seed, batch entry and head, row, and column::

    key_i = mix(mix(mix(seed_low ^ mix(seed_high)) + batch_head) + i)      keep_ij = mix(key_i ^ mix(j)) >= p 2^32

so that only the last mixing runs once per pair. `mix` is "lowbias32" of C. Wellons, Prospecting for Hash Functions
(2018, nullprogram.com/blog/2018/07/31, public domain). `grn.kernels.gpu.tiles` has the same bits in Triton.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF


def keep_mask(seed: Tensor, batch_heads: Tensor, rows: Tensor, columns: Tensor, p: float) -> Tensor:
    """Which pairs stay.

    Parameters
    ----------
    seed
        int64, one element, on any device.
    batch_heads
        int64 (b,): batch entry times the number of query heads, plus the head.
    rows, columns
        int64 (n,) and (m,): indices of queries and keys.
    p
        Probability that a pair is dropped, in [0, 1).

    Returns
    -------
    bool (b, n, m), on the device of `rows`.
    """
    seed = seed.to(rows.device).reshape(())
    key = _mix((seed & _LOW) ^ _mix((seed >> 32) & _LOW))
    key = _mix(key + batch_heads)[:, None]
    key = _mix(key + rows)[:, :, None]
    return _mix(key ^ _mix(columns)) >= threshold(p)


def threshold(p: float) -> int:
    """Smallest hash that is kept, in [0, 2^32)."""
    return min(round(p * 2.0**32), _LOW)


def _mix(x: Tensor) -> Tensor:
    # int64 holds a 32-bit unsigned number; a product wraps at 2^64, which leaves its low 32 bits right.
    x = x & _LOW
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)


def new_seed(device: torch.device) -> Tensor:
    """Seed from the device's default generator, int64 (1,), with no wait for the device."""
    return torch.randint(-(2**63), 2**63 - 1, (1,), dtype=torch.int64, device=device)
