"""The loops of convolution: windows of the input gathered channels-last, then register tiles through tables of offsets.

One correlation serves the forward pass and the gradient by the input: each output pixel is a row of a tile, output
channels are its columns, and the sum runs over taps and input channels, whose offsets in the window lie in a table.
Rows of taps that lie in the padding are left out: at 14 x 14 pixels, 5 x 5 taps and 2 of padding, a twelfth of all.
The gradient by the weights is a sum over pixels instead, with taps as rows; there the table holds the pixels.
Windows are small enough for the second cache, so that any layout of the arrays costs one pass through it.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.gemm import ceil_div, finish, pack_rows, tile_height
from kernels.cpu.jit import kernel
from kernels.cpu.tiles import (
    LANES32,
    LANES64,
    copy_rows,
    prefetch,
    prefetch_soon,
    prefetch_to_write,
    tile_a_table,
    transpose_block,
)

__all__ = ["accumulate_weights", "add_slices", "correlate", "pack_filters", "pack_filters_transposed", "turn"]

SOON = 8192  # cache lines of input that are fetched ahead: more would push the filters out of the second cache
SHORT = 256  # terms; with fewer, a tile is computed sooner than the memory for its result is fetched


@kernel(fast=True)
def pack_filters(start, stop, w, channels, inner, taps, out):
    """Write the panels [start, stop) of filters (group, channels, inner, tap) as (group, panel, tap, inner, lane)."""
    lanes = LANES64 if w.itemsize == 8 else LANES32
    width = 2 * lanes
    panels, terms = ceil_div(channels, width), inner * taps
    for item in range(start, stop):
        group, first = item // panels, item % panels * width
        columns = min(width, channels - first)
        for c in range(inner):
            source = (group * channels + first) * terms + c * taps
            pack_rows(w, source, terms, 1, columns, taps, lanes, out, (item * terms + c) * width, inner * width)


@kernel(fast=True)
def pack_filters_transposed(start, stop, w, outer, channels, taps, out):
    """The same from filters (group, outer, channels, tap): terms are (tap, outer)."""
    lanes = LANES64 if w.itemsize == 8 else LANES32
    width = 2 * lanes
    panels = ceil_div(channels, width)
    for item in range(start, stop):
        group, first = item // panels, item % panels * width
        columns = min(width, channels - first)
        for o in range(outer):
            source = ((group * outer + o) * channels + first) * taps
            pack_rows(w, source, taps, 1, columns, taps, lanes, out, (item * taps * outer + o) * width, outer * width)


@kernel(fast=True)
def gather_window(x, at, stride_c, stride_h, stride_w, height, width, top, rows, left, columns, channels, out, step):
    """Copy input rows [top, top + rows) and columns [left, left + columns) to `out` (row, column, channel).

    What lies outside the image is 0. Either the channels or the columns of `x` are contiguous. One pixel of `out` is
    `step` >= `channels` items behind the other.
    """
    lanes = LANES64 if x.itemsize == 8 else LANES32
    first, last = max(0, -left), min(columns, width - left)  # the columns inside the image
    pitch = columns * step
    for r in range(rows):
        target, h = r * pitch, top + r
        if h < 0 or h >= height or last <= first:
            for i in range(target, target + pitch):
                out[i] = 0
            continue
        for i in range(target, target + first * step):
            out[i] = 0
        for i in range(target + last * step, target + pitch):
            out[i] = 0
        source, target = at + h * stride_h + (left + first) * stride_w, target + first * step
        count = last - first
        if stride_w == channels == step and (stride_c == 1 or channels == 1):
            for i in range(count * channels):
                out[target + i] = x[source + i]
        elif stride_c == 1:
            for i in range(0, channels, 2 * lanes):
                copy_rows(x, source + i, stride_w, count, min(2 * lanes, channels - i), out, target + i, step)
        else:
            for i in range(0, channels, lanes):
                some = min(lanes, channels - i)
                for c in range(0, count, lanes):
                    transpose_block(x, source + i * stride_c + c, stride_c, some, min(lanes, count - c),
                                    out, target + c * step + i, step)  # fmt: skip


@kernel(fast=True)
def spread(source, pixels, columns, width, out, at, stride_c, stride_h, stride_w, row_length):
    """Write a panel of results (pixel, lane) to an array whose channels are not contiguous."""
    lanes = LANES64 if out.itemsize == 8 else LANES32
    if stride_w == 1 and stride_h == row_length:
        for j in range(0, columns, lanes):
            for p in range(0, pixels, lanes):
                transpose_block(source, p * width + j, width, min(lanes, pixels - p), min(lanes, columns - j),
                                out, at + j * stride_c + p, stride_c)  # fmt: skip
        return
    for p in range(pixels):
        target = at + p // row_length * stride_h + p % row_length * stride_w
        for j in range(columns):
            out[target + j * stride_c] = source[p * width + j]


@kernel(fast=True)
def tap_rows(first, reach, height):
    """Return the range of the rows of taps that lie inside an image, all of them if none does."""
    low, high = 0, reach.size
    while low < high and not 0 <= first + reach[low] < height:
        low += 1
    while high > low and not 0 <= first + reach[high - 1] < height:
        high -= 1
    return (low, high) if low < high else (0, reach.size)


@kernel(fast=True)
def correlate(start, stop, x, x_strides, filters, table, reach, bias, out, out_strides, sizes, activation):
    """Compute blocks [start, stop) of output rows of a correlation; see `kernels.cpu.conv2d.Correlation`."""
    lanes = LANES64 if x.itemsize == 8 else LANES32
    width = 2 * lanes
    height_in, width_in, groups, channels_in, channels_out = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    top, left, step_h, step_w, span_h, span_w = sizes[5], sizes[6], sizes[7], sizes[8], sizes[9], sizes[10]
    rows_out, columns_out, block_rows, direct, step = sizes[11], sizes[12], sizes[13], sizes[14], sizes[15]
    deepest = sizes[16]
    x_n, x_c, x_h, x_w = x_strides[0], x_strides[1], x_strides[2], x_strides[3]
    y_n, y_c, y_h, y_w, y_at = out_strides[0], out_strides[1], out_strides[2], out_strides[3], out_strides[4]
    blocks, panels, terms = ceil_div(rows_out, block_rows), ceil_div(channels_out, width), table.size
    window_columns = (columns_out - 1) * step_w + span_w
    window_rows = (block_rows - 1) * step_h + span_h
    window = np.empty(1 if direct else window_rows * window_columns * step, x.dtype)
    source, a_line, a_row = x, step_h * x_h, step_w * x_w
    if not direct:
        source, a_line, a_row = window, step_h * window_columns * step, step_w * step
    aside = y_c != 1  # results are computed channels-last and spread afterwards
    panel = np.empty(block_rows * columns_out * width if aside else 1, x.dtype)
    depth_step = ceil_div(terms, ceil_div(terms, deepest))
    tile_step = tile_height(columns_out)
    fetch = aside and terms <= SHORT
    line = 64 // x.itemsize
    has_finish = bias.size > 0 or activation > 0
    per_row = terms // reach.size  # terms of one row of taps
    planes, plane = (groups * channels_in, x_c) if x_h < x_c else (1, x_n)
    tiles = groups * panels * ceil_div(terms, depth_step) * block_rows * ceil_div(columns_out, tile_step)
    for item in range(start, stop):
        image, row = item // blocks, item % blocks * block_rows
        rows = min(block_rows, rows_out - row)
        # the input of the next block is fetched tile by tile: [soon, soon_end) of each plane
        next_row = (item + 1) % blocks * block_rows * step_h - top
        soon = (item + 1) // blocks * x_n + max(next_row, 0) * x_h
        soon_end = soon + (min(next_row + window_rows, height_in) - max(next_row, 0)) * x_h
        soon_run = soon_end - soon if item + 1 < stop else 0
        soon_share = ceil_div(soon_run, line) * planes
        soon_share = ceil_div(soon_share, tiles) if soon_share < SOON else 0
        for group in range(groups):
            x_at = image * x_n + group * channels_in * x_c
            a_at = x_at + (row * step_h - top) * x_h - left * x_w
            if not direct:
                a_at = 0
                gather_window(x, x_at, x_c, x_h, x_w, height_in, width_in, row * step_h - top,
                              (rows - 1) * step_h + span_h, -left, window_columns, channels_in,
                              window, step)  # fmt: skip
            for p in range(panels):
                columns = min(width, channels_out - p * width)
                channel = group * channels_out + p * width
                y_start = y_at + image * y_n + channel * y_c + row * y_h
                target, c_at, c_line, c_row = out, y_start, y_h, y_w
                if aside:
                    target, c_at, c_line, c_row = panel, 0, columns_out * width, width
                for k in range(0, terms, depth_step):
                    depth = min(depth_step, terms - k)
                    w_at = ((group * panels + p) * terms + k) * width
                    ahead = w_at + depth * width  # what comes next: fetched while this is worked on
                    share = ceil_div(depth_step * width, line * rows * ceil_div(columns_out, tile_step)) * line
                    for r in range(rows):
                        low, high = tap_rows((row + r) * step_h - top, reach, height_in)
                        first, last = max(k, low * per_row), min(k + depth, high * per_row)
                        for i in range(0, columns_out, tile_step):
                            height = min(tile_step, columns_out - i)
                            for j in range(ahead, ahead + share, line):
                                prefetch(filters, j)
                            ahead += share
                            for _ in range(soon_share):
                                prefetch_soon(x, soon)
                                soon += line
                                if soon >= soon_end:
                                    soon, soon_end = soon_end - soon_run + plane, soon_end + plane
                            if fetch and k == 0:
                                for j in range(columns):
                                    prefetch_to_write(out, y_start + j * y_c + r * y_h + i * y_w)
                            if first >= last:
                                continue
                            tile_a_table(source, a_at + r * a_line + i * a_row, a_row, first, table,
                                         filters, w_at + (first - k) * width, width, table, last - first,
                                         target, c_at + r * c_line + i * c_row, c_row, height, columns,
                                         first > low * per_row)  # fmt: skip
                            if has_finish and last == high * per_row:
                                finish(target, c_at + r * c_line + i * c_row, c_row, height, columns,
                                       bias, channel, activation)  # fmt: skip
                if aside:
                    spread(panel, rows * columns_out, columns, width, out, y_start, y_c, y_h, y_w, columns_out)


@kernel(fast=True)
def accumulate_weights(start, stop, x, x_strides, g, g_strides, table, total, sizes, runs):
    """Add the weight gradient of the image ranges [start, stop) of `ranges` to the slices of `total` that they own."""
    lanes = LANES64 if x.itemsize == 8 else LANES32
    width = 2 * lanes
    height_in, width_in, groups, channels_in, channels_out = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    top, left, step_h, span_h, span_w = sizes[5], sizes[6], sizes[7], sizes[9], sizes[10]
    rows_out, columns_out, block_rows = sizes[11], sizes[12], sizes[13]
    images, ranges, step_w, step = sizes[14], sizes[15], sizes[8], sizes[16]
    x_n, x_c, x_h, x_w = x_strides[0], x_strides[1], x_strides[2], x_strides[3]
    g_n, g_c, g_h, g_w = g_strides[0], g_strides[1], g_strides[2], g_strides[3]
    window_columns = (columns_out - 1) * step_w + span_w
    window = np.empty(((block_rows - 1) * step_h + span_h) * window_columns * step, x.dtype)
    aside = g_c != 1 or g_w > 2 * width  # a panel of g comes back for every run of taps: keep it in the first cache
    panel = np.empty(block_rows * columns_out * width, x.dtype)
    group_size = total.size // ranges // groups
    for part in range(start, stop):
        for image in range(images * part // ranges, images * (part + 1) // ranges):
            for group in range(groups):
                for row in range(0, rows_out, block_rows):
                    rows = min(block_rows, rows_out - row)
                    gather_window(x, image * x_n + group * channels_in * x_c, x_c, x_h, x_w, height_in, width_in,
                                  row * step_h - top, (rows - 1) * step_h + span_h, -left, window_columns,
                                  channels_in, window, step)  # fmt: skip
                    for p in range(0, channels_out, width):
                        columns = min(width, channels_out - p)
                        source, b_at, b_step = g, image * g_n + (group * channels_out + p) * g_c + row * g_h, g_w
                        if aside:
                            gather_window(g, b_at - row * g_h, g_c, g_h, g_w, rows_out, columns_out, row, rows, 0,
                                          columns_out, columns, panel, width)  # fmt: skip
                            source, b_at, b_step = panel, 0, width
                        for run in range(runs.shape[0]):
                            length, a_at, c_at, c_row = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
                            c_at += (part * groups + group) * group_size + p
                            above = top - runs[run, 4]  # rows of the output from which the tap lies in the padding
                            first = max(0, ceil_div(above, step_h) - row)
                            pixels = min(rows, (height_in - 1 + above) // step_h + 1 - row) - first
                            if pixels <= 0:
                                continue
                            first, pixels = first * columns_out, pixels * columns_out
                            tile_step = tile_height(length)
                            for i in range(0, length, tile_step):
                                tile_a_table(window, a_at + i, 1, first, table, source, b_at + first * b_step, b_step,
                                             table, pixels, total, c_at + i * c_row, c_row,
                                             min(tile_step, length - i), columns, True)  # fmt: skip


@kernel(fast=True)
def add_slices(start, stop, total, slices):
    """Add items [start, stop) of all slices of `total` to those of its first."""
    size = total.size // slices
    for part in range(1, slices):
        at = part * size
        for i in range(start, stop):
            total[i] += total[at + i]


@kernel(fast=True)
def turn(start, stop, total, terms, channels_out, out):
    """Write `total` (group, term, channel) as (group, channel, term).

    [start, stop) counts blocks of as many channels as a vector has lanes, of all groups.
    """
    lanes = LANES64 if total.itemsize == 8 else LANES32
    blocks = ceil_div(channels_out, lanes)
    for item in range(start, stop):
        group, first = item // blocks, item % blocks * lanes
        source, target = group * terms * channels_out + first, (group * channels_out + first) * terms
        columns = min(lanes, channels_out - first)
        for term in range(0, terms, lanes):
            transpose_block(total, source + term * channels_out, channels_out, min(lanes, terms - term), columns,
                            out, target + term, terms)  # fmt: skip
