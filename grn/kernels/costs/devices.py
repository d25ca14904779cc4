"""What the cost model knows about machines: rates, memory levels and limits, each with its source.

GPUs, dense rates without sparsity, from NVIDIA's datasheets: "A100 80GB" (SXM), "H100" (SXM), "H200" (SXM) and
"DGX B200" (an eighth of the system); shared memory, registers and multiprocessors from the CUDA programming guide's
table of compute capabilities and the architecture whitepapers. Two kinds of figures are not on a datasheet:

- The bandwidth of the second-level cache: 5120 bytes a clock is in the A100 whitepaper; the same width at the later
  parts' clock is an assumption. It ranks tiles; it decides no choice between forms.
- The seconds of one launch, 4e-6: an assumption for eager launches with arguments; graphs of launches take less.

float32 products run as three tf32 products ("tf32x3"), so their rate is a third of the tf32 rate.

The processor core is measured, see `CPU_CORE`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """A memory whose transfers are counted: the device's memory, or the cache that all multiprocessors share.

    Attributes
    ----------
    name
        "memory" or "cache".
    bandwidth
        Bytes a second out of it.
    size
        Bytes it holds.
    """

    name: str
    bandwidth: float
    size: float


@dataclass(frozen=True)
class Device:
    """A machine as the cost model sees it.

    Attributes
    ----------
    name
        As users know it.
    half, single, double
        FLOP/s of matrix products by the width of their inputs: 2, 4 and 8 bytes.
    vector
        Pointwise operations a second, on elements of a score tile.
    memory, cache
        The two levels whose transfers are counted.
    launch
        Seconds that one kernel launch (or one PyTorch operation) costs, whatever it does.
    multiprocessors
        Independent units that programs are spread over.
    shared_bytes
        Shared memory that one program may ask for.
    registers
        32-bit registers of a multiprocessor.
    overlaps
        Whether products, pointwise work and transfers of one kernel hide each other. In PyTorch operations on a
        processor they follow one another.
    """

    name: str
    half: float
    single: float
    double: float
    vector: float
    memory: Level
    cache: Level
    launch: float
    multiprocessors: int
    shared_bytes: int
    registers: int
    overlaps: bool = True

    def flops(self, element_bytes: int) -> float:
        """FLOP/s of products of elements this wide."""
        return {2: self.half, 4: self.single, 8: self.double}[element_bytes]


A100 = Device(
    name="A100 SXM 80GB",
    half=312e12,
    single=156e12 / 3,
    double=19.5e12,
    vector=19.5e12 / 2,
    memory=Level("memory", 2.0e12, 80e9),
    cache=Level("cache", 5120 * 1.41e9, 40e6),
    launch=4e-6,
    multiprocessors=108,
    shared_bytes=163 * 1024,
    registers=65536,
)
H100 = Device(
    name="H100 SXM",
    half=989e12,
    single=494.5e12 / 3,
    double=67e12,
    vector=67e12 / 2,
    memory=Level("memory", 3.35e12, 80e9),
    cache=Level("cache", 5120 * 1.755e9, 50e6),
    launch=4e-6,
    multiprocessors=132,
    shared_bytes=227 * 1024,
    registers=65536,
)
H200 = Device(
    name="H200 SXM",
    half=989e12,
    single=494.5e12 / 3,
    double=67e12,
    vector=67e12 / 2,
    memory=Level("memory", 4.8e12, 141e9),
    cache=Level("cache", 5120 * 1.755e9, 50e6),
    launch=4e-6,
    multiprocessors=132,
    shared_bytes=227 * 1024,
    registers=65536,
)
B200 = Device(
    name="B200",
    half=2250e12,
    single=1125e12 / 3,
    double=37e12,
    vector=75e12 / 2,
    memory=Level("memory", 8.0e12, 180e9),
    cache=Level("cache", 5120 * 1.965e9, 126e6),
    launch=4e-6,
    multiprocessors=148,
    shared_bytes=227 * 1024,
    registers=65536,
)
# Measured on one core of an AMD EPYC (AVX-512, 1 MB second-level cache, 2026-11-21, PyTorch 2.13) by
# `OMP_NUM_THREADS=1 python benchmarks/calibrate.py`, whose result of that day is in benchmarks/results. Half precision
# is computed in float32. Other processors differ by a factor that both forms share.
CPU_CORE = Device(
    name="one processor core",
    half=75e9,
    single=75e9,
    double=35e9,
    vector=6e9,
    memory=Level("memory", 25e9, 64e9),
    cache=Level("cache", 80e9, 32e6),
    launch=5e-6,
    multiprocessors=1,
    shared_bytes=2**20,
    registers=0,
    overlaps=False,
)
DEVICES = {"a100": A100, "h100": H100, "h200": H200, "b200": B200, "cpu": CPU_CORE}


def find_device(kind: str, name: str = "") -> tuple[Device, str]:
    """Figures for a machine, and a note on where they are from.

    Parameters
    ----------
    kind
        PyTorch's device type: "cpu", "cuda", "mps", ...
    name
        The GPU's name, as `torch.cuda.get_device_name` gives it. Without one that is known the figures of an A100
        stand in: choices between forms depend on ratios, which differ less between GPUs than the rates do.
    """
    if kind == "cpu":
        return CPU_CORE, "measured on one core"
    for key, device in DEVICES.items():
        if key in name.lower():
            return device, "datasheet"
    return A100, f"figures of an {A100.name} stand in for {name or kind}"
