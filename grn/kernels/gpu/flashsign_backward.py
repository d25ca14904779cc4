# mypy: disable-error-code="no-untyped-def"
"""Backward kernels of the quadratic form.

With w_i = r_i do_i / (1 - p) written once beforehand, and e_i = 2 dsq_i, the gradient of a score is one
multiply-add for each pair, and the attention A_ij = s_ij r_i need not be formed again::

    dS_ij = keep_ij w_i.v_j + e_i s_ij      dq_i = sum_j dS_ij k_j      dk_j = sum_i dS_ij q_i
    dv_j = sum_i keep_ij s_ij w_i           dprior_ij = dS_ij           (0 for pairs that may not attend)

float16 holds no score above 65504 and no gradient below 6e-8. There w_i stays do_i, and two factors of each row take
r_i, 1 / (1 - p) and a power of two that brings every dS_ij into range (`factor` and `slope` = e below; `normal` = r).
"""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.tiles import keep, load_pairs, load_rows, own_range, row_keys, store_rows


@triton.jit
def prepare_kernel(
    d_output,
    d_inverse_norm,
    output,
    inverse_norm,
    own,
    weighted,
    d_square,
    own_ranges,
    d_output_batch,
    d_output_head,
    d_output_row,
    d_output_column,
    heads,
    n,
    dv,
    kept_scale,
    NORMALISE: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """W (or a contiguous copy of do), d_square, and for each tile of queries the range of keys they may not see.

    Any strides of do will do: the gradient of a sum is one number with stride 0.
    """
    tiles = tl.cdiv(n, BLOCK_N)
    batch_head, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    batch, head = (batch_head // heads).to(tl.int64), (batch_head % heads).to(tl.int64)
    rows, values = tile * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_V)
    inside = (rows[:, None] < n) & (values[None, :] < dv)
    place = batch_head.to(tl.int64) * n
    d_output += batch * d_output_batch + head * d_output_head
    gradient = tl.load(
        d_output + rows[:, None].to(tl.int64) * d_output_row + values[None, :] * d_output_column,
        mask=inside,
        other=0.0,
    ).to(tl.float32)
    pairs = place * dv + rows[:, None].to(tl.int64) * dv + values[None, :]
    dot = tl.sum(gradient * tl.load(output + pairs, mask=inside, other=0.0).to(tl.float32), 1)
    scale = tl.load(inverse_norm + place + rows, mask=rows < n, other=0.0)
    dot += tl.load(d_inverse_norm + place + rows, mask=rows < n, other=0.0) * scale
    tl.store(d_square + place + rows, -0.5 * scale * scale * dot, mask=rows < n)
    if NORMALISE:
        gradient *= (scale * kept_scale)[:, None]
    tl.store(weighted + pairs, gradient.to(weighted.dtype.element_ty), mask=inside)
    if own is not None and batch_head == 0:
        own_first, own_last = own_range(tl.load(own + rows, mask=rows < n, other=-1))
        tl.store(own_ranges + 2 * tile, own_first)
        tl.store(own_ranges + 2 * tile + 1, own_last)


@triton.jit(do_not_specialize=["threshold"])
def query_kernel(
    q,
    k,
    v,
    weighted,
    d_square,
    factor,
    slope,
    unscale,
    own,
    mask,
    prior,
    seed,
    d_q,
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
    threshold,
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
    """Gradient of a tile of BLOCK_N queries: a walk over the keys, like the forward kernel."""
    tiles = tl.cdiv(n, BLOCK_N)
    batch_head = tl.program_id(0) // tiles
    first = (tl.program_id(0) % tiles) * BLOCK_N
    batch, head = (batch_head // heads).to(tl.int64), (batch_head % heads).to(tl.int64)
    first_wide, place = first.to(tl.int64), batch_head.to(tl.int64) * n + first
    rows, limit = tl.arange(0, BLOCK_N), n - first
    columns = tl.arange(0, BLOCK_M)
    features, values = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_V)

    q += batch * q_batch + head * q_head + first_wide * q_row
    k += batch * k_batch + (head // group) * k_head
    v += batch * v_batch + (head // group) * v_head
    q_tile = load_rows(q, rows, q_row, limit, features, d, CHECK_N, CHECK_D)
    weighted_tile = load_rows(weighted + place * dv, rows, dv, limit, values, dv, CHECK_N, CHECK_V)
    if factor is not None:
        factors = tl.load(factor + place + rows, mask=rows < limit, other=0.0)
        slopes = tl.load(slope + place + rows, mask=rows < limit, other=0.0)
    else:
        slopes = 2.0 * tl.load(d_square + place + rows, mask=rows < limit, other=0.0)
    if own is not None:
        own_tile = tl.load(own + first + rows, mask=rows < limit, other=-1)
        own_first, own_last = own_range(own_tile)
    if mask is not None:
        mask += batch * mask_batch + head * mask_head + first_wide * mask_row
    if prior is not None:
        prior += batch * prior_batch + head * prior_head + first_wide * prior_row
    if seed is not None:
        keys_of_rows = row_keys(tl.load(seed), batch_head, first + rows)[:, None]

    sums = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    for start in range(0, m, BLOCK_M):
        k_tile = load_rows(k, columns, k_row, m - start, features, d, CHECK_M, CHECK_D)
        v_tile = load_rows(v, columns, v_row, m - start, values, dv, CHECK_M, CHECK_V)
        scores = tl.dot(q_tile, tl.trans(k_tile), input_precision=PRECISION)
        gradient = tl.dot(weighted_tile, tl.trans(v_tile), input_precision=PRECISION)
        if prior is not None:
            scores += load_pairs(
                prior, rows[:, None], columns[None, :], prior_row, prior_column, limit, m - start, CHECK_N or CHECK_M
            ).to(tl.float32)
        if seed is not None:
            gradient = tl.where(keep(keys_of_rows, start + columns[None, :], threshold), gradient, 0.0)
        if factor is not None:
            gradient *= factors[:, None]
        gradient += slopes[:, None] * scores
        if own is not None:  # noqa: SIM102 (known when compiling; the other is not)
            if (start <= own_last) & (start + BLOCK_M > own_first):
                gradient = tl.where(own_tile[:, None] == start + columns[None, :], 0.0, gradient)
        if mask is not None:
            allowed = load_pairs(
                mask, rows[:, None], columns[None, :], mask_row, mask_column, limit, m - start, CHECK_N or CHECK_M
            )
            gradient = tl.where(allowed != 0, gradient, 0.0)
        sums = tl.dot(gradient.to(k_tile.dtype), k_tile, sums, input_precision=PRECISION)
        k += BLOCK_M * k_row
        v += BLOCK_M * v_row
        if mask is not None:
            mask += BLOCK_M * mask_column
        if prior is not None:
            prior += BLOCK_M * prior_column
    if factor is not None:
        sums *= tl.load(unscale + batch_head // group)
    store_rows(d_q + place * d, sums, rows, d, limit, features, d, CHECK_N, CHECK_D)


@triton.jit(do_not_specialize=["threshold"])
def key_kernel(
    q,
    k,
    v,
    weighted,
    d_square,
    factor,
    slope,
    normal,
    unscale,
    own,
    own_ranges,
    mask,
    prior,
    seed,
    d_q,
    d_k,
    d_v,
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
    threshold,
    value_scale,
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
    """Gradients of a tile of BLOCK_M keys and values: a walk over the queries of every head that reads them.

    Scores are held transposed, (keys, queries), so that they enter the second products from registers. Where `d_q`
    (float32, zeroed) is given, each tile is added to it with atomic operations: 5 products instead of 7, in an order
    that differs from run to run.
    """
    tiles = tl.cdiv(m, BLOCK_M)
    key_heads = heads // group
    batch_head = tl.program_id(0) // tiles
    first = (tl.program_id(0) % tiles) * BLOCK_M
    batch, key_head = (batch_head // key_heads).to(tl.int64), (batch_head % key_heads).to(tl.int64)
    first_wide, limit = first.to(tl.int64), m - first
    rows, columns = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_M)
    features, values = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_V)
    k += batch * k_batch + key_head * k_head + first_wide * k_row
    v += batch * v_batch + key_head * v_head + first_wide * v_row
    k_tile = load_rows(k, columns, k_row, limit, features, d, CHECK_M, CHECK_D)
    v_tile = load_rows(v, columns, v_row, limit, values, dv, CHECK_M, CHECK_V)
    d_keys = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    d_values = tl.zeros([BLOCK_M, BLOCK_V], tl.float32)
    for member in range(0, group):
        head = key_head * group + member
        query_head = batch * heads + head
        q_tiles = q + batch * q_batch + head * q_head
        weighted_tiles = weighted + query_head * n * dv
        if mask is not None:
            mask_tiles = mask + batch * mask_batch + head * mask_head + first_wide * mask_column
        if prior is not None:
            prior_tiles = prior + batch * prior_batch + head * prior_head + first_wide * prior_column
        for start in range(0, n, BLOCK_N):
            q_tile = load_rows(q_tiles, rows, q_row, n - start, features, d, CHECK_N, CHECK_D)
            weighted_tile = load_rows(weighted_tiles, rows, dv, n - start, values, dv, CHECK_N, CHECK_V)
            place, inside = query_head * n + start, rows < n - start
            if factor is not None:
                slopes = tl.load(slope + place + rows, mask=inside, other=0.0)
            else:
                slopes = 2.0 * tl.load(d_square + place + rows, mask=inside, other=0.0)
            scores = tl.dot(k_tile, tl.trans(q_tile), input_precision=PRECISION)
            gradient = tl.dot(v_tile, tl.trans(weighted_tile), input_precision=PRECISION)
            if prior is not None:
                scores += load_pairs(
                    prior_tiles, rows[None, :], columns[:, None], prior_row, prior_column, n - start, limit,
                    CHECK_N or CHECK_M,
                ).to(tl.float32)  # fmt: skip
                prior_tiles += BLOCK_N * prior_row
            # One tile of flags for both uses: what may attend.
            if own is not None:
                own_first = tl.load(own_ranges + 2 * (start // BLOCK_N))
                own_last = tl.load(own_ranges + 2 * (start // BLOCK_N) + 1)
                touched = (first <= own_last) & (first + BLOCK_M > own_first)
                if touched:
                    own_tile = tl.load(own + start + rows, mask=inside, other=-1)
                    scores = tl.where(own_tile[None, :] == first + columns[:, None], 0.0, scores)
            if mask is not None:
                allowed = load_pairs(
                    mask_tiles, rows[None, :], columns[:, None], mask_row, mask_column, n - start, limit,
                    CHECK_N or CHECK_M,
                )  # fmt: skip
                mask_tiles += BLOCK_N * mask_row
                scores = tl.where(allowed != 0, scores, 0.0)
            attention = scores
            if factor is not None:
                attention *= tl.load(normal + place + rows, mask=inside, other=0.0)[None, :]
                gradient *= tl.load(factor + place + rows, mask=inside, other=0.0)[None, :]
            if seed is not None:
                keys_of_rows = row_keys(tl.load(seed), query_head, start + rows)[None, :]
                kept = keep(keys_of_rows, first + columns[:, None], threshold)
                attention = tl.where(kept, attention, 0.0)
                gradient = tl.where(kept, gradient, 0.0)
            d_values = tl.dot(attention.to(weighted_tile.dtype), weighted_tile, d_values, input_precision=PRECISION)
            gradient += slopes[None, :] * scores
            if own is not None:  # noqa: SIM102 (known when compiling; the other is not)
                if touched:
                    own_tile = tl.load(own + start + rows, mask=inside, other=-1)
                    gradient = tl.where(own_tile[None, :] == first + columns[:, None], 0.0, gradient)
            if mask is not None:
                gradient = tl.where(allowed != 0, gradient, 0.0)
            rounded = gradient.to(q_tile.dtype)
            d_keys = tl.dot(rounded, q_tile, d_keys, input_precision=PRECISION)
            if d_q is not None:
                part = tl.dot(tl.trans(rounded), k_tile, input_precision=PRECISION)
                if factor is not None:
                    part *= tl.load(unscale + batch_head)
                targets = d_q + place * d + rows[:, None] * d + features[None, :]
                tl.atomic_add(targets, part, mask=inside[:, None] & (features[None, :] < d), sem="relaxed")
            q_tiles += BLOCK_N * q_row
            weighted_tiles += BLOCK_N * dv
    if factor is not None:
        d_keys *= tl.load(unscale + batch_head)
    place = batch_head.to(tl.int64) * m + first
    store_rows(d_k + place * d, d_keys, columns, d, limit, features, d, CHECK_M, CHECK_D)
    store_rows(d_v + place * dv, d_values * value_scale, columns, dv, limit, values, dv, CHECK_M, CHECK_V)
