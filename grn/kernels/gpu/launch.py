"""A kernel with its arguments, to run or to compile without a GPU: what is checked offline is what is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from grn.kernels.gpu.offline import Variant

_POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


@dataclass(frozen=True)
class Config:
    """Sizes of one kernel: queries and keys of a tile, warps of a program, stages of the pipelined loads."""

    queries: int
    keys: int
    num_warps: int
    num_stages: int


@dataclass(frozen=True)
class Launch:
    """A kernel, how many programs of it, and every argument by name."""

    kernel: Any
    programs: int
    arguments: Mapping[str, Any]
    config: Config

    def run(self) -> None:
        """Start the kernel on the current device, or interpret it."""
        self.kernel[(self.programs,)](
            **self.arguments,
            num_warps=self.config.num_warps,
            num_stages=self.config.num_stages,
            enable_fp_fusion=True,
        )

    def variant(self, name: str, tensor_cores: bool = True) -> Variant:
        """What Triton would compile for these arguments, by its rules of specialisation; meta tensors will do."""
        signature: dict[str, str] = {}
        constants: dict[str, Any] = {}
        divisible = []
        for parameter in self.kernel.params:
            key, value = parameter.name, self.arguments[parameter.name]
            if parameter.is_constexpr or value is None:
                constants[key] = value
            elif isinstance(value, Tensor):
                signature[key] = _POINTERS[value.dtype]
                divisible.append(key)
            elif isinstance(value, float):
                signature[key] = "fp32"
            elif value == 1 and not parameter.do_not_specialize:
                constants[key] = value
            else:
                signature[key] = "i32" if -(2**31) <= value < 2**31 else "i64"
                if value % 16 == 0 and not parameter.do_not_specialize:
                    divisible.append(key)
        return Variant(
            name=name,
            kernel=self.kernel,
            signature=signature,
            constexprs=constants,
            num_warps=self.config.num_warps,
            num_stages=self.config.num_stages,
            tensor_cores=tensor_cores,
            divisible=tuple(divisible),
        )


@lru_cache
def architecture(device: torch.device) -> int:
    """Which tables to read on a device: 80, 90 or 100.

    Consumer cards (8.6, 8.9, 12.0) have Ampere's matrix instructions and 99 KiB of shared memory, which the tables for
    80 respect. Without CUDA the kernels are interpreted, and any table will do.
    """
    if device.type != "cuda":
        return 90
    return {9: 90, 10: 100}.get(torch.cuda.get_device_capability(device)[0], 80)


def dense_rows(tensor: Tensor) -> Tensor:
    """The tensor itself where its last axis is contiguous, which the kernels rely on, else a contiguous copy."""
    # Inside a tile offsets are 32-bit: 128 rows of 2^20 elements fit.
    fits = (tensor.stride(-1) == 1 or tensor.shape[-1] == 1) and tensor.stride(-2) <= 2**20
    return tensor if fits else tensor.contiguous()


def pair_arguments(name: str, pairs: Tensor | None) -> dict[str, Any]:
    """A tensor over pairs (b or 1, h or 1, n, m) and its strides, 0 on axes that are shared."""
    if pairs is None:
        return {name: None, **dict.fromkeys((f"{name}_{axis}" for axis in ("batch", "head", "row", "column")), 0)}
    if pairs.dtype == torch.bool:
        pairs = pairs.view(torch.uint8)
    if pairs.stride(-1) > 1:
        pairs = pairs.contiguous()
    batch, head, row, column = (
        0 if size == 1 else step for size, step in zip(pairs.shape, pairs.stride(), strict=True)
    )
    return {name: pairs, f"{name}_batch": batch, f"{name}_head": head, f"{name}_row": row, f"{name}_column": column}


def row_arguments(name: str, rows: Tensor) -> dict[str, Any]:
    """A tensor (batch, heads, n, d) and its strides but the last, which is 1."""
    batch, head, row, _ = rows.stride()
    return {name: rows, f"{name}_batch": batch, f"{name}_head": head, f"{name}_row": row}
