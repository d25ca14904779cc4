"""The attention benchmark at tiny sizes: its gate refuses what is wrong, its result has the fields it promises."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
TINY = ["--genes", "32", "64", "--dims", "16", "--device", "cpu", "--batch", "1", "--heads", "2"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("attention_providers", "attention_clock", "attention_plot"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("attention_benchmark", FOLDER / "attention.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = module.clock
    monkeypatch.setattr(module, "clock", lambda run, kind, budget=0: clock(run, kind, 0))  # the fewest repeats
    return module


def run(benchmark: ModuleType, folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    status = benchmark.main([*TINY, "--results", str(folder), *arguments])
    (path,) = folder.glob("*.json")
    return status, json.loads(path.read_text(encoding="utf-8"))


def test_dry_run(benchmark: ModuleType, tmp_path: Path) -> None:
    status, result = run(benchmark, tmp_path, "--providers", "linear", "eager", "sdpa")
    assert status == 0
    assert {"command", "date", "commit", "machine", "versions", "gate", "acceptance", "rows"} <= set(result)
    assert result["machine"]["device"] == "cpu"
    assert {"kind", "cores", "threads", "load_before"} <= set(result["machine"])
    assert "torch" in result["versions"]
    assert len(result["rows"]) == 3 * 3 * 2 * 2
    timed = [row for row in result["rows"] if "ms" in row]
    skipped = [row for row in result["rows"] if "skipped" in row]
    assert {row["skipped"] for row in skipped} == {"does not take mask"}
    assert {row["provider"] for row in timed} == {"linear", "eager", "sdpa"}
    for row in timed:
        assert row["ms"] > 0
        assert row["processor_ms"] > 0
        assert row["tflops"] > 0
        assert row["tb_s"] > 0
        assert row["roofline"] > 0
    assert all(entry["passed"] for entry in result["gate"])
    accepted = result["acceptance"]
    ratio = accepted["eager"]["processor_ms"] / accepted["linear"]["processor_ms"]
    assert accepted["linear_faster_than_eager"] == pytest.approx(ratio, rel=0.01)
    assert accepted["linear_long"]["n"] == 64
    assert accepted["maps"]["product"]["ms"] > 0
    assert list(tmp_path.glob("*.png")) != []


def test_a_wrong_provider_is_refused(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from attention_providers import Provider, written_out

    def wrong(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, extra: Any) -> torch.Tensor:
        return written_out(q, k, v, extra) * 1.001

    broken = {"eager": Provider(written_out, "reference"), "wrong": Provider(wrong, "reference")}
    monkeypatch.setattr(benchmark, "providers", lambda device: (broken, {}))
    status, result = run(benchmark, tmp_path, "--options", "plain")
    assert status == 1
    assert "refused: wrong plain" in capsys.readouterr().out
    rows = {name: [row for row in result["rows"] if row["provider"] == name] for name in broken}
    assert all("disagrees" in row["skipped"] for row in rows["wrong"])
    assert all("ms" in row for row in rows["eager"])


def test_gradients_are_gated_too(benchmark: ModuleType) -> None:
    from attention_providers import Provider, gate, written_out

    def detached(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, extra: Any) -> torch.Tensor:
        # Right output, and key gradients that miss a thousandth.
        return written_out(q, 0.999 * k + 0.001 * k.detach(), v, extra)

    for function, passes in ((written_out, True), (detached, False)):
        assert gate(Provider(function, "reference"), "own", 16, torch.float32, "cpu")[0] is passes


@pytest.mark.parametrize(
    ("limit", "word"),
    [(["--row-seconds", "1e-9"], "modelled at"), (["--row-gigabytes", "1e-9"], "GB"), (["--minutes", "0"], "used up")],
)
def test_rows_beyond_a_limit_are_recorded_as_skipped(
    benchmark: ModuleType, tmp_path: Path, limit: list[str], word: str
) -> None:
    _, result = run(benchmark, tmp_path, "--providers", "linear", "--options", "plain", *limit)
    assert result["rows"]
    assert all(word in row["skipped"] for row in result["rows"])


def test_half_precision_passes_its_own_gate(benchmark: ModuleType) -> None:
    from attention_providers import gate, providers

    found, missing = providers("cpu")
    assert missing == {"flash-attn": "needs CUDA", "triton-sigmoid": "needs CUDA"}
    for name in ("linear", "eager", "sdpa"):
        assert gate(found[name], "plain", 32, torch.bfloat16, "cpu")[0], name
