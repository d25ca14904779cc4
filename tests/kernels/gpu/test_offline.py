"""The gate of kernels that no GPU has run: it is green for all that is shipped, and turns red where it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from grn.kernels.gpu.offline import CAPABILITIES, SHARED_LIMIT, Report, check, compile_offline
from grn.kernels.gpu.tiles import mix


def gate(*arguments: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status and reports by name and capability; in a process of its own, where kernels are not interpreted."""
    run = subprocess.run(
        [sys.executable, "-m", "grn.kernels.gpu.offline", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert lines, run.stderr
    return run.returncode, {f"{line['name']}@{line['capability']}": line for line in lines}


# The widest tiles of each kernel: what outgrows registers or shared memory does so here first.
WIDEST = (
    *("forward-bfloat16-d128-pairs", "query-float16-d128-pairs", "key-float16-d128-pairs", "prior-bfloat16-d128-pairs"),
    *("linear queries d128 bf16", "linear keys d128 fp16", "linear weighted states d128 fp32"),
    "maps of the strongest d128 fp32",
)


def test_the_widest_tiles() -> None:
    """In part what `test_everything` does."""
    status, reports = gate("--capability", "90", "--jobs", "1", "--like", *WIDEST)
    assert {name: report["faults"] for name, report in reports.items() if report["faults"]} == {}
    assert status == 0
    assert len(reports) == len(WIDEST)


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_everything(capability: int) -> None:
    if str(capability) not in os.environ.get("GRN_OFFLINE", "").split():
        pytest.skip("make test-offline compiles every kernel")
    status, reports = gate("--capability", str(capability))
    assert {name: report["faults"] for name, report in reports.items() if report["faults"]} == {}
    assert status == 0
    kinds = {name.split("-")[0] for name in reports if "-" in name}
    assert kinds == {"forward", "query", "key", "atomic", "prior", "prepare"}
    assert {name.split()[0] for name in reports if " " in name} == {"linear", "maps"}


def test_the_gate_sees_faults(tmp_path: Path) -> None:
    faulty = str(Path(__file__).parent)
    arguments = ("--module", "faulty_kernels", "--capability", "90", "--jobs", "1")
    status, reports = gate(*arguments, PYTHONPATH=faulty, TRITON_CACHE_DIR=str(tmp_path))
    assert status == 1
    faults = {name.removesuffix("@90"): report["faults"] for name, report in reports.items()}
    assert faults.pop("fine") == faults.pop("elementwise") == []
    assert ["scalar arithmetic" in fault for fault in faults.pop("scalar")] == [True]
    assert "spills" in faults.pop("spills")[0]
    assert "shared memory, over the limit" in faults.pop("shared")[0]
    assert "does not compile" in faults.pop("unbuildable")[0]
    assert faults == {}
    fine = reports["fine@90"]
    assert fine["tensor_instructions"]["HGMMA"] > 0
    assert 0 < fine["registers"] <= 255
    # What compiled is kept: a second run adds nothing and says the same.
    kept = {path.name for path in tmp_path.rglob("*.cubin")}
    folders = {path.parent.name for path in tmp_path.rglob("*.cubin")}
    _, again = gate(*arguments, PYTHONPATH=faulty, TRITON_CACHE_DIR=str(tmp_path))
    assert {path.parent.name for path in tmp_path.rglob("*.cubin")} == folders
    assert kept
    for name, report in reports.items():
        assert {**again[name], "seconds": 0} == {**report, "seconds": 0}


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_limits(capability: int) -> None:
    good = Report("k", capability, 255, 0, SHARED_LIMIT[capability], 0, 0, {"HMMA": 1})
    assert check(good, capability) == []
    assert len(check(Report("k", capability, 32, 4096, SHARED_LIMIT[capability] + 1, 2, 1), capability)) == 3
    assert check(Report("k", capability, 32, 0, 0, 0, 0, tensor_cores=False), capability) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="kernels are compiled here, not interpreted")
def test_an_interpreted_kernel_is_refused() -> None:
    from grn.kernels.gpu.offline import Variant

    with pytest.raises(RuntimeError, match="without TRITON_INTERPRET"):
        compile_offline(Variant("mix", mix, {"x": "i32"}, {}, 4, 1), 90)
