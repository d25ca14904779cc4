"""Launches of the factorised form's kernels: arguments, tiles and constants from tensors of any device.

Meta tensors will do, so that what is compiled offline is what is launched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import triton
from torch import Tensor

from grn.kernels.gpu.launch import Config, Launch, row_arguments
from grn.kernels.gpu.linear_configs import CONFIGS, HEAD_DIMS, LinearConfig, split_rows
from grn.kernels.gpu.linear_kernels import keys_kernel, queries_kernel, rows_kernel, states_kernel

INPUTS = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}


@lru_cache
def concurrent_programs(device: torch.device) -> int:
    """Programs that run at a time: two on each multiprocessor; without CUDA a number that makes small tests split."""
    return 2 * torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


def add_ranges(partial: Tensor) -> Tensor:
    """Sum over ranges of rows, the first axis, in a fixed order."""
    return partial[0] if len(partial) == 1 else partial.sum(0)


@dataclass(frozen=True)
class _Plan:
    """How one kernel goes over the rows of all heads."""

    config: LinearConfig
    heads: int
    splits: int
    arguments: dict[str, Any]
    apart: bool = False
    """Whether products that add up states of different widths need launches of their own."""

    @property
    def panels(self) -> int:
        return self.arguments["BLOCK_D"] // self.arguments["PANEL"]

    def launches(self, kernel: Any, flags: tuple[str, ...], given: dict[str, Any]) -> list[Launch]:
        """One launch with all flags, or one for each flag: of panels, and where products are kept apart.

        The first flag's products have d columns; the second's dv, unless the kernel knows no panels of dv columns.
        """
        chosen = [dict.fromkeys(flags, True)]
        panels = [1]
        if self.config.panel or (self.apart and kernel is states_kernel):
            chosen = [{other: other == flag for other in flags} for flag in flags]
            wide = self.arguments["BLOCK_DV"] // self.arguments["PANEL_DV"]
            panels = [self.panels, self.panels if kernel is queries_kernel else wide]
        config = Config(self.config.rows, self.config.rows, self.config.num_warps, self.config.num_stages)
        names = {parameter.name for parameter in kernel.params} if hasattr(kernel, "params") else set(kernel.arg_names)
        return [
            Launch(
                kernel,
                self.heads * self.splits * count,
                {
                    name: value
                    for name, value in {**self.arguments, **given, **choice, "PANELS": count}.items()
                    if name in names
                },
                config,
            )
            for choice, count in zip(chosen, panels, strict=True)
            if self.heads * self.splits
        ]


def _plan(kernel: str, kind: int, programs: int, rows: Tensor, dv: int) -> _Plan:
    batch, heads, n, d = rows.shape
    block_d, block_dv = (max(HEAD_DIMS[0], triton.next_power_of_2(size)) for size in (d, dv))
    config = CONFIGS[kernel, kind, max(block_d, block_dv), INPUTS[rows.dtype]]
    # A state is as much memory traffic, read or written and read again, as these rows.
    overhead = 8 * d // rows.element_size()
    splits, length = split_rows(batch * heads, n, config.rows, programs, overhead)
    arguments = {
        "heads": heads,
        "splits": splits,
        "rows_per_split": length,
        "D": d,
        "DV": dv,
        "BLOCK_D": block_d,
        "BLOCK_DV": block_dv,
        "BLOCK": config.rows,
        "PANEL": min(config.panel or block_d, block_d),
        "PANEL_DV": min(config.panel or block_dv, block_dv),
        "INPUT": INPUTS[rows.dtype],
    }
    # ptxas 12.8.93, which Triton 3.6 brings, assembles two sums of products of different widths in one loop wrongly for
    # Hopper: the second operand's descriptor comes from a register that nothing wrote (docs/kernels.md, Measured).
    apart = kind == 90 and block_d != block_dv and rows.dtype != torch.float32
    return _Plan(config, batch * heads, splits, arguments, apart)


def states_launches(
    kind: int,
    programs: int,
    k: Tensor,
    v: Tensor,
    gram_weight: Tensor | None = None,
    state_weight: Tensor | None = None,
) -> tuple[list[Launch], Tensor]:
    """K^T diag(w) K and K^T diag(w') V of ranges of rows, and the (ranges, batch, heads, d, d + dv) they fill."""
    dv = v.shape[-1]
    plan = _plan("states" if gram_weight is None else "weighted", kind, programs, k, dv)
    batch, heads, m, d = k.shape
    partial = torch.empty(plan.splits, batch, heads, d, d + dv, dtype=torch.float32, device=k.device)
    weights = {"gram_weight": gram_weight, "state_weight": state_weight, "partial": partial, "m": m}
    given = {**row_arguments("k", k), **row_arguments("v", v), **weights}
    return plan.launches(states_kernel, ("GRAM", "STATE"), given), partial


def rows_launches(
    kind: int,
    programs: int,
    q: Tensor,
    states: Tensor,
    mass: Tensor | None,
    correction: Tensor | None,
    output: Tensor,
    inverse_norm: Tensor,
    eps: float,
) -> list[Launch]:
    """Inverse norms and output of all query rows."""
    plan = _plan("rows", kind, programs, q, output.shape[-1])
    given = {
        **row_arguments("q", q),
        "states": states,
        "mass": mass,
        "correction": correction,
        "squares": _shares(plan, q),
        "output": output,
        "inverse_norm": inverse_norm,
        "n": q.shape[2],
        "eps": float(eps),
    }
    return plan.launches(rows_kernel, ("SQUARES", "OUTPUT"), given)


def queries_launches(
    kind: int,
    programs: int,
    d_output: Tensor,
    d_inverse_norm: Tensor | None,
    q: Tensor,
    inverse_norm: Tensor,
    states: Tensor,
    dot: Tensor | None,
    d_q: Tensor,
    d_square: Tensor,
) -> tuple[list[Launch], Tensor | None]:
    """Gradients of all query rows; and the sums over ranges [dG | dS] that these launches fill, if they do."""
    dv = d_output.shape[-1]
    plan = _plan("queries", kind, programs, q, dv)
    batch, heads, n, d = q.shape
    partial = None
    sums = plan.config.sums and not plan.apart
    if sums:
        partial = torch.empty(plan.splits, batch, heads, d, d + dv, dtype=torch.float32, device=q.device)
    given = {
        **row_arguments("q", q),
        **row_arguments("d_output", d_output),
        "d_inverse_norm": d_inverse_norm,
        "inverse_norm": inverse_norm,
        "states": states,
        "dot": dot,
        "inner": _shares(plan, q),
        "d_q": d_q,
        "d_square": d_square,
        "partial": partial,
        "n": n,
        "SUMS": sums,
    }
    return plan.launches(queries_kernel, ("INNER", "GRADIENT"), given), partial


def keys_launches(
    kind: int, programs: int, k: Tensor, v: Tensor, d_states: Tensor, d_k: Tensor, d_v: Tensor
) -> list[Launch]:
    """Gradients of all keys and values from those of the states, [dG | dS]."""
    plan = _plan("keys", kind, programs, k, v.shape[-1])
    given = {
        **row_arguments("k", k),
        **row_arguments("v", v),
        "d_states": d_states,
        "d_k": d_k,
        "d_v": d_v,
        "m": k.shape[2],
    }
    return plan.launches(keys_kernel, ("KEYS", "VALUES"), given)


def _shares(plan: _Plan, rows: Tensor) -> Tensor | None:
    """Room for one number of each row and panel, where panels depend on each other."""
    if not plan.config.panel:
        return None
    return torch.empty(plan.panels, *rows.shape[:-1], dtype=torch.float32, device=rows.device)
