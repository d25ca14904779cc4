"""Runs the numeric tests as other machines would: `make test-portable`, or all settings by `PORTABLE=whole`.

A processor with other instructions adds up in another order, another number of threads divides sums elsewhere, and
other seeds draw other numbers. Settings: ATEN_CPU_CAPABILITY for PyTorch, OPENBLAS_CORETYPE for NumPy, OMP_NUM_THREADS
for both, GRN_TEST_SEED for what tests draw (see `conftest`).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import torch

# Rooms whose tests compare numbers that were computed in two ways.
ROOMS = ("tests/kernels", "tests/models", "tests/test_rounding.py")
# Triton's interpreter runs on NumPy and takes long; one file of it stands for the others in the short form.
SHORT = ("--ignore=tests/kernels/gpu", "--deselect=tests/kernels/test_costs.py", "-m", "not slow")
INTERPRETED = "tests/kernels/gpu/test_linear.py"
# What OpenBLAS calls a processor with the same instructions.
CORES = {"default": "Prescott", "avx2": "Haswell", "avx512": "SkylakeX"}


def capabilities() -> list[str]:
    """Sets of instructions that this processor has, the fewest first."""
    flags = torch.backends.cpu.get_cpu_capability().casefold()
    return list(CORES)[: 1 + ("avx" in flags) + ("avx512" in flags)]


def settings(whole: bool) -> list[tuple[str, int, int]]:
    """Capability, threads and seed of each run."""
    found = capabilities()
    if whole:
        return list(itertools.product(found, (1, 2), (1, 2, 3)))
    return [(capability, 1 + place % 2, place + 1) for place, capability in enumerate(found)]


def main() -> int:
    """Number of settings under which a test failed."""
    whole = os.environ.get("PORTABLE") == "whole"
    failed = []
    for capability, threads, seed in settings(whole):
        chosen = {
            "ATEN_CPU_CAPABILITY": capability,
            "OPENBLAS_CORETYPE": CORES[capability],
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "GRN_TEST_SEED": str(seed),
        }
        told = " ".join(f"{name}={value}" for name, value in chosen.items())
        sys.stdout.write(f"\n{told}\n")
        sys.stdout.flush()
        short = () if whole else SHORT
        rooms = ROOMS if whole else (*ROOMS, INTERPRETED)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
        workers = () if threads > 1 else ("-n", "2")
        result = subprocess.run([*command, *workers, *short, *rooms], env={**os.environ, **chosen}, check=False)
        if result.returncode:
            failed.append(told)
    sys.stdout.write("".join(f"\nfailed under {told}" for told in failed) or "\nno setting makes a difference")
    sys.stdout.write("\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
