# mypy: disable-error-code="no-untyped-def"
"""Forward kernel of the quadratic form: FlashSign of Abbott et al. 2025 (arXiv 2505.09326).

A program owns a tile of queries and walks over the keys. Unlike a softmax, the norm of a row needs no running maximum
and no rescaling: sums of s v and of s^2 are kept, and one multiplication at the end normalises.
"""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.tiles import keep, load_pairs, load_rows, own_range, row_keys, store_rows


@triton.jit(do_not_specialize=["threshold"])
def forward_kernel(
    q,
    k,
    v,
    output,
    inverse_norm,
    own,
    mask,
    prior,
    mass,
    bound,
    seed,
    q_batch,
    q_head,
    q_row,
    k_batch,
    k_head,
    k_row,
    v_batch,
    v_head,
    v_row,
    mask_batch,
    mask_head,
    mask_row,
    mask_column,
    prior_batch,
    prior_head,
    prior_row,
    prior_column,
    heads,
    group,
    n,
    m,
    d,
    dv,
    eps,
    threshold,
    output_scale,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_V: tl.constexpr,
    CHECK_N: tl.constexpr,
    CHECK_M: tl.constexpr,
    CHECK_D: tl.constexpr,
    CHECK_V: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Output (heads of the batch, n, dv) and inverse norm of a tile of BLOCK_N queries.

    `own`, `mask`, `prior`, `mass`, `seed` are None where the option is not used, and cost nothing then. `bound`
    (float32, one number for each key head: its largest key norm; then the largest prior) is given for float16 only:
    a score may exceed 65504, so rows are scaled to fit before they are rounded.
    """
    tiles = tl.cdiv(n, BLOCK_N)
    batch_head = tl.program_id(0) // tiles
    first = (tl.program_id(0) % tiles) * BLOCK_N
    batch, head = (batch_head // heads).to(tl.int64), (batch_head % heads).to(tl.int64)
    first_wide = first.to(tl.int64)
    rows, limit = tl.arange(0, BLOCK_N), n - first
    columns = tl.arange(0, BLOCK_M)
    features, values = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_V)

    q += batch * q_batch + head * q_head + first_wide * q_row
    k += batch * k_batch + (head // group) * k_head
    v += batch * v_batch + (head // group) * v_head
    q_tile = load_rows(q, rows, q_row, limit, features, d, CHECK_N, CHECK_D)
    if own is not None:
        own_tile = tl.load(own + first + rows, mask=rows < limit, other=-1)
        own_first, own_last = own_range(own_tile)
    if mask is not None:
        mask += batch * mask_batch + head * mask_head + first_wide * mask_row
    if prior is not None:
        prior += batch * prior_batch + head * prior_head + first_wide * prior_row
    if seed is not None:
        keys_of_rows = row_keys(tl.load(seed), batch_head, first + rows)[:, None]
    if bound is not None:
        # |s_ij| <= |q_i| max_j |k_j| + max |prior|: scaled, no score exceeds 2^14.
        length = tl.sqrt(tl.sum(q_tile.to(tl.float32) * q_tile.to(tl.float32), 1))
        key_heads = heads // group
        limit_of_row = length * tl.load(bound + batch * key_heads + head // group)
        limit_of_row += tl.load(bound + (tl.num_programs(0) // tiles) // group)
        row_scale = 16384.0 / tl.maximum(limit_of_row, 1e-30)

    square = tl.zeros([BLOCK_N], tl.float32)
    sums = tl.zeros([BLOCK_N, BLOCK_V], tl.float32)
    for start in range(0, m, BLOCK_M):
        k_tile = load_rows(k, columns, k_row, m - start, features, d, CHECK_M, CHECK_D)
        v_tile = load_rows(v, columns, v_row, m - start, values, dv, CHECK_M, CHECK_V)
        # Keys and queries outside the bounds are zero, and so are their scores.
        scores = tl.dot(q_tile, tl.trans(k_tile), input_precision=PRECISION)
        if prior is not None:
            scores += load_pairs(
                prior, rows[:, None], columns[None, :], prior_row, prior_column, limit, m - start, CHECK_N or CHECK_M
            ).to(tl.float32)
        if own is not None:  # noqa: SIM102 (known when compiling; the other is not)
            # Few tiles hold an excluded pair: elsewhere this is one comparison of numbers.
            if (start <= own_last) & (start + BLOCK_M > own_first):
                scores = tl.where(own_tile[:, None] == start + columns[None, :], 0.0, scores)
        if mask is not None:
            allowed = load_pairs(
                mask, rows[:, None], columns[None, :], mask_row, mask_column, limit, m - start, CHECK_N or CHECK_M
            )
            scores = tl.where(allowed != 0, scores, 0.0)
        square += tl.sum(scores * scores, 1)
        if bound is not None:
            scores *= row_scale[:, None]
        if seed is not None:
            scores = tl.where(keep(keys_of_rows, start + columns[None, :], threshold), scores, 0.0)
        sums = tl.dot(scores.to(v_tile.dtype), v_tile, sums, input_precision=PRECISION)
        k += BLOCK_M * k_row
        v += BLOCK_M * v_row
        if mask is not None:
            mask += BLOCK_M * mask_column
        if prior is not None:
            prior += BLOCK_M * prior_column

    square += eps
    place = batch_head.to(tl.int64) * n + first
    if mass is not None:
        square += tl.load(mass + place + rows, mask=rows < limit, other=1.0)
    scale = tl.rsqrt(square)
    tl.store(inverse_norm + place + rows, scale, mask=rows < limit)
    if bound is not None:
        scale /= row_scale
    sums *= (scale * output_scale)[:, None]
    store_rows(output + place * dv, sums, rows, dv, limit, values, dv, CHECK_N, CHECK_V)
