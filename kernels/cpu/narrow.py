"""Products with so few columns that vectors run along the terms instead: the last layer of a classifier.

Vectors along the columns of 100 x 1024 x 10 would be filled to ten sixteenths. Along the terms they are full, and the
few columns of B, turned once, stay in the first cache while the rows of A pass by.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.gemm import ceil_div, finish
from kernels.cpu.jit import kernel
from kernels.cpu.tiles import DOTS, LANES32, LANES64, dots, transpose_block

__all__ = ["MOST", "is_narrow", "multiply_narrow"]

MOST = 16  # columns
PASSING = 40960  # bytes of B, turned, that the rows of A pass by at once: about the first cache
FILLED = 0.75  # of the lanes: from here on vectors along the columns are as good


def is_narrow(columns: int, terms: int, itemsize: int) -> bool:
    """Whether vectors along the terms are better filled than along the columns.

    Examples
    --------
    >>> is_narrow(10, 8, 4)
    False
    """
    lanes = LANES64 if itemsize == 8 else LANES32
    vectors = -(-columns // lanes)
    return columns <= MOST and terms >= 8 * lanes and columns < FILLED * vectors * lanes


@kernel(fast=True)
def multiply_narrow(start, stop, a, a_offsets, a_row, b, b_offsets, b_row, b_column, c, shape, bias, activation):
    """Compute cells [start, stop) of a batch of products `activation(A B + bias)`; the terms of A lie side by side.

    `shape` is (m, n, k, cut): each product is cut into `cut` cells of rows.
    """
    whole_m, n, k, cut = shape
    lanes = LANES64 if a.itemsize == 8 else LANES32
    depth_step = ceil_div(k, ceil_div(k * n * a.itemsize, PASSING))
    columns_step = ceil_div(n, ceil_div(n, DOTS))
    turned = np.empty(1, b.dtype)
    apart = depth_step + lanes  # columns of B must not lie at one place of the cache
    if b_row != 1:
        turned = np.empty(n * apart, b.dtype)
    for cell in range(start, stop):
        product, part = cell // cut, cell % cut
        first_row = whole_m * part // cut
        m = whole_m * (part + 1) // cut - first_row
        a_at = a_offsets[product] + first_row * a_row
        c_at = (product * whole_m + first_row) * n
        for k0 in range(0, k, depth_step):
            depth = min(depth_step, k - k0)
            b_from, b_at, b_next = b, b_offsets[product] + k0, b_column
            if b_row != 1:
                turn(b, b_offsets[product] + k0 * b_row, b_row, b_column, depth, n, turned, apart)
                b_from, b_at, b_next = turned, 0, apart
            for i in range(0, m, DOTS):
                for j in range(0, n, columns_step):
                    dots(a, a_at + i * a_row + k0, a_row, b_from, b_at + j * b_next, b_next, depth,
                         c, c_at + i * n + j, n, min(DOTS, m - i), min(columns_step, n - j), k0 > 0)  # fmt: skip
        if bias.size > 0 or activation > 0:
            finish(c, c_at, n, m, n, bias, 0, activation)


@kernel(fast=True)
def turn(b, at, row, column, depth, columns, out, apart):
    """Copy `depth` x `columns` items of B to `out`, transposed, its rows `apart`."""
    if column == 1:
        lanes = LANES64 if b.itemsize == 8 else LANES32
        for k in range(0, depth, lanes):
            for j in range(0, columns, lanes):
                transpose_block(b, at + k * row + j, row, min(lanes, depth - k), min(lanes, columns - j),
                                out, j * apart + k, apart)  # fmt: skip
        return
    for j in range(columns):
        for k in range(depth):
            out[j * apart + k] = b[at + k * row + j * column]
