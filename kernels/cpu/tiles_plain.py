"""The operations of `kernels.cpu.tiles` in plain loops, for processors whose vector unit we do not address directly.

The contracts are those of `kernels.cpu.tiles_llvm`, and its tests compare the two.
"""

from __future__ import annotations

from kernels.cpu.jit import kernel

__all__ = [
    "copy_rows",
    "dots",
    "prefetch",
    "prefetch_soon",
    "prefetch_to_write",
    "tile",
    "tile_a_table",
    "tile_b_table",
    "transpose_block",
]


@kernel(fast=True)
def tile(a, a_at, a_row, a_step, a_table, b, b_at, b_step, b_table, count, c, c_at, c_row, rows, columns, accumulate):
    """See `kernels.cpu.tiles`."""
    for i in range(rows):
        target = c_at + i * c_row
        if not accumulate:
            for j in range(columns):
                c[target + j] = 0
        for k in range(count):
            factor, source = a[a_at + i * a_row + k * a_step], b_at + k * b_step
            for j in range(columns):
                c[target + j] += factor * b[source + j]


@kernel(fast=True)
def tile_a_table(
    a, a_at, a_row, a_step, a_table, b, b_at, b_step, b_table, count, c, c_at, c_row, rows, columns, accumulate
):
    """See `kernels.cpu.tiles`."""
    for i in range(rows):
        target = c_at + i * c_row
        if not accumulate:
            for j in range(columns):
                c[target + j] = 0
        for k in range(count):
            factor, source = a[a_at + i * a_row + a_table[a_step + k]], b_at + k * b_step
            for j in range(columns):
                c[target + j] += factor * b[source + j]


@kernel(fast=True)
def tile_b_table(
    a, a_at, a_row, a_step, a_table, b, b_at, b_step, b_table, count, c, c_at, c_row, rows, columns, accumulate
):
    """See `kernels.cpu.tiles`."""
    for i in range(rows):
        target = c_at + i * c_row
        if not accumulate:
            for j in range(columns):
                c[target + j] = 0
        for k in range(count):
            factor, source = a[a_at + i * a_row + k * a_step], b_at + b_table[b_step + k]
            for j in range(columns):
                c[target + j] += factor * b[source + j]


@kernel(fast=True)
def dots(a, a_at, a_row, b, b_at, b_row, count, c, c_at, c_row, rows, columns, accumulate):
    """See `kernels.cpu.tiles`."""
    for i in range(rows):
        for j in range(columns):
            target = c_at + i * c_row + j
            if not accumulate:
                c[target] = 0
            for k in range(count):
                c[target] += a[a_at + i * a_row + k] * b[b_at + j * b_row + k]


@kernel(fast=True)
def transpose_block(source, at, row, rows, columns, out, out_at, out_row):
    """See `kernels.cpu.tiles`."""
    for k in range(columns):
        for i in range(rows):
            out[out_at + k * out_row + i] = source[at + i * row + k]


@kernel(fast=True)
def copy_rows(source, at, row, rows, columns, out, out_at, out_row):
    """See `kernels.cpu.tiles`."""
    for i in range(rows):
        for j in range(columns):
            out[out_at + i * out_row + j] = source[at + i * row + j]


@kernel
def prefetch(array, at):
    """See `kernels.cpu.tiles`: nothing to do."""


@kernel
def prefetch_soon(array, at):
    """See `kernels.cpu.tiles`: nothing to do."""


@kernel
def prefetch_to_write(array, at):
    """See `kernels.cpu.tiles`: nothing to do."""
