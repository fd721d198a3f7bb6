"""Correlation of images whose rows lie side by side (NCHW), with vectors along the pixels of a row.

With few output channels, vectors along these are not filled, and each vector of filters serves one register; vectors
along the pixels are filled by any image that is wide enough, and one of them serves a tile of channels. Nothing is
turned on the way in or out. The terms and the filters are those of `kernels.cpu.conv_blocks`.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.conv_blocks import tap_rows
from kernels.cpu.gemm import RELU, ceil_div, tile_height
from kernels.cpu.jit import kernel
from kernels.cpu.tiles import LANES32, LANES64, copy_rows, tile_b_table

__all__ = ["correlate_planar", "plane_shape"]


def plane_shape(columns: int, span: int, rows: int, lanes: int, flowing: bool) -> tuple[int, int]:
    """Return how far apart rows and planes of a window lie, in items, for `columns` of output.

    Whole vectors are read, also behind the last column, unless one row is `flowing` into the next. Planes are kept
    from lying at one place of the first cache.

    Examples
    --------
    >>> plane_shape(32, 3, 10, 16, False), plane_shape(33, 2, 10, 16, True)
    ((34, 352), (34, 352))
    """
    pitch = (columns if flowing else -(-columns // lanes) * lanes) + span - 1
    plane = -(-rows * pitch // lanes) * lanes
    return pitch, plane + lanes if plane % (8 * lanes) == 0 else plane


@kernel(fast=True)
def copy_block(source, at, row, rows, columns, out, out_at, out_row):
    """Copy rows of any length."""
    width = 2 * (LANES64 if source.itemsize == 8 else LANES32)
    for j in range(0, columns, width):
        copy_rows(source, at + j, row, rows, min(width, columns - j), out, out_at + j, out_row)


@kernel(fast=True)
def gather_planes(x, at, stride_c, stride_h, height, width, top, rows, left, columns, channels, out, pitch, plane):
    """Copy rows [top, top + rows) and columns [left, left + columns) of images; what lies outside of them is 0.

    Beside the images nothing is written: `out` must be 0 there.
    """
    first, last = max(0, -left), min(columns, width - left)  # the columns inside the image
    low, high = max(0, -top), max(min(rows, height - top), 0)  # the rows
    for c in range(channels):
        target = c * plane
        for i in range(target, target + min(low, rows) * pitch):
            out[i] = 0
        for i in range(target + max(low, high) * pitch, target + rows * pitch):
            out[i] = 0
        if low < high and first < last:
            copy_block(x, at + c * stride_c + (top + low) * stride_h + left + first, stride_h, high - low,
                       last - first, out, target + low * pitch + first, pitch)  # fmt: skip


@kernel(fast=True)
def correlate_planar(
    start, stop, x, x_strides, filters, table, reach, bias, out, out_strides, sizes, shape, activation
):  # fmt: skip
    """Compute blocks [start, stop) of output rows, as `correlate` does; `shape` is that of the planes.

    Where rows are flowing, one into the next, tiles run over the ends of rows, and are computed aside.
    """
    lanes = LANES64 if x.itemsize == 8 else LANES32
    width = 2 * lanes
    height_in, width_in, groups, channels_in, channels_out = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    top, left, step_h, span_h, span_w = sizes[5], sizes[6], sizes[7], sizes[9], sizes[10]
    rows_out, columns_out, block_rows, deepest = sizes[11], sizes[12], sizes[13], sizes[16]
    x_n, x_c, x_h = x_strides[0], x_strides[1], x_strides[2]
    y_n, y_c, y_h, y_at = out_strides[0], out_strides[1], out_strides[2], out_strides[4]
    pitch, plane, flowing = shape[0], shape[1], shape[2] == 1
    blocks, panels, terms = ceil_div(rows_out, block_rows), ceil_div(channels_out, width), table.size
    per_row = terms // reach.size
    window = np.zeros(channels_in * plane + width, x.dtype)
    room = ceil_div(block_rows * pitch, width) * width + lanes
    aside = np.empty(min(width, channels_out) * room if flowing else 1, x.dtype)
    depth_step = ceil_div(terms, ceil_div(terms, deepest))
    for item in range(start, stop):
        image, row = item // blocks, item % blocks * block_rows
        rows = min(block_rows, rows_out - row)
        runs, length = (1, (rows - 1) * pitch + columns_out) if flowing else (rows, columns_out)
        for group in range(groups):
            gather_planes(x, image * x_n + group * channels_in * x_c, x_c, x_h, height_in, width_in,
                          row * step_h - top, (rows - 1) * step_h + span_h, -left, columns_out + span_w - 1,
                          channels_in, window, pitch, plane)  # fmt: skip
            for p in range(panels):
                channels = min(width, channels_out - p * width)
                tile_step = tile_height(channels)
                channel = group * channels_out + p * width
                y_start = y_at + image * y_n + channel * y_c + row * y_h
                target, c_at, c_run, c_row = (aside, 0, 0, room) if flowing else (out, y_start, y_h, y_c)
                for k in range(0, terms, depth_step):
                    w_at = ((group * panels + p) * terms + k) * width
                    for r in range(runs):
                        for j in range(0, length, width):
                            columns = min(width, length - j)
                            low, high = tap_rows((row + r + j // pitch) * step_h - top, reach, height_in)
                            if flowing and j // pitch != (j + columns - 1) // pitch:
                                for other in range(j // pitch + 1, (j + columns - 1) // pitch + 1):
                                    low_too, high_too = tap_rows(row + other - top, reach, height_in)
                                    low, high = min(low, low_too), max(high, high_too)
                            first, last = max(k, low * per_row), min(k + depth_step, high * per_row)
                            if first >= last:
                                continue
                            for i in range(0, channels, tile_step):
                                tile_b_table(filters, w_at + (first - k) * width + i, 1, width, table,
                                             window, r * step_h * pitch + j, first, table, last - first,
                                             target, c_at + i * c_row + r * c_run + j, c_row,
                                             min(tile_step, channels - i), columns,
                                             first > low * per_row)  # fmt: skip
                if flowing:
                    for i in range(channels):
                        copy_block(aside, i * room, pitch, rows, columns_out, out, y_start + i * y_c, y_h)
                if bias.size > 0 or activation > 0:
                    for r in range(rows):
                        finish_rows(out, y_start + r * y_h, y_c, channels, columns_out, bias, channel, activation)


@kernel
def finish_rows(c, at, row, rows, columns, bias, bias_at, activation):
    """Add the bias of each row and apply the activation."""
    for i in range(rows):
        target = at + i * row
        if bias.size > 0:
            for j in range(columns):
                c[target + j] += bias[bias_at + i]
        if activation == RELU:
            for j in range(columns):
                if c[target + j] <= 0:  # not max(0, ...), which is 0 for NaN
                    c[target + j] = 0
