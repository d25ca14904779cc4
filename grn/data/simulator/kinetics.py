"""Concentrations under a signed network: Hill kinetics, first-order decay, chemical Langevin noise.

With H_j = x_j^n / (h_j^n + x_j^n), the production rate of gene i and the rate of change of its
concentration are

    P_i = b_i + sum over activators K_ji H_j + sum over repressors |K_ji| (1 - H_j)
    dx_i = (P_i - d x_i) dt + q sqrt(P_i) dW + q sqrt(d x_i) dW'

(Dibaeinia & Sinha 2020, Cell Systems 11:252, steady-state simulations). As there, the half-response h_j is
the mean of regulator j over the wild-type cell types, and d = 0.8. Both sums are one product with the
signed K: what repressors contribute is |K| - |K| H. The equation is integrated exactly in its linear part,
so that a step of a tenth of the relaxation time 1 / d is stable and close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from grn.data.simulator.random_network import PlantedNetwork

DECAY = 0.8  # per unit of time, for all genes
_STEP = 0.1  # in relaxation times
_STEPS = 60  # six relaxation times: the noise-free start is forgotten, and slow chains have passed their noise on
_CHUNK = 512  # cells integrated together: a block of a thousand genes stays in the processor's cache


@dataclass(frozen=True)
class Conditions:
    """What the cells differ in before noise.

    Attributes
    ----------
    rates
        ``(masters, types)`` production rate of each master regulator in each cell type, concentration per
        time.
    knocked
        ``(states,)`` gene knocked down in each perturbation state, -1 for none; state 0 is wild type.
    residual
        Share of production that a knock-down leaves.
    """

    rates: np.ndarray
    knocked: np.ndarray
    residual: float


def master_rates(rng: np.random.Generator, masters: int, types: int) -> np.ndarray:
    """Production rates of the master regulators, ``(masters, types)``.

    Low in some cell types (uniform, 0.2 to 2) and high in the others (uniform, 2 to 4): the ranges of the
    DS3 set of Dibaeinia & Sinha 2020. Where there are two types or more, each master is high in one and low
    in another at least.
    """
    low, high = rng.uniform(0.2, 2.0, (masters, types)), rng.uniform(2.0, 4.0, (masters, types))
    is_high = rng.random((masters, types)) < 0.5
    if types > 1:
        pair = np.argsort(rng.random((masters, types)), axis=1)
        np.put_along_axis(is_high, pair[:, :1], True, axis=1)
        np.put_along_axis(is_high, pair[:, 1:2], False, axis=1)
    return np.where(is_high, high, low)


def simulate_cells(
    network: PlantedNetwork,
    conditions: Conditions,
    types: np.ndarray,
    states: np.ndarray,
    *,
    hill: float,
    noise: float,
    seed: np.random.SeedSequence,
) -> np.ndarray:
    """Concentrations ``(cells, genes)``, float32, one snapshot per cell.

    Parameters
    ----------
    network, conditions
        What regulates what, and the production rates of the masters.
    types, states
        ``(cells,)`` cell type and perturbation state of each cell.
    hill
        Hill coefficient n.
    noise
        Amplitude q of the intrinsic noise; at 1 the variance of a gene around its mean is about its mean,
        at 0 each cell has the steady state of its type and perturbation.
    seed
        Cells are simulated in blocks of fixed size with a stream each, so that the result depends on
        nothing else.
    """
    steady, half = _steady_states(network, conditions, hill)
    if noise == 0:
        return np.ascontiguousarray(steady[:, types, states].T)
    regulators, genes = network.strength.shape
    weights = sparse.csr_array(network.strength.T)
    offset = _offset(network)[:, None]
    keep = float(np.exp(-_STEP))
    spread = noise * np.sqrt((1 - keep**2) / (2 * DECAY))
    out = np.empty((len(types), genes), dtype=np.float32)
    starts = range(0, len(types), _CHUNK)
    for start, stream in zip(starts, seed.spawn(len(starts)), strict=True):
        rng = np.random.default_rng(stream)
        cells = slice(start, start + _CHUNK)
        kind, state = types[cells], states[cells]
        knocked = conditions.knocked[state]
        columns = np.flatnonzero(knocked >= 0)
        basal = conditions.rates[:, kind].astype(np.float32)
        x = np.ascontiguousarray(steady[:, kind, state])
        draw = np.empty_like(x)
        for _ in range(_STEPS):
            production = weights @ _hill(x[:regulators], half[:, None], hill)
            production += offset
            production[: network.masters] += basal
            production[knocked[columns], columns] *= conditions.residual
            rng.standard_normal(out=draw, dtype=np.float32)
            draw *= np.sqrt(production + DECAY * x)
            x *= keep
            production *= (1 - keep) / DECAY
            x += production
            draw *= spread
            x += draw
            np.maximum(x, 0, out=x)
        out[cells] = x.T
    return out


def _steady_states(network: PlantedNetwork, conditions: Conditions, hill: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free concentrations ``(genes, types, states)`` and half-responses ``(regulators,)``, float32."""
    strength = network.strength.astype(np.float64)
    regulators, genes = strength.shape
    types, states = conditions.rates.shape[1], len(conditions.knocked)
    factor = np.ones((genes, states))
    altered = np.flatnonzero(conditions.knocked >= 0)
    factor[conditions.knocked[altered], altered] = conditions.residual
    offset = _offset(network).astype(np.float64)

    steady = np.empty((genes, types, states))
    response = np.empty((regulators, types, states))
    half = np.empty(regulators)
    for j in range(regulators):
        if j < network.masters:
            production = np.repeat(conditions.rates[j][:, None], states, axis=1)
        else:
            production = offset[j] + np.tensordot(strength[:j, j], response[:j], axes=1)
        steady[j] = production * factor[j] / DECAY
        # State 0 is wild type: a knock-down must not move the half-response that it is measured against.
        half[j] = steady[j, :, 0].mean()
        response[j] = _hill(steady[j], half[j], hill)
    others = np.tensordot(strength[:, regulators:].T, response, axes=1) + offset[regulators:, None, None]
    steady[regulators:] = others * factor[regulators:, None, :] / DECAY
    return steady.astype(np.float32), half.astype(np.float32)


def _offset(network: PlantedNetwork) -> np.ndarray:
    """Production ``(genes,)`` that all repressors together allow at most."""
    return -np.minimum(network.strength, 0).sum(axis=0)


def _hill(x: np.ndarray, half: np.ndarray | float, n: float) -> np.ndarray:
    # 1 - 1 / (1 + r) stays finite where r overflows; r / (1 + r) would not.
    with np.errstate(over="ignore"):
        ratio = x / half
        ratio = ratio * ratio if n == 2 else ratio**n
        return 1 - 1 / (1 + ratio)
