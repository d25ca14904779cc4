"""Compile kernels for GPUs that are not there, and look at what the compiler made of them.

A kernel can be right and still be useless: a tile that does not fit makes ptxas spill registers to memory, a shared
memory request over the limit fails at the first launch, and a product of the wrong layout falls back to scalar
arithmetic. None of it needs a GPU to be seen: Triton compiles to machine code for any architecture, and the tools it
bundles read registers, stack and instructions back from the binary.

    python -m grn.kernels.gpu.offline --module flashsign --capability 90

compiles every shipped configuration, prints one JSON object for each and exits with 1 if any has a fault.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CAPABILITIES = (80, 90, 100)

# Largest dynamic shared memory of one block, bytes (CUDA C++ programming guide, table of technical specifications).
SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}

# Matrix instructions in machine code: warp (all), warp group (Hopper), tensor memory (Blackwell).
TENSOR_CORE = ("HMMA", "HGMMA", "UTCHMMA", "UTCQMMA", "OMMA", "QMMA")

_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)")
_RESOURCES = re.compile(r"REG:(\d+)\s+STACK:(\d+)")


@dataclass(frozen=True)
class Variant:
    """One shipped configuration of a kernel: all that Triton compiles on.

    Attributes
    ----------
    name
        Unique among the variants of a module.
    kernel
        Function decorated by `triton.jit`.
    signature
        Type of each argument that is no constant, by name: "*bf16", "i32", "fp32" and so on.
    constexprs
        Value of each constant argument, by name; None and integers equal to 1 are constants to Triton.
    num_warps, num_stages
        Launch options.
    tensor_cores
        Whether machine code without a matrix instruction is a fault.
    divisible
        Names of arguments (pointers and integers) divisible by 16. Triton compiles another program without it.
    """

    name: str
    kernel: Any
    signature: Mapping[str, str]
    constexprs: Mapping[str, Any]
    num_warps: int
    num_stages: int
    tensor_cores: bool = True
    divisible: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What the compiler made of a variant; memory in bytes, of one thread (stack) or one block (shared)."""

    name: str
    capability: int
    registers: int
    stack_bytes: int
    shared_bytes: int
    local_loads: int
    local_stores: int
    tensor_instructions: Mapping[str, int] = field(default_factory=dict)
    tensor_cores: bool = True
    seconds: float = 0.0


def compile_offline(variant: Variant, capability: int) -> Report:
    """Compile for compute capability 80, 90 or 100 and read the binary; Triton's own cache makes a repeat quick.

    Raises
    ------
    RuntimeError
        Where the kernel was decorated under TRITON_INTERPRET=1: the interpreter has nothing to compile.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if not isinstance(variant.kernel, triton.runtime.JITFunction):
        raise RuntimeError(f"{variant.name} is interpreted; compile it in a process without TRITON_INTERPRET.")
    names = variant.kernel.arg_names
    unknown = {*variant.signature, *variant.constexprs, *variant.divisible} ^ set(names)
    if unknown:
        raise ValueError(f"{variant.name}: arguments given and arguments of the kernel differ in {sorted(unknown)}.")
    signature = {name: "constexpr" if name in variant.constexprs else variant.signature[name] for name in names}
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in variant.divisible}
    constants = {(names.index(name),): value for name, value in variant.constexprs.items()}
    begin = time.perf_counter()
    compiled = triton.compile(
        ASTSource(variant.kernel, signature, constants, attributes),
        target=GPUTarget("cuda", capability, 32),
        # Triton 3.10 turns fusion of multiplication and addition off by default; the kernels are launched with it.
        options={"num_warps": variant.num_warps, "num_stages": variant.num_stages, "enable_fp_fusion": True},
    )
    registers, stack, count = _inspect(compiled.asm["cubin"])
    return Report(
        name=variant.name,
        capability=capability,
        registers=registers,
        stack_bytes=stack,
        shared_bytes=compiled.metadata.shared,
        local_loads=count["LDL"],
        local_stores=count["STL"],
        tensor_instructions={name: count[name] for name in TENSOR_CORE if count[name]},
        tensor_cores=variant.tensor_cores,
        seconds=round(time.perf_counter() - begin, 2),
    )


def _inspect(cubin: bytes) -> tuple[int, int, Counter[str]]:
    """Registers and stack bytes of a thread, and how often each instruction occurs."""
    from triton import knobs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        usage, code = (
            subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout
            for command in ((knobs.nvidia.cuobjdump.path, "-res-usage"), (knobs.nvidia.nvdisasm.path, "-c"))
        )
    found = _RESOURCES.search(usage)
    if found is None:
        raise RuntimeError(f"cuobjdump names no registers: {usage!r}")
    return int(found[1]), int(found[2]), Counter(_INSTRUCTION.findall(code))


def check(report: Report, capability: int) -> list[str]:
    """Faults of a compiled variant, in words; none if it may be shipped."""
    faults = []
    if report.local_loads or report.local_stores or report.stack_bytes:
        faults.append(
            f"spills: {report.registers} registers and {report.stack_bytes} bytes of stack, "
            f"{report.local_loads} loads and {report.local_stores} stores to it"
        )
    if report.shared_bytes > SHARED_LIMIT[capability]:
        faults.append(f"{report.shared_bytes} bytes of shared memory, over the limit of {SHARED_LIMIT[capability]}")
    if report.tensor_cores and not report.tensor_instructions:
        faults.append("no matrix instruction: the products run on scalar arithmetic")
    return faults


def modules() -> list[str]:
    """Modules of this package that ship variants."""
    package = import_module("grn.kernels.gpu")
    names = (info.name for info in pkgutil.iter_modules(package.__path__) if info.name != "offline")
    return [name for name in names if hasattr(import_module(f"grn.kernels.gpu.{name}"), "variants")]


def _dotted(name: str) -> str:
    inside = f"grn.kernels.gpu.{name}"
    return inside if "." not in name and find_spec(inside) else name


def _compile_named(job: tuple[str, str, int]) -> tuple[Report, list[str]]:
    # Kernels do not travel between processes, their names do.
    module, name, capability = job
    variant = next(v for v in import_module(module).variants(capability) if v.name == name)
    try:
        report = compile_offline(variant, capability)
    except Exception as error:  # a compiler failure is a fault of this variant, not the end of the run
        return Report(name, capability, 0, 0, 0, 0, 0), [f"does not compile: {type(error).__name__}: {error}"[:500]]
    return report, check(report, capability)


def compile_all(
    module_names: Sequence[str], capabilities: Sequence[int], jobs: int, like: Sequence[str] = ("*",)
) -> Iterator[tuple[Report, list[str]]]:
    """Report and faults of every variant of the modules (dotted names) whose name fits a pattern, in order."""
    queue = [
        (module, variant.name, capability)
        for capability in capabilities
        for module in module_names
        for variant in import_module(module).variants(capability)
        if any(fnmatchcase(variant.name, pattern) for pattern in like)
    ]
    if jobs == 1:
        yield from map(_compile_named, queue)
        return
    # A fresh interpreter for each worker: a fork of a process with threads may hang.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_compile_named, queue)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile what the command line names; 1 if anything has a fault or nothing was compiled."""
    parser = argparse.ArgumentParser(prog="python -m grn.kernels.gpu.offline", description="Compile without a GPU.")
    parser.add_argument("--module", nargs="*", help="modules of grn.kernels.gpu, or others (default: all)")
    parser.add_argument("--capability", nargs="*", type=int, choices=CAPABILITIES, default=list(CAPABILITIES))
    parser.add_argument("--like", nargs="*", default=["*"], help="patterns of names, such as '*-d128-*' (default: all)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args(arguments)
    # Read when a kernel is decorated, here and in the workers: an interpreted kernel cannot be compiled.
    os.environ.pop("TRITON_INTERPRET", None)
    names = [_dotted(name) for name in chosen.module or modules()]
    compiled = faulty = 0
    for report, faults in compile_all(names, chosen.capability, chosen.jobs, chosen.like):
        compiled += 1
        faulty += bool(faults)
        sys.stdout.write(json.dumps({**asdict(report), "faults": faults}) + "\n")
        sys.stdout.flush()
    return int(faulty > 0 or compiled == 0)


if __name__ == "__main__":
    sys.exit(main())
