"""The cost model against the derived figures, against counts made by hand, and its choices against time on this CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from grn.kernels import chunked
from grn.kernels import linear as linear_form
from grn.kernels.costs import (
    Options,
    Shapes,
    break_even,
    choose,
    costs,
    explain,
    find_device,
    flashsign,
    footprint,
    kernels_of,
    linear,
    maps,
    prune_tiles,
    reference,
    roofline_seconds,
    total,
)
from grn.kernels.costs.devices import A100, CPU_CORE, DEVICES, H200


def shapes(n: int, *, d: int = 64, batch: int = 16, heads: int = 8, m: int | None = None) -> Shapes:
    return Shapes(batch, heads, heads, n, n if m is None else m, d, d, 2)


def one_head(n: int, d: int) -> Shapes:
    return shapes(n, d=d, batch=1, heads=1)


@pytest.mark.parametrize(("backward", "products"), [(False, 8), (True, 14)])
def test_linear_flops(backward: bool, products: int) -> None:
    sum_of = total(costs(linear(one_head(4096, 64), backward=backward), A100, 2))
    assert sum_of.flops == products * 4096 * 64**2


@pytest.mark.parametrize(
    ("backward", "deterministic", "products"), [(False, True, 4), (True, True, 14), (True, False, 10)]
)
def test_quadratic_flops(backward: bool, deterministic: bool, products: int) -> None:
    kernels = flashsign(one_head(4096, 64), backward=backward, deterministic=deterministic)
    assert total(costs(kernels, A100, 2)).flops == products * 4096**2 * 64


@pytest.mark.parametrize(("backward", "elements"), [(False, 4), (True, 7)])
def test_linear_moves_each_array_once(backward: bool, elements: int) -> None:
    """4 n d elements forward (q, k, v, o) and 7 n d backward (q, k, v, do, dq, dk, dv); row norms are the rest."""
    moved = total(costs(linear(shapes(8192), backward=backward), H200, 2)).bytes["memory"] / 2
    assert moved == pytest.approx(elements * 16 * 8 * 8192 * 64, rel=0.02)


def test_break_even_in_flops() -> None:
    def ratio(n: int, *, both: bool) -> float:
        kernels = [form(one_head(n, 100)) for form in (linear, flashsign)]
        if both:
            kernels[0] += linear(one_head(n, 100), backward=True)
            kernels[1] += flashsign(one_head(n, 100), backward=True, deterministic=False)
        first, second = (total(costs(part, A100, 2)).flops for part in kernels)
        return first / second

    assert ratio(200, both=False) == pytest.approx(1)
    assert ratio(157, both=True) == pytest.approx(1, rel=0.01)


# Microseconds forward and backward of B16 H8 d64 in bfloat16: n, device, quadratic (atomic backward), linear.
FLOORS = [
    (2048, A100, (441, 1101), (67, 117)),
    (8192, A100, (7048, 17620), (268, 470)),
    (20000, A100, (42010, 105026), (655, 1147)),
    (2048, H200, (139, 347), (28, 49)),
    (8192, H200, (2223, 5559), (112, 196)),
    (20000, H200, (13253, 33132), (273, 478)),
]


@pytest.mark.parametrize(("n", "device", "quadratic", "factorised"), FLOORS)
def test_floors(n: int, device: object, quadratic: tuple[int, int], factorised: tuple[int, int]) -> None:
    device = replace(device, cache=replace(device.cache, bandwidth=1e30))  # type: ignore[type-var, attr-defined]
    for backward in (False, True):
        kernels = flashsign(shapes(n), backward=backward, deterministic=False)
        seconds = roofline_seconds(costs(kernels, device, 2), device, launches=False)
        assert seconds * 1e6 == pytest.approx(quadratic[backward], rel=0.05)
        kernels = linear(shapes(n), backward=backward)
        seconds = roofline_seconds(costs(kernels, device, 2), device, launches=False)
        assert seconds * 1e6 == pytest.approx(factorised[backward], rel=0.05)


def test_keys_are_read_again_for_every_group_of_queries() -> None:
    """Counted by hand: q, o once, r once, and k, v once for each of the ceil(n / block_n) groups."""
    n, d = 1000, 64
    (kernel,) = flashsign(one_head(n, d), block_n=128)
    moved = total(costs([kernel], A100, 2)).bytes
    assert moved["cache"] == 2 * n * d * 2 + 4 * n + 8 * (2 * n * d * 2)
    assert moved["memory"] == 4 * n * d * 2 + 4 * n
    starved = replace(A100, cache=replace(A100.cache, size=1000))
    assert total(costs([kernel], starved, 2)).bytes["memory"] == moved["cache"]


def test_a_shared_mask_is_read_for_every_head() -> None:
    plain, masked = (
        total(costs(flashsign(shapes(4096), options), A100, 2)).bytes for options in (Options(), Options(mask="nm"))
    )
    assert masked["cache"] - plain["cache"] == 16 * 8 * 4096**2
    # 16 MB stay in the cache; 400 MB do not.
    assert masked["memory"] - plain["memory"] == 4096**2
    plain, masked = (
        total(costs(flashsign(shapes(20000), options), A100, 2)).bytes for options in (Options(), Options(mask="nm"))
    )
    assert masked["memory"] - plain["memory"] == 16 * 8 * 20000**2


def test_every_option_costs() -> None:
    for backward in (False, True):
        plain = total(costs(flashsign(shapes(512), backward=backward), A100, 2))
        masked = total(costs(flashsign(shapes(512), Options(mask="nm"), backward=backward), A100, 2))
        prior = total(costs(flashsign(shapes(512), Options(prior="nm"), backward=backward), A100, 2))
        half = total(costs(flashsign(shapes(512), Options(prior="nm", prior_bytes=2), backward=backward), A100, 2))
        dropped = total(costs(flashsign(shapes(512), Options(dropout=True), backward=backward), A100, 2))
        assert prior.bytes["cache"] > half.bytes["cache"] > plain.bytes["cache"]
        assert masked.bytes["cache"] > plain.bytes["cache"]
        assert dropped.pointwise > 3 * plain.pointwise
        paired = total(costs(linear(shapes(512), Options(pairs=512), backward=backward), A100, 2))
        without = total(costs(linear(shapes(512), backward=backward), A100, 2))
        assert paired.flops > without.flops
        written = total(costs(reference(shapes(512), Options(mask="nm"), backward=backward), A100, 2))
        assert (
            written.bytes["memory"] > total(costs(reference(shapes(512), backward=backward), A100, 2)).bytes["memory"]
        )


def test_grouped_query_heads_save_keys_and_states() -> None:
    grouped = replace(shapes(4096), key_heads=2)
    few, many = (total(costs(linear(each), H200, 2)) for each in (grouped, shapes(4096)))
    assert few.bytes["memory"] < many.bytes["memory"]
    assert few.flops < many.flops
    # Scores are those of all query heads: nothing is saved.
    few, many = (total(costs(flashsign(each), H200, 2)) for each in (grouped, shapes(4096)))
    assert few.flops == many.flops


def test_three_statistics_cost_the_same_products_and_more_writes() -> None:
    cells = Shapes(64, 1, 1, 2000, 2000, 64, 64, 2)
    mean, three = (total(costs(maps(cells, statistics), H200, 2)) for statistics in (1, 3))
    assert mean.flops == three.flops == 2 * 64 * 2000**2 * 64
    assert three.bytes["memory"] - mean.bytes["memory"] == 2 * 2000**2 * 4
    assert three.pointwise > mean.pointwise
    grouped = total(costs(maps(cells, 1, groups=5), H200, 2))
    assert grouped.bytes["memory"] - mean.bytes["memory"] == 4 * 2000**2 * 4


def test_memory_of_the_linear_form_grows_with_genes_and_of_the_reference_with_their_square() -> None:
    for form, growth in (("linear", 2), ("flashsign", 2), ("reference", 4)):
        small, large = (
            footprint(kernels_of(form, one_head(n, 64), A100, backward=True))  # type: ignore[arg-type]
            for n in (10000, 20000)
        )
        assert large / small == pytest.approx(growth, rel=0.05)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES.keys())
@pytest.mark.parametrize("backward", [False, True])
def test_choice(device: object, backward: bool) -> None:
    chosen = choose(shapes(20000), device, dense=False, backward=backward)  # type: ignore[arg-type]
    assert chosen.form == "linear"
    assert "linear is modelled at" in chosen.reason
    assert "n=20000" in chosen.reason
    assert chosen.estimates["linear"] < chosen.estimates["flashsign"] < chosen.estimates["reference"]
    dense = choose(shapes(20000), device, dense=True, backward=backward)  # type: ignore[arg-type]
    assert dense.form == "flashsign"
    assert "linear" not in dense.estimates
    few_keys = choose(shapes(20000, m=8), device, dense=False, backward=False)  # type: ignore[arg-type]
    assert few_keys.form == "flashsign"


@pytest.mark.parametrize("empty", ["batch", "n", "m"])
def test_nothing_to_do_is_no_error(empty: str) -> None:
    none = replace(shapes(100), **{empty: 0})
    for device in (CPU_CORE, A100):
        assert choose(none, device, dense=False, backward=True).estimates["linear"] >= 0
    assert prune_tiles([Tiles(64, 64, 4, 2)], none, A100) == [Tiles(64, 64, 4, 2)]


def test_break_even_is_where_the_choice_turns() -> None:
    n = break_even(CPU_CORE, 64, backward=True, element_bytes=4)
    around = [
        choose(Shapes(1, 1, 1, size, size, 64, 64, 4), CPU_CORE, dense=False, backward=True).form for size in (n - 1, n)
    ]
    assert around == ["reference", "linear"]


def test_few_scores_are_written_out_on_a_processor_alone() -> None:
    """With gradients, what is kept need not be computed again: up to 2^18 scores of all batch entries and heads."""
    few, many = (Shapes(1, heads, heads, 64, 64, 128, 128, 4) for heads in (64, 65))
    assert choose(few, CPU_CORE, dense=True, backward=True).form == "reference"
    assert choose(many, CPU_CORE, dense=True, backward=True).form == "flashsign"
    assert choose(few, H200, dense=True, backward=True).form == "flashsign"


def test_half_precision_is_computed_in_single_on_a_processor() -> None:
    assert CPU_CORE.flops(2) == CPU_CORE.flops(4) > CPU_CORE.flops(8)


def test_devices_are_found_by_name() -> None:
    assert find_device("cuda", "NVIDIA A100-SXM4-80GB") == (A100, "datasheet")
    assert find_device("cuda", "NVIDIA H200")[0] is H200
    assert find_device("cpu")[0] is CPU_CORE
    device, note = find_device("cuda", "Some GPU")
    assert device is A100
    assert "Some GPU" in note


def test_explanation_is_one_sentence_with_figures() -> None:
    text = explain(*find_device("cuda", "NVIDIA H200"))
    assert "linear" in text
    assert "H200" in text
    assert "20000 genes" in text
    assert "\n" not in text


@dataclass(frozen=True)
class Tiles:
    block_n: int
    block_m: int
    num_warps: int
    num_stages: int


def test_tiles_that_do_not_fit_are_dropped() -> None:
    good = Tiles(128, 64, 4, 2)
    too_much_shared = Tiles(128, 128, 8, 8)
    too_many_registers = Tiles(256, 256, 4, 1)
    assert prune_tiles([too_many_registers, good, too_much_shared], shapes(4096), A100) == [good]
    # What does not fit on an A100 may fit on an H200.
    assert too_much_shared not in prune_tiles([replace(too_much_shared, num_stages=5)], shapes(4096), A100)
    assert prune_tiles([replace(too_much_shared, num_stages=3)], shapes(4096), H200)


def test_tiles_that_leave_the_machine_idle_are_dropped() -> None:
    small, large = Tiles(32, 64, 4, 2), Tiles(128, 64, 8, 2)
    assert prune_tiles([large, small], one_head(4096, 64), H200) == [small]
    # With no alternative the fullest remain.
    assert prune_tiles([large, small], one_head(256, 64), H200) == [small]
    assert prune_tiles([], shapes(256), H200) == []


def test_tiles_are_ranked_by_modelled_time() -> None:
    wide, narrow = Tiles(128, 64, 8, 2), Tiles(16, 64, 4, 2)
    # Sixteen queries a tile read every key 512 times; 128 read them 64 times.
    assert prune_tiles([narrow, wide], shapes(8192), H200) == [wide, narrow]
    assert prune_tiles([narrow, wide], shapes(8192), H200, backward=True)[0] == wide


@pytest.mark.skipif(sys.platform == "win32", reason="the clock of a thread is too coarse")
@pytest.mark.parametrize(("heads", "n", "d", "expected"), [(96, 64, 128, "flashsign"), (4, 1024, 64, "linear")])
def test_the_choice_is_the_faster_form_here(
    heads: int, n: int, d: int, expected: str, seconds_of: Callable[..., list[float]]
) -> None:
    """Where the model sees a factor of two or more, the clock agrees on the order. Finer: benchmarks/calibrate.py."""
    choice = choose(Shapes(1, heads, heads, n, n, d, d, 4), CPU_CORE, dense=False, backward=False)
    assert choice.form == expected
    assert max(choice.estimates[form] for form in ("linear", "flashsign")) > 2 * choice.estimates[choice.form]
    q, k, v = (torch.randn(1, heads, n, d) for _ in range(3))
    plain: dict[str, Any] = {"own": None, "mask": None, "prior": None, "dropout_p": 0.0, "seed": None}
    runs: dict[str, Callable[[], object]] = {
        "linear": lambda: linear_form.core_forward(q, k, v, None, None, 1.0),
        "flashsign": lambda: chunked.forward(q, k, v, mass=None, eps=1.0, **plain),
    }
    took = dict(zip(runs, seconds_of(*runs.values(), rounds=7), strict=True))
    assert min(took, key=lambda form: took[form]) == expected


def test_the_shipped_forward_tiles_fit_by_the_model_too() -> None:
    """The machine code of these was read offline: no spills, within shared memory."""
    pytest.importorskip("triton")
    from grn.kernels.gpu.flashsign_configs import CONFIGS

    machines = {80: A100, 90: H200, 100: DEVICES["b200"]}
    found = 0
    for (kernel, capability, d, width, _), config in CONFIGS.items():
        if kernel == "forward" and width == 2:
            tile = Tiles(config.queries, config.keys, config.num_warps, config.num_stages)
            assert prune_tiles([tile], shapes(4096, d=d), machines[capability]) == [tile]
            found += 1
    assert found >= 3
