"""The loops of max-pooling around the vector operations of `pooling_llvm`, and what those of averages share."""

from __future__ import annotations

import numpy as np

from kernels.cpu.gemm import ceil_div
from kernels.cpu.jit import kernel
from kernels.cpu.pooling_llvm import (
    add_where,
    fill_lanes,
    items_per_line,
    lanes_of,
    max_even_lanes,
    max_lanes,
    max_run,
    prefetch_to_read,
    spread_even_where,
    spread_pairs,
)
from kernels.cpu.pooling_plain import max_of_window
from kernels.cpu.tiles import prefetch_to_write

AHEAD = 64  # cache lines between what is read and what is fetched: a row is too short for the processor to see a stream

__all__ = [
    "claim",
    "covering",
    "fetch",
    "fill",
    "max_pixels",
    "max_planes",
    "max_planes_of_pairs",
    "max_planes_of_threes",
    "max_whole_rows",
    "phases",
    "scatter_pixels_of_windows",
    "scatter_planes_of_pairs",
    "scatter_planes_of_windows",
]


@kernel(inline=True)
def fetch(x, at, count):
    """Ask for `count` items, `AHEAD` cache lines behind `at`."""
    line = items_per_line(x)
    start = at + AHEAD * line
    for k in range(start, start + count, line):
        prefetch_to_read(x, k)


@kernel(inline=True)
def claim(out, at, count):
    """As `_fetch`, for `count` items that are about to be written."""
    line = items_per_line(out)
    start = at + AHEAD * line
    for k in range(start, start + count, line):
        prefetch_to_write(out, k)


@kernel(inline=True)
def fill(value, out, at, count):
    """Write one value to `count` items."""
    lanes = lanes_of(out)
    whole = count - count % lanes
    for k in range(0, whole, lanes):
        fill_lanes(value, out, at + k, lanes)
    fill_lanes(value, out, at + whole, count - whole)


@kernel(inline=True)
def _max_along(x, at, width, rows, taps, step, place, count, y, index, out):
    """Maxima of `count` neighbouring windows, 1 or 2 apart: whole vectors without masks, then the rest."""
    lanes = lanes_of(x)
    whole = count - count % lanes
    for j in range(0, whole, lanes):
        if step == 1:
            max_lanes(x, at + j, width, 1, rows, taps, place + j, width, 1, lanes, y, out + j, index, out + j)
        else:
            max_even_lanes(x, at + 2 * j, width, 1, rows, taps, place + 2 * j, width, 2, lanes, y, out + j, index,
                           out + j)  # fmt: skip
    if whole < count:
        if step == 1:
            max_lanes(x, at + whole, width, 1, rows, taps, place + whole, width, 1, count - whole, y, out + whole,
                      index, out + whole)  # fmt: skip
        else:
            max_even_lanes(x, at + 2 * whole, width, 1, rows, taps, place + 2 * whole, width, 2, count - whole,
                           y, out + whole, index, out + whole)  # fmt: skip


@kernel
def max_planes(start, stop, x, height, width, out_h, out_w, window, stride, before, y, index):
    """Planes [start, stop), stride 1 or 2 along a row: neighbours in a row are compared in vectors."""
    inner = min(ceil_div(before[1], stride[1]), out_w)  # windows [inner, outer) lie within a row
    outer = max(min((width + before[1] - window[1]) // stride[1] + 1, out_w), inner)
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            fetch(x, at + first_h * width, stride[0] * width)
            out = (plane * out_h + i) * out_w
            place, rows, count = first_h * width + inner * stride[1] - before[1], last_h - first_h, outer - inner
            if stride[1] == 1:
                _max_along(x, at + place, width, rows, window[1], 1, place, count, y, index, out + inner)
            else:
                _max_along(x, at + place, width, rows, window[1], 2, place, count, y, index, out + inner)
            for edge in range(out_w - count):
                j = edge if edge < inner else edge + count
                left = j * stride[1] - before[1]
                best, where = max_of_window(x, at, width, first_h, last_h, max(left, 0), min(left + window[1], width))
                y[out + j] = best
                index[out + j] = where


@kernel
def max_planes_of_pairs(start, stop, x, height, width, out_h, out_w, y, index):
    """Planes [start, stop), windows of 2 x 2 side by side: as `max_planes`, with less to decide for each row."""
    for plane in range(start, stop):
        at, out = plane * height * width, plane * out_h * out_w
        for place in range(0, 2 * out_h * width, 2 * width):
            fetch(x, at + place, 2 * width)
            _max_along(x, at + place, width, 2, 2, 2, place, out_w, y, index, out)
            out += out_w


@kernel
def max_planes_of_threes(start, stop, x, height, width, out_h, out_w, y, index):
    """The same for windows of 3 x 3 with stride 2."""
    for plane in range(start, stop):
        at, out = plane * height * width, plane * out_h * out_w
        for place in range(0, 2 * out_h * width, 2 * width):
            fetch(x, at + place, 2 * width)
            _max_along(x, at + place, width, 3, 3, 2, place, out_w, y, index, out)
            out += out_w


@kernel
def max_whole_rows(start, stop, x, height, width, out_h, window_h, stride_h, y, index):
    """Planes [start, stop), windows as wide as they are: each a run of `window_h` rows."""
    for plane in range(start, stop):
        for i in range(out_h):
            place = i * stride_h * width
            max_run(x, plane * height * width + place, window_h * width, place, y, index, plane * out_h + i)


@kernel(inline=True)
def _max_channels(x, at, row, channels, rows, taps, place, width, y, index, out):
    """Maxima of one window for all channels: whole vectors without masks, then the rest."""
    lanes = lanes_of(x)
    whole = channels - channels % lanes
    for c in range(0, whole, lanes):
        max_lanes(x, at + c, row, channels, rows, taps, place, width, 0, lanes, y, out + c, index, out + c)
    if whole < channels:
        max_lanes(x, at + whole, row, channels, rows, taps, place, width, 0, channels - whole, y, out + whole, index,
                  out + whole)  # fmt: skip


@kernel
def max_pixels(start, stop, x, height, width, channels, out_h, out_w, window, stride, before, y, index):
    """Rows [start, stop) of the results of all images, channels last: the channels of a pixel in vectors."""
    row = width * channels
    for line in range(start, stop):
        image, i = line // out_h, line % out_h
        top = i * stride[0] - before[0]
        first_h, last_h = max(top, 0), min(top + window[0], height)
        rows = last_h - first_h
        for j in range(out_w):
            left = j * stride[1] - before[1]
            first_w, last_w = max(left, 0), min(left + window[1], width)
            place, out, taps = first_h * width + first_w, (line * out_w + j) * channels, last_w - first_w
            at = (image * height * width + place) * channels
            if rows == 2 and taps == 2:  # known sizes leave no loops
                _max_channels(x, at, row, channels, 2, 2, place, width, y, index, out)
            elif rows == 3 and taps == 3:
                _max_channels(x, at, row, channels, 3, 3, place, width, y, index, out)
            else:
                _max_channels(x, at, row, channels, rows, taps, place, width, y, index, out)


@kernel(inline=True)
def _scatter_channels(g, index, at, row, channels, rows, taps, place, gx, out):
    lanes = lanes_of(g)
    whole = channels - channels % lanes
    for c in range(0, whole, lanes):
        add_where(g, index, at + c, row, channels, rows, taps, place, lanes, gx, out + c)
    if whole < channels:
        add_where(g, index, at + whole, row, channels, rows, taps, place, channels - whole, gx, out + whole)


@kernel
def scatter_pixels_of_windows(
    start, stop, g, index, height, width, out_h, out_w, channels, window, stride, before, gx
):  # fmt: skip
    """Rows [start, stop) of the adjoints of all images, channels last: each item asks the windows that cover it."""
    first_rows, row_counts = covering(height, before[0], window[0], stride[0], out_h)
    first_columns, column_counts = covering(width, before[1], window[1], stride[1], out_w)
    row = out_w * channels
    for line in range(start, stop):
        image, h = line // height, line % height
        first_i, rows = first_rows[h], row_counts[h]
        for w in range(width):
            taps, place, out = column_counts[w], h * width + w, (line * width + w) * channels
            at = ((image * out_h + first_i) * out_w + first_columns[w]) * channels
            if rows <= 0 or taps <= 0:
                fill(g.dtype.type(0), gx, out, channels)
            elif rows == 1 and taps == 1:  # known sizes leave no loops
                _scatter_channels(g, index, at, row, channels, 1, 1, place, gx, out)
            elif rows == 1 and taps == 2:
                _scatter_channels(g, index, at, row, channels, 1, 2, place, gx, out)
            elif rows == 2 and taps == 1:
                _scatter_channels(g, index, at, row, channels, 2, 1, place, gx, out)
            elif rows == 2 and taps == 2:
                _scatter_channels(g, index, at, row, channels, 2, 2, place, gx, out)
            else:
                _scatter_channels(g, index, at, row, channels, rows, taps, place, gx, out)


@kernel(inline=True)
def covering(size, before, window, stride, out):
    """Return the first window that covers each row or column, and their number, 0 or less if none does.

    A table: divisions take longer than the sums of a row.
    """
    first, count = np.empty(size, np.int64), np.empty(size, np.int64)
    for at in range(size):
        first[at] = max(0, ceil_div(at + before - window + 1, stride))
        count[at] = min(out - 1, (at + before) // stride) - first[at] + 1
    return first, count


@kernel
def scatter_planes_of_pairs(start, stop, g, index, height, width, out_h, out_w, gx):
    """Planes [start, stop), windows of 2 x 2 side by side: every item is written once."""
    lanes = lanes_of(g)
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = 2 * i * width, (plane * out_h + i) * out_w
            claim(gx, at + row, 2 * width)
            fetch(g, out, out_w)
            fetch(index, out, out_w)
            for j in range(0, out_w, lanes):
                spread_pairs(g, index, out + j, row + 2 * j, width, min(lanes, out_w - j), gx, at + row + 2 * j)
            for j in range(2 * out_w, width):
                gx[at + row + j] = 0
                gx[at + row + width + j] = 0
        for i in range(at + 2 * out_h * width, at + height * width):
            gx[i] = 0


@kernel(inline=True)
def phases(before, window):
    """Stride 2: of the windows over items 2 m and 2 m + 1 of a row, the first less m, and the number, for either."""
    counts = (window + 1 - before % 2) // 2, (window + before % 2) // 2
    return (before // 2 - counts[0] + 1, (before + 1) // 2 - counts[1] + 1), counts


@kernel(inline=True)
def _scatter_along(g, index, at, out_w, rows, firsts, counts, place, width, gx, out):
    step = 2 * lanes_of(g)
    for w in range(0, width, step):
        spread_even_where(g, index, at, out_w, rows, firsts[0] + w // 2, counts[0], firsts[1] + w // 2, counts[1],
                          out_w, place + w, min(step, width - w), gx, out + w)  # fmt: skip


@kernel
def scatter_planes_of_windows(start, stop, g, index, height, width, out_h, out_w, window, stride, before, gx):
    """Planes [start, stop), stride 2 along a row, windows wider than 1: each item asks the windows that cover it."""
    firsts, counts = phases(before[1], window[1])
    first_rows, row_counts = covering(height, before[0], window[0], stride[0], out_h)
    plane, h = start, -1
    for line in range(start * height, stop * height):
        h += 1
        if h == height:
            plane, h = plane + 1, 0
        first_i, rows, out = first_rows[h], row_counts[h], line * width
        claim(gx, out, width)
        if rows <= 0:
            fill(g.dtype.type(0), gx, out, width)
            continue
        at = (plane * out_h + first_i) * out_w
        fetch(g, at, out_w)
        fetch(index, at, out_w)
        if counts[0] == 2 and counts[1] == 1 and rows == 1:  # known sizes leave no inner loops
            _scatter_along(g, index, at, out_w, 1, firsts, (2, 1), h * width, width, gx, out)
        elif counts[0] == 2 and counts[1] == 1 and rows == 2:
            _scatter_along(g, index, at, out_w, 2, firsts, (2, 1), h * width, width, gx, out)
        else:
            _scatter_along(g, index, at, out_w, rows, firsts, counts, h * width, width, gx, out)
