"""The forms of the attention as kernels: which axes each groups and streams, what it reads, writes and multiplies.

Letters of axes are those of `grn.kernels.costs.axes`. docs/kernels.md shows the same as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from grn.kernels.costs.axes import Array, Options, Pass, Shapes

NO_OPTIONS = Options()
# Programs that keep every multiprocessor of a large GPU busy.
FULL = 256


def linear(
    shapes: Shapes,
    options: Options = NO_OPTIONS,
    *,
    backward: bool = False,
    block: int = 128,
    splits: int | None = None,
) -> tuple[Pass, ...]:
    """Kernels of the factorised form, forward or backward.

    Forward streams the keys into the states S = K^T V and G = K^T K, then the queries past them. Backward streams the
    queries past S and G into their gradients, then the keys past those. Both state kernels group batch and heads, and
    cut the streamed axis into `splits` parts whose states are added; without it, into enough to fill a large GPU.
    """
    sizes = shapes.axes(options.pairs)
    width = shapes.element_bytes
    heads = {"b": 1, "g": 1}
    states = {"S": Array("bgde", 4, internal=True), "G": Array("bgdf", 4, internal=True)}
    d_states = {"dS": Array("bgde", 4, internal=True), "dG": Array("bgdf", 4, internal=True)}
    k, v = Array("bgmd", width), Array("bgme", width)
    q, out, row = Array("bgsnd", width), Array("bgsne", width), Array("bgsn", 4)
    parts = splits or ceil(FULL / max(1, shapes.batch * shapes.key_heads))
    keys_cut, queries_cut = ({axis: max(block, ceil(sizes[axis] / parts))} for axis in "mn")
    if not backward:
        kernels = [
            Pass(
                "states",
                sizes,
                grouped={**heads, **keys_cut},
                streamed={"m": block},
                reads={"k": k, "v": v},
                writes=states,
                contractions=("bgmde", "bgmdf"),
                accumulators=("de", "df"),
                operations=6,
            ),
            Pass(
                "outputs",
                sizes,
                grouped={**heads, "s": 1, "n": block},
                streamed={},
                reads={"q": q, **states},
                writes={"o": out, "r": row},
                contractions=("bgsndf", "bgsnde"),
                accumulators=("nf", "ne"),
                operations=12,
            ),
        ]
    else:
        kernels = [
            Pass(
                "queries",
                sizes,
                grouped={**heads, **queries_cut},
                streamed={"n": block, "s": 1},
                reads={"q": q, "do": out, "r": row, **states},
                writes={"dq": q, "sq": row, **d_states},
                contractions=("bgsnde", "bgsndf", "bgsnde", "bgsndf"),
                accumulators=("de", "df"),
                operations=18,
            ),
            Pass(
                "keys",
                sizes,
                grouped={**heads, "m": block},
                streamed={},
                reads={"k": k, "v": v, **d_states},
                writes={"dk": k, "dv": v},
                contractions=("bgmde", "bgmdf", "bgmde"),
                accumulators=("md", "me"),
                operations=13,
            ),
        ]
    return (*kernels, *_pairs(sizes, width, backward)) if options.pairs else tuple(kernels)


def _pairs(sizes: Mapping[str, int], width: int, backward: bool) -> tuple[Pass, ...]:
    """The correction of listed pairs: a few rows gathered, two products of length d, rows added back."""
    one, value = Array("bgspd", width), Array("bgspe", width)
    reads, writes = {"q_p": one, "k_p": one, "v_p": value}, {"o_p": value}
    products: tuple[str, ...] = ("bgspd", "bgspe")
    if backward:
        reads, writes = {**reads, "do_p": value}, {"dq_p": one, "dk_p": one, "dv_p": value}
        products = ("bgspd", "bgspe", "bgspe", "bgspd", "bgspd")
    return (
        Pass(
            "pairs",
            sizes,
            grouped={"b": 1, "g": 1, "s": 1, "p": 128},
            streamed={},
            reads=reads,
            writes=writes,
            contractions=products,
            operations=25 if backward else 12,
            launches=6 if backward else 4,
        ),
    )


def flashsign(
    shapes: Shapes,
    options: Options = NO_OPTIONS,
    *,
    backward: bool = False,
    deterministic: bool = True,
    block_n: int = 128,
    block_m: int = 64,
) -> tuple[Pass, ...]:
    """Kernels of the quadratic form that streams the keys and never stores a score.

    Backward either takes two kernels that each recompute the scores (deterministic), or one whose query gradients are
    added atomically.
    """
    sizes, width = shapes.axes(options.pairs), shapes.element_bytes
    k, v = Array("bgmd", width), Array("bgme", width)
    q, out, row = Array("bgsnd", width), Array("bgsne", width), Array("bgsn", 4)
    dense = {"mask": Array(options.mask, 1)} if options.mask else {}
    if options.prior:
        dense["prior"] = Array(options.prior, options.prior_bytes)
    # Where a score passes the chip it is squared and added, and under dropout hashed: about twenty integer operations.
    each = 2 + len(dense) + 20 * options.dropout
    over_queries = {"b": 1, "g": 1, "s": 1, "n": block_n}
    # The query heads of one key head are added up in one program, so that no key gradient is written twice.
    over_keys = {"b": 1, "g": 1, "m": block_m}
    if not backward:
        return (
            Pass(
                "forward",
                sizes,
                grouped=over_queries,
                streamed={"m": block_m},
                reads={"q": q, "k": k, "v": v, **dense},
                writes={"o": out, "r": row},
                contractions=("bgsnmd", "bgsnme"),
                accumulators=("ne", "n", "nm"),
                pointwise=(("bgsnm", each),),
                operations=12,
            ),
        )
    inputs = {"q": q, "k": k, "v": v, "do": out, "r": row, "sq": row, **dense}
    dots = Pass(
        "dots",
        sizes,
        grouped={"b": 1, "g": 1, "s": 1, "n": block_n},
        streamed={},
        reads={"o": out, "do": out, "r": row},
        writes={"sq": row},
        pointwise=(("bgsne", 2),),
        operations=4,
    )
    bias = {"dprior": Array(options.prior, options.prior_bytes)} if options.prior else {}
    scores, d_map, d_v, d_k, d_q = "bgsnmd", "bgsnme", "bgsnme", "bgsnmd", "bgsnmd"
    work = (("bgsnm", each + 3),)
    if deterministic:
        return (
            dots,
            Pass(
                "keys",
                sizes,
                grouped=over_keys,
                streamed={"n": block_n, "s": 1},
                reads=inputs,
                writes={"dk": k, "dv": v},
                contractions=(scores, d_map, d_v, d_k),
                accumulators=("md", "me", "nm", "nm"),
                pointwise=work,
            ),
            Pass(
                "queries",
                sizes,
                grouped=over_queries,
                streamed={"m": block_m},
                reads=inputs,
                writes={"dq": q, **bias},
                contractions=(scores, d_map, d_q),
                accumulators=("nd", "nm", "nm"),
                pointwise=work,
            ),
        )
    # dq lacks the grouped axis m: every tile of keys adds its part to it, in float32.
    parts = Array("bgsnd", 4)
    return (
        dots,
        Pass(
            "keys",
            sizes,
            grouped=over_keys,
            streamed={"n": block_n, "s": 1},
            reads=inputs,
            writes={"dk": k, "dv": v, "dq": parts, **bias},
            contractions=(scores, d_map, d_v, d_k, d_q),
            accumulators=("md", "me", "nm", "nm"),
            pointwise=work,
            operations=16,
        ),
    )


def reference(shapes: Shapes, options: Options = NO_OPTIONS, *, backward: bool = False) -> tuple[Pass, ...]:
    """The definition written out in PyTorch operations: every score array goes to memory and back.

    Forward writes scores, squares and the map and reads them for the sum, the scaling and the product. Backward is
    automatic differentiation's. Half precision is computed in float32.
    """
    sizes, width = shapes.axes(options.pairs), max(4, shapes.element_bytes)
    k, v = Array("bgmd", width), Array("bgme", width)
    q, out, row = Array("bgsnd", width), Array("bgsne", width), Array("bgsn", width)
    dense = {"mask": Array(options.mask, 1)} if options.mask else {}
    if options.prior:
        dense["prior"] = Array(options.prior, options.prior_bytes)
    extra = len(dense) + 2 * options.dropout

    def scores(times: int) -> Array:
        return Array("bgsnm", width, times=times)

    if not backward:
        return (
            Pass(
                "reference",
                sizes,
                grouped={},
                streamed={},
                reads={
                    "q": q,
                    "k": k,
                    "v": v,
                    **dense,
                    "scores": scores(2 + extra),
                    "squares": scores(1),
                    "map": scores(1),
                },
                writes={"scores": scores(1 + extra), "squares": scores(1), "map": scores(1), "o": out, "r": row},
                contractions=("bgsnmd", "bgsnme"),
                launches=7 + extra,
                operations=7 + extra,
            ),
        )
    return (
        Pass(
            "reference backward",
            sizes,
            grouped={},
            streamed={},
            reads={
                "q": q,
                "k": k,
                "v": v,
                "do": out,
                **dense,
                "scores": scores(2),
                "map": scores(1),
                "d map": scores(2),
                "d scores": scores(4 + extra),
            },
            writes={
                "d map": scores(1),
                "squares": scores(1),
                "d scores": scores(3 + extra),
                "dq": q,
                "dk": k,
                "dv": v,
                "o": out,
            },
            contractions=("bgsnme", "bgsnme", "bgsnmd", "bgsnmd"),
            launches=14 + extra,
            operations=14 + extra,
        ),
    )


def maps(
    shapes: Shapes, statistics: int = 1, *, groups: int = 1, block_n: int = 128, block_m: int = 128
) -> tuple[Pass, ...]:
    """Mean map over the cells of each group (one statistic), or mean, mean size and mean square together (three).

    The mean alone is one product whose inner axes are cells and features. The other two need each cell's score by
    itself: the same product, streamed cell by cell, with three accumulators and a few operations on each score.
    """
    sizes = shapes.axes(groups=groups)
    q, k = Array("bgsnd", shapes.element_bytes), Array("bgmd", shapes.element_bytes)
    written = {name: Array("cgsnm", 4) for name in ("mean", "abs", "square")[:statistics]}
    tiles = {"g": 1, "s": 1, "n": block_n, "m": block_m}
    work = (("bgsnm", 1.0 + 2 * statistics),) if statistics > 1 else ()
    reads = {"q": q, "k": k, "r": Array("bgsn", 4)}
    return (
        Pass(
            "maps",
            sizes,
            grouped=tiles,
            streamed={"b": 1},
            reads=reads,
            writes=written,
            contractions=("bgsnmd",),
            accumulators=("nm",) * statistics,
            pointwise=work,
        ),
    )
