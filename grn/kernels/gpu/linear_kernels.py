# mypy: disable-error-code="no-untyped-def"
"""Triton kernels of the factorised form: sums over rows that make the states, and rows times the states.

One program handles one head and one range of rows, so that it fetches a state once for many rows. Sums over rows are
written for each range and added afterwards in a fixed order, never with atomics: two runs agree bit by bit.

A state that is too large for registers and shared memory is cut into panels of columns, one program each; the flags of
a kernel then choose which of its products a launch makes. PANEL and PANEL_DV equal to BLOCK_D and BLOCK_DV: one panel.
Programs are numbered (batch * heads, splits, panels), the last fastest, so that panels meet in the second-level cache.
States are (batch * heads, D, D + DV) float32, [G | S] side by side. INPUT is the inputs' type: bf16, fp16 or fp32.
"""

from __future__ import annotations

import triton
import triton.language as tl

from grn.kernels.gpu.linear_products import (
    accumulate,
    parts,
    product,
    read,
    read_state,
    read_state_transposed,
    read_vector,
    write,
    write_state,
    write_vector,
)


@triton.jit
def place(splits, PANELS: tl.constexpr):
    """Which head, range of rows and panel this program has, and the number of heads of all batch entries."""
    program = tl.program_id(0)
    head = (program // (PANELS * splits)).to(tl.int64)
    total = (tl.num_programs(0) // (PANELS * splits)).to(tl.int64)
    return head, program // PANELS % splits, program % PANELS, total


@triton.jit
def states_kernel(
    k, v, gram_weight, state_weight, partial,
    k_batch, k_head, k_row, v_batch, v_head, v_row, heads, m, splits, rows_per_split,
    D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK: tl.constexpr, PANELS: tl.constexpr, PANEL: tl.constexpr, PANEL_DV: tl.constexpr,
    GRAM: tl.constexpr, STATE: tl.constexpr, INPUT: tl.constexpr,
):  # fmt: skip
    """Sums over one range of rows: k^T diag(gram_weight) k and k^T diag(state_weight) v, weights where given.

    `partial` is (splits, batch * heads, D, D + DV).
    """
    head, split, panel, total = place(splits, PANELS)
    k += (head // heads) * k_batch + (head % heads) * k_head
    v += (head // heads) * v_batch + (head % heads) * v_head
    first = split * rows_per_split
    last = tl.minimum(first + rows_per_split, m)
    gram = tl.zeros((BLOCK_D, PANEL), tl.float32)
    state = tl.zeros((BLOCK_D, PANEL_DV), tl.float32)
    for start in range(first, last, BLOCK):
        keys = read(k, start, last, k_row, 0, BLOCK, D, BLOCK_D)
        if GRAM:
            right = keys
            if PANEL < BLOCK_D:
                right = read(k, start, last, k_row, panel * PANEL, BLOCK, D, PANEL)
            if gram_weight is not None:
                right = right * read_vector(gram_weight + head * m, start, last, BLOCK)[:, None]
            gram = accumulate(gram, keys, right, INPUT)
        if STATE:
            right = read(v, start, last, v_row, panel * PANEL_DV, BLOCK, DV, PANEL_DV)
            if state_weight is not None:
                right = right * read_vector(state_weight + head * m, start, last, BLOCK)[:, None]
            state = accumulate(state, keys, right, INPUT)
    partial += (split * total + head) * (D * (D + DV))
    if GRAM:
        write_state(partial, gram, panel * PANEL, D + DV, D, D, BLOCK_D, PANEL)
    if STATE:
        write_state(partial + D, state, panel * PANEL_DV, D + DV, D, DV, BLOCK_D, PANEL_DV)


@triton.jit
def rows_kernel(
    q, states, mass, correction, squares, output, inverse_norm,
    q_batch, q_head, q_row, heads, n, splits, rows_per_split, eps,
    D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK: tl.constexpr, PANELS: tl.constexpr, PANEL: tl.constexpr, PANEL_DV: tl.constexpr,
    SQUARES: tl.constexpr, OUTPUT: tl.constexpr, INPUT: tl.constexpr,
):  # fmt: skip
    """Inverse norm and output of one range of query rows.

    With SQUARES alone, each panel writes its share of the rows' sums of squares into `squares`, (panels, batch * heads,
    n); with OUTPUT alone, the shares are read from there and added in order.
    """
    head, split, panel, total = place(splits, PANELS)
    shares = total * n
    q += (head // heads) * q_batch + (head % heads) * q_head
    states += head * (D * (D + DV))
    output += head * n * DV
    if SQUARES:
        gram = read_state(states, panel * PANEL, D + DV, D, D, BLOCK_D, PANEL)
        gram_high, gram_low = parts(gram, INPUT)
    if OUTPUT:
        state = read_state(states + D, panel * PANEL_DV, D + DV, D, DV, BLOCK_D, PANEL_DV)
        state_high, state_low = parts(state, INPUT)
    first = split * rows_per_split
    last = tl.minimum(first + rows_per_split, n)
    for start in range(first, last, BLOCK):
        queries = read(q, start, last, q_row, 0, BLOCK, D, BLOCK_D)
        if SQUARES:
            right = queries
            if PANEL < BLOCK_D:
                right = read(q, start, last, q_row, panel * PANEL, BLOCK, D, PANEL)
            square = tl.sum(product(queries, gram_high, gram_low, INPUT) * right, 1)
        else:
            square = tl.zeros((BLOCK,), tl.float32)
            for share in tl.static_range(BLOCK_D // PANEL):
                square += read_vector(squares + share * shares + head * n, start, last, BLOCK)
        if not OUTPUT:
            write_vector(squares + panel * shares + head * n, square, start, last, BLOCK)
        else:
            if correction is not None:
                square += read_vector(correction + head * n, start, last, BLOCK)
            # Rounding can leave a tiny negative number where the exact sum of squares is zero.
            square = tl.maximum(square, 0.0) + eps
            if mass is not None:
                square += read_vector(mass + head * n, start, last, BLOCK)
            norm = tl.rsqrt(square)
            if panel == 0:
                write_vector(inverse_norm + head * n, norm, start, last, BLOCK)
            result = product(queries, state_high, state_low, INPUT) * norm[:, None]
            write(output, result, start, last, panel * PANEL_DV, BLOCK, DV, PANEL_DV)


@triton.jit
def queries_kernel(
    d_output, d_inverse_norm, q, inverse_norm, states, dot, inner, d_q, d_square, partial,
    d_output_batch, d_output_head, d_output_row, q_batch, q_head, q_row, heads, n, splits, rows_per_split,
    D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK: tl.constexpr, PANELS: tl.constexpr, PANEL: tl.constexpr,
    INNER: tl.constexpr, GRADIENT: tl.constexpr, SUMS: tl.constexpr, INPUT: tl.constexpr,
):  # fmt: skip
    """Gradients of one range of query rows, and with SUMS their share in the gradients of the states.

    With t_i = do_i S^T, the gradient that q_i would have without the norm: INNER
    alone writes each panel's share of q_i . t_i into `inner` (panels, batch * heads, n), GRADIENT alone reads them.
    `partial` (splits, batch * heads, D, D + DV) takes [dG | dS]; SUMS needs a single panel.
    """
    head, split, panel, total = place(splits, PANELS)
    shares = total * n
    d_output += (head // heads) * d_output_batch + (head % heads) * d_output_head
    q += (head // heads) * q_batch + (head % heads) * q_head
    states += head * (D * (D + DV))
    state = read_state_transposed(states + D, panel * PANEL, D + DV, DV, D, BLOCK_DV, PANEL)
    state_high, state_low = parts(state, INPUT)
    if GRADIENT:
        gram = read_state(states, panel * PANEL, D + DV, D, D, BLOCK_D, PANEL)
        gram_high, gram_low = parts(gram, INPUT)
    first = split * rows_per_split
    last = tl.minimum(first + rows_per_split, n)
    d_gram = tl.zeros((BLOCK_D, BLOCK_D), tl.float32)
    d_state = tl.zeros((BLOCK_D, BLOCK_DV), tl.float32)
    for start in range(first, last, BLOCK):
        queries = read(q, start, last, q_row, 0, BLOCK, D, BLOCK_D)
        upstream = read(d_output, start, last, d_output_row, 0, BLOCK, DV, BLOCK_DV)
        gradient = product(upstream, state_high, state_low, INPUT)
        if INNER:
            right = queries
            if PANEL < BLOCK_D:
                right = read(q, start, last, q_row, panel * PANEL, BLOCK, D, PANEL)
            share = tl.sum(gradient * right, 1)
        else:
            share = tl.zeros((BLOCK,), tl.float32)
            for other in tl.static_range(BLOCK_D // PANEL):
                share += read_vector(inner + other * shares + head * n, start, last, BLOCK)
        if not GRADIENT:
            write_vector(inner + panel * shares + head * n, share, start, last, BLOCK)
        else:
            if dot is not None:
                share += read_vector(dot + head * n, start, last, BLOCK)
            if d_inverse_norm is not None:
                share += read_vector(d_inverse_norm + head * n, start, last, BLOCK)
            norm = read_vector(inverse_norm + head * n, start, last, BLOCK)
            weight = -0.5 * norm * norm * norm * share
            if panel == 0:
                write_vector(d_square + head * n, weight, start, last, BLOCK)
            if SUMS:
                d_gram = accumulate(d_gram, queries, weight[:, None] * queries, INPUT)
                d_state = accumulate(d_state, queries, norm[:, None] * upstream, INPUT)
            gradient *= norm[:, None]
            gradient += product(queries, gram_high, gram_low, INPUT) * (2 * weight)[:, None]
            write(d_q + head * n * D, gradient, start, last, panel * PANEL, BLOCK, D, PANEL)
    if SUMS:
        partial += (split * total + head) * (D * (D + DV))
        write_state(partial, d_gram, 0, D + DV, D, D, BLOCK_D, BLOCK_D)
        write_state(partial + D, d_state, 0, D + DV, D, DV, BLOCK_D, BLOCK_DV)


@triton.jit
def keys_kernel(
    k, v, d_states, d_k, d_v,
    k_batch, k_head, k_row, v_batch, v_head, v_row, heads, m, splits, rows_per_split,
    D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK: tl.constexpr, PANELS: tl.constexpr, PANEL: tl.constexpr, PANEL_DV: tl.constexpr,
    KEYS: tl.constexpr, VALUES: tl.constexpr, INPUT: tl.constexpr,
):  # fmt: skip
    """Gradients of one range of keys (KEYS) and values (VALUES) from those of the states, [dG | dS]."""
    head, split, panel, _ = place(splits, PANELS)
    k += (head // heads) * k_batch + (head % heads) * k_head
    v += (head // heads) * v_batch + (head % heads) * v_head
    d_states += head * (D * (D + DV))
    if KEYS:
        # The factor 2 of d(k k^T) goes into the state: exact, and once for all rows.
        gram = 2 * read_state(d_states, panel * PANEL, D + DV, D, D, BLOCK_D, PANEL)
        gram_high, gram_low = parts(gram, INPUT)
        transposed = read_state_transposed(d_states + D, panel * PANEL, D + DV, DV, D, BLOCK_DV, PANEL)
        transposed_high, transposed_low = parts(transposed, INPUT)
    if VALUES:
        state = read_state(d_states + D, panel * PANEL_DV, D + DV, D, DV, BLOCK_D, PANEL_DV)
        state_high, state_low = parts(state, INPUT)
    first = split * rows_per_split
    last = tl.minimum(first + rows_per_split, m)
    for start in range(first, last, BLOCK):
        keys = read(k, start, last, k_row, 0, BLOCK, D, BLOCK_D)
        if KEYS:
            values = read(v, start, last, v_row, 0, BLOCK, DV, BLOCK_DV)
            result = product(values, transposed_high, transposed_low, INPUT)
            result += product(keys, gram_high, gram_low, INPUT)
            write(d_k + head * m * D, result, start, last, panel * PANEL, BLOCK, D, PANEL)
        if VALUES:
            result = product(keys, state_high, state_low, INPUT)
            write(d_v + head * m * DV, result, start, last, panel * PANEL_DV, BLOCK, DV, PANEL_DV)
