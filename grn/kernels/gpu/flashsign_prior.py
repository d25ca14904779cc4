# mypy: disable-error-code="no-untyped-def"
"""Gradient of a dense additive prior, which is the gradient of the scores: see `flashsign_backward`."""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.tiles import keep, load_pairs, load_rows, row_keys


@triton.jit(do_not_specialize=["threshold"])
def prior_kernel(
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
    d_prior,
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
    batches,
    heads,
    group,
    prior_heads,
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
    """Gradient of a tile of the prior, summed inside over the batch entries (`batches`) and heads that share it."""
    tiles_m, tiles_n = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    prior_index = tl.program_id(0) // (tiles_m * tiles_n)
    first_n = (tl.program_id(0) // tiles_m) % tiles_n * BLOCK_N
    first_m = (tl.program_id(0) % tiles_m) * BLOCK_M
    first_batch, first_head = prior_index // prior_heads, prior_index % prior_heads
    shared_heads = heads // prior_heads
    rows, limit = tl.arange(0, BLOCK_N), n - first_n
    columns, limit_m = tl.arange(0, BLOCK_M), m - first_m
    features, values = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_V)
    prior += first_batch.to(tl.int64) * prior_batch + first_head.to(tl.int64) * prior_head
    prior += first_n.to(tl.int64) * prior_row + first_m.to(tl.int64) * prior_column
    prior_tile = load_pairs(
        prior, rows[:, None], columns[None, :], prior_row, prior_column, limit, limit_m, CHECK_N or CHECK_M
    ).to(tl.float32)
    if own is not None:
        own_tile = tl.load(own + first_n + rows, mask=rows < limit, other=-1)
    total = tl.zeros([BLOCK_N, BLOCK_M], tl.float32)
    for index in range(0, batches * shared_heads):
        batch = (first_batch + index // shared_heads).to(tl.int64)
        head = (first_head + index % shared_heads).to(tl.int64)
        batch_head = batch * heads + head
        place = batch_head * n + first_n
        q_tile = load_rows(
            q + batch * q_batch + head * q_head + first_n.to(tl.int64) * q_row,
            rows, q_row, limit, features, d, CHECK_N, CHECK_D,
        )  # fmt: skip
        k_tile = load_rows(
            k + batch * k_batch + (head // group) * k_head + first_m.to(tl.int64) * k_row,
            columns, k_row, limit_m, features, d, CHECK_M, CHECK_D,
        )  # fmt: skip
        v_tile = load_rows(
            v + batch * v_batch + (head // group) * v_head + first_m.to(tl.int64) * v_row,
            columns, v_row, limit_m, values, dv, CHECK_M, CHECK_V,
        )  # fmt: skip
        weighted_tile = load_rows(weighted + place * dv, rows, dv, limit, values, dv, CHECK_N, CHECK_V)
        scores = tl.dot(q_tile, tl.trans(k_tile), input_precision=PRECISION) + prior_tile
        gradient = tl.dot(weighted_tile, tl.trans(v_tile), input_precision=PRECISION)
        if seed is not None:
            keys_of_rows = row_keys(tl.load(seed), batch_head, first_n + rows)[:, None]
            gradient = tl.where(keep(keys_of_rows, first_m + columns[None, :], threshold), gradient, 0.0)
        if factor is not None:
            gradient *= tl.load(factor + place + rows, mask=rows < limit, other=0.0)[:, None]
            gradient += tl.load(slope + place + rows, mask=rows < limit, other=0.0)[:, None] * scores
            gradient *= tl.load(unscale + batch_head // group)
        else:
            gradient += 2.0 * tl.load(d_square + place + rows, mask=rows < limit, other=0.0)[:, None] * scores
        if mask is not None:
            allowed = load_pairs(
                mask + batch * mask_batch + head * mask_head + first_n.to(tl.int64) * mask_row,
                rows[:, None], first_m + columns[None, :], mask_row, mask_column, limit, m, CHECK_N or CHECK_M,
            )  # fmt: skip
            gradient = tl.where(allowed != 0, gradient, 0.0)
        total += gradient
    if own is not None:
        total = tl.where(own_tile[:, None] == first_m + columns[None, :], 0.0, total)
    place = (prior_index.to(tl.int64) * n + first_n) * m + first_m
    pointers = d_prior + place + rows[:, None] * m + columns[None, :]
    inside = (rows[:, None] < limit) & (columns[None, :] < limit_m)
    tl.store(pointers, total.to(d_prior.dtype.element_ty), mask=inside)
