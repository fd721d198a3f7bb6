"""The matrix product of one thread: blocks for the caches, panels for the registers.

Loops and block sizes follow Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (TOMS 2008):
a panel of B (`DEPTH` x two vectors) stays in the first cache while a block of A (`HEIGHT` x `DEPTH`) in the second
passes by it, tile after tile. Heights of tiles are balanced, so that 100 rows are 8 tiles of 12 or 13 and not 7 of 14
and one of 2.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.jit import kernel
from kernels.cpu.tiles import LANES32, LANES64, TILE_ROWS, copy_rows, tile, transpose_block

__all__ = ["multiply_cells", "multiply_small"]

DEPTH = 256
HEIGHT = 336
WIDTH = 4096
SHALLOW = 64  # products of fewer terms spend their time on C: its rows are written from end to end, B stays packed
RELU = 1


@kernel(inline=True)
def ceil_div(a, b):
    return -(-a // b)


@kernel(inline=True)
def tile_height(rows):
    """Cut rows into as few tiles as possible, of even heights as equal as possible (odd ones cost as the next even)."""
    height = ceil_div(rows, ceil_div(rows, TILE_ROWS))
    return height + height % 2


@kernel(fast=True)
def pack_columns(b, at, row, column, depth, width, lanes, out, out_at):
    """Copy `depth` x `width` items of B, `width` <= `2 * lanes`, to `out` with `2 * lanes` items per row."""
    panel = 2 * lanes
    if column == 1:
        copy_rows(b, at, row, depth, width, out, out_at, panel)
        return
    pack_rows(b, at, column, row, width, depth, lanes, out, out_at, panel)


@kernel(fast=True)
def pack_rows(a, at, row, column, rows, depth, lanes, out, out_at, panel):
    """Copy `rows` x `depth` items of A to `out`, transposed: item (i, k) goes to `k * panel + i`."""
    if row == 1:
        for first in range(0, rows, 2 * lanes):
            width = min(2 * lanes, rows - first)
            copy_rows(a, at + first, column, depth, width, out, out_at + first, panel)
        return
    if column != 1:
        for k in range(depth):
            source, target = at + k * column, out_at + k * panel
            for i in range(rows):
                out[target + i] = a[source + i * row]
        return
    for first in range(0, rows, lanes):
        height = min(lanes, rows - first)
        source, target = at + first * row, out_at + first
        for k in range(0, depth, lanes):
            transpose_block(a, source + k, row, height, min(lanes, depth - k), out, target + k * panel, panel)


@kernel
def finish(c, at, row, rows, columns, bias, bias_at, activation):
    """Add the bias of each column and apply the activation, while the tile is in the first cache."""
    if bias.size > 0:
        for i in range(rows):
            for j in range(columns):
                c[at + i * row + j] += bias[bias_at + j]
    if activation == RELU:
        for i in range(rows):
            for j in range(columns):
                if c[at + i * row + j] <= 0:  # not max(0, ...), which is 0 for NaN
                    c[at + i * row + j] = 0


@kernel(fast=True)
def multiply_cells(
    start, stop, a, a_offsets, a_row, a_column, b, b_offsets, b_row, b_column, c, shape, bias, activation
):  # fmt: skip
    """Compute cells [start, stop) of a batch of products `activation(A B + bias)`; strides and offsets in items.

    `shape` is (m, n, k, rows_cut, columns_cut): each product is cut into a grid of `rows_cut` x `columns_cut` cells.
    """
    whole_m, whole_n, k, rows_cut, columns_cut = shape
    for cell in range(start, stop):
        product, part = cell // (rows_cut * columns_cut), cell % (rows_cut * columns_cut)
        first_row = whole_m * (part // columns_cut) // rows_cut
        first_column = whole_n * (part % columns_cut) // columns_cut
        m = whole_m * (part // columns_cut + 1) // rows_cut - first_row
        n = whole_n * (part % columns_cut + 1) // columns_cut - first_column
        a_at = a_offsets[product] + first_row * a_row
        b_at = b_offsets[product] + first_column * b_column
        c_at, c_row, bias_at = (product * whole_m + first_row) * whole_n + first_column, whole_n, first_column
        lanes = LANES64 if a.itemsize == 8 else LANES32
        panel = 2 * lanes
        depth_step = ceil_div(k, ceil_div(k, DEPTH))
        by_rows = k <= SHALLOW
        whole_b = m > HEIGHT or by_rows
        pack_a = n > 2 * panel or (a_column != 1 and a_row != 1)
        pack_b = m > 2 * TILE_ROWS or b_column != 1
        a_panels = np.empty((min(m, HEIGHT) + TILE_ROWS) * depth_step if pack_a else 1, a.dtype)
        b_panels = np.empty((min(n, WIDTH) + panel if whole_b else panel) * depth_step if pack_b else 1, b.dtype)
        table = np.empty(1, np.intp)
        a_from, a_down, a_along = a, a_row, a_column
        b_from, b_down = b, b_row
        if pack_a:
            a_from, a_down = a_panels, 1
        if pack_b:
            b_from, b_down = b_panels, panel
        for n0 in range(0, n, WIDTH):
            width = min(WIDTH, n - n0)
            for k0 in range(0, k, depth_step):
                depth = min(depth_step, k - k0)
                if whole_b and pack_b:
                    for j in range(0, width, panel):
                        start = b_at + k0 * b_row + (n0 + j) * b_column
                        pack_columns(
                            b, start, b_row, b_column, depth, min(panel, width - j), lanes, b_panels, j * depth
                        )
                for m0 in range(0, m, HEIGHT):
                    height = min(HEIGHT, m - m0)
                    rows_step = tile_height(height)
                    if pack_a:
                        a_along = rows_step
                        for i in range(0, height, rows_step):
                            start = a_at + (m0 + i) * a_row + k0 * a_column
                            rows = min(rows_step, height - i)
                            pack_rows(a, start, a_row, a_column, rows, depth, lanes, a_panels, i * depth, rows_step)
                    outer, inner = (height, width) if by_rows else (width, height)
                    outer_step, inner_step = (rows_step, panel) if by_rows else (panel, rows_step)
                    for first in range(0, outer, outer_step):
                        for second in range(0, inner, inner_step):
                            i, j = (first, second) if by_rows else (second, first)
                            rows, columns = min(rows_step, height - i), min(panel, width - j)
                            b_start = b_at + k0 * b_row + (n0 + j) * b_column
                            if pack_b and not whole_b and second == 0:
                                pack_columns(b, b_start, b_row, b_column, depth, columns, lanes, b_panels, 0)
                            if pack_b:
                                b_start = j * depth if whole_b else 0
                            target = c_at + (m0 + i) * c_row + n0 + j
                            a_start = i * depth if pack_a else a_at + (m0 + i) * a_row + k0 * a_column
                            tile(a_from, a_start, a_down, a_along, table, b_from, b_start, b_down, table,
                                 depth, c, target, c_row, rows, columns, k0 > 0)  # fmt: skip
                            if k0 + depth == k and (bias.size > 0 or activation > 0):
                                finish(c, target, c_row, rows, columns, bias, bias_at + n0 + j, activation)


@kernel(fast=True)
def multiply_small(a, b, c):
    """C = A B for C-contiguous matrices that fit the first cache: nothing is packed."""
    (m, k), n = a.shape, b.shape[1]
    a_flat, b_flat, c_flat, table = a.reshape(-1), b.reshape(-1), c.reshape(-1), np.empty(1, np.intp)
    panel = 2 * (LANES64 if a.itemsize == 8 else LANES32)
    rows_step = tile_height(m)
    for j in range(0, n, panel):
        for i in range(0, m, rows_step):
            tile(a_flat, i * k, k, 1, table, b_flat, j, n, table, k, c_flat, i * n + j, n,
                 min(rows_step, m - i), min(panel, n - j), False)  # fmt: skip
