"""The loops of max-pooling and of averages around the operations of `pooling_llvm` and `averages_llvm`.

Averages are sums times one `scale`: where windows cover different numbers of items, the caller corrects the result
of a sum, or the adjoint before it is spread.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.averages_llvm import repeat_pairs, spread_even_lanes, sum_even_lanes, sum_lanes, sum_run
from kernels.cpu.gemm import ceil_div
from kernels.cpu.jit import kernel
from kernels.cpu.pooling_llvm import (
    add_where,
    fill_lanes,
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

AHEAD = 4096  # bytes that are fetched ahead of what is read: a row is too short for the processor to see a stream

__all__ = [
    "max_pixels",
    "max_planes",
    "max_whole_rows",
    "scatter_pixels_of_windows",
    "scatter_planes_of_pairs",
    "scatter_planes_of_windows",
    "spread_pixels",
    "spread_planes",
    "spread_planes_of_pairs",
    "spread_whole_rows",
    "sum_pixels",
    "sum_planes",
    "sum_planes_apart",
    "sum_whole_rows",
]


@kernel(inline=True)
def _fetch(x, at, count):
    """Ask for `count` items, `AHEAD` bytes behind `at`."""
    line = 64 // x.itemsize
    start = at + AHEAD // x.itemsize
    for k in range(start, start + count, line):
        prefetch_to_read(x, k)


@kernel(inline=True)
def _claim(out, at, count):
    """As `_fetch`, for `count` items that are about to be written."""
    line = 64 // out.itemsize
    start = at + AHEAD // out.itemsize
    for k in range(start, start + count, line):
        prefetch_to_write(out, k)


@kernel(inline=True)
def _fill(value, out, at, count):
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
    pairs = window[0] == 2 and window[1] == 2 and stride[1] == 2
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            _fetch(x, at + first_h * width, stride[0] * width)
            out = (plane * out_h + i) * out_w
            place, rows, count = first_h * width + inner * stride[1] - before[1], last_h - first_h, outer - inner
            if pairs and rows == 2:  # known sizes leave no loops
                _max_along(x, at + place, width, 2, 2, 2, place, count, y, index, out + inner)
            elif stride[1] == 1:
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
def max_whole_rows(start, stop, x, height, width, out_h, window_h, stride_h, y, index):
    """Planes [start, stop), windows as wide as they are: each a run of `window_h` rows."""
    for plane in range(start, stop):
        for i in range(out_h):
            place = i * stride_h * width
            max_run(x, plane * height * width + place, window_h * width, place, y, index, plane * out_h + i)


@kernel
def max_pixels(start, stop, x, height, width, channels, out_h, out_w, window, stride, before, y, index):
    """Rows [start, stop) of the results of all images, channels last: the channels of a pixel in vectors."""
    lanes = lanes_of(x)
    for line in range(start, stop):
        image, i = line // out_h, line % out_h
        top = i * stride[0] - before[0]
        first_h, last_h = max(top, 0), min(top + window[0], height)
        for j in range(out_w):
            left = j * stride[1] - before[1]
            first_w, last_w = max(left, 0), min(left + window[1], width)
            place, out = first_h * width + first_w, (line * out_w + j) * channels
            at = (image * height * width + place) * channels
            for c in range(0, channels, lanes):
                max_lanes(x, at + c, width * channels, channels, last_h - first_h, last_w - first_w, place, width, 0,
                          min(lanes, channels - c), y, out + c, index, out + c)  # fmt: skip


@kernel
def scatter_pixels_of_windows(
    start, stop, g, index, height, width, out_h, out_w, channels, window, stride, before, gx
):  # fmt: skip
    """Rows [start, stop) of the adjoints of all images, channels last: each item asks the windows that cover it."""
    lanes = lanes_of(g)
    for line in range(start, stop):
        image, h = line // height, line % height
        first_i = max(0, ceil_div(h + before[0] - window[0] + 1, stride[0]))
        rows = min(out_h - 1, (h + before[0]) // stride[0]) - first_i + 1
        for w in range(width):
            first_j = max(0, ceil_div(w + before[1] - window[1] + 1, stride[1]))
            taps = min(out_w - 1, (w + before[1]) // stride[1]) - first_j + 1
            out = (line * width + w) * channels
            if rows <= 0 or taps <= 0:
                for c in range(channels):
                    gx[out + c] = 0
                continue
            at = ((image * out_h + first_i) * out_w + first_j) * channels
            for c in range(0, channels, lanes):
                add_where(g, index, at + c, out_w * channels, channels, rows, taps, h * width + w,
                          min(lanes, channels - c), gx, out + c)  # fmt: skip


@kernel
def scatter_planes_of_pairs(start, stop, g, index, height, width, out_h, out_w, gx):
    """Planes [start, stop), windows of 2 x 2 side by side: every item is written once."""
    lanes = lanes_of(g)
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = 2 * i * width, (plane * out_h + i) * out_w
            _claim(gx, at + row, 2 * width)
            _fetch(g, out, out_w)
            _fetch(index, out, out_w)
            for j in range(0, out_w, lanes):
                spread_pairs(g, index, out + j, row + 2 * j, width, min(lanes, out_w - j), gx, at + row + 2 * j)
            for j in range(2 * out_w, width):
                gx[at + row + j] = 0
                gx[at + row + width + j] = 0
        for i in range(at + 2 * out_h * width, at + height * width):
            gx[i] = 0


@kernel(inline=True)
def _covering(size, before, window, stride, out):
    """Return the first window that covers each row or column, and their number, 0 or less if none does.

    A table: divisions take longer than the sums of a row.
    """
    first, count = np.empty(size, np.int64), np.empty(size, np.int64)
    for at in range(size):
        first[at] = max(0, ceil_div(at + before - window + 1, stride))
        count[at] = min(out - 1, (at + before) // stride) - first[at] + 1
    return first, count


@kernel(inline=True)
def _phases(before, window):
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
    firsts, counts = _phases(before[1], window[1])
    first_rows, row_counts = _covering(height, before[0], window[0], stride[0], out_h)
    plane, h = start, -1
    for line in range(start * height, stop * height):
        h += 1
        if h == height:
            plane, h = plane + 1, 0
        first_i, rows, out = first_rows[h], row_counts[h], line * width
        _claim(gx, out, width)
        if rows <= 0:
            _fill(g.dtype.type(0), gx, out, width)
            continue
        at = (plane * out_h + first_i) * out_w
        _fetch(g, at, out_w)
        _fetch(index, at, out_w)
        if counts[0] == 2 and counts[1] == 1:  # known sizes leave no inner loops
            _scatter_along(g, index, at, out_w, rows, firsts, (2, 1), h * width, width, gx, out)
        else:
            _scatter_along(g, index, at, out_w, rows, firsts, counts, h * width, width, gx, out)


# -- averages, channels first ----------------------------------------------------------------------------------


@kernel(inline=True)
def _sum_along(x, at, width, rows, taps, step, count, scale, y, out):
    """Sums of `count` neighbouring windows, 1 or 2 apart: whole vectors without masks, then the rest."""
    lanes = lanes_of(x)
    whole = count - count % lanes
    for j in range(0, whole, lanes):
        if step == 1:
            sum_lanes(x, at + j, width, 1, rows, taps, lanes, scale, y, out + j)
        else:
            sum_even_lanes(x, at + 2 * j, width, 1, rows, taps, lanes, scale, y, out + j)
    if whole < count:
        if step == 1:
            sum_lanes(x, at + whole, width, 1, rows, taps, count - whole, scale, y, out + whole)
        else:
            sum_even_lanes(x, at + 2 * whole, width, 1, rows, taps, count - whole, scale, y, out + whole)


@kernel(inline=True)
def _sum_of_window(x, at, width, first_h, last_h, first_w, last_w):
    total = x.dtype.type(0)
    for h in range(first_h, last_h):
        for w in range(first_w, last_w):
            total += x[at + h * width + w]
    return total


@kernel(fast=True)
def sum_planes(start, stop, x, height, width, out_h, out_w, window, stride, before, scale, y):
    """Planes [start, stop), stride 1 or 2 along a row: scaled sums of all windows, neighbours in vectors."""
    inner = min(ceil_div(before[1], stride[1]), out_w)  # windows [inner, outer) lie within a row
    outer = max(min((width + before[1] - window[1]) // stride[1] + 1, out_w), inner)
    pairs = window[0] == 2 and window[1] == 2 and stride[1] == 2
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            _fetch(x, at + first_h * width, stride[0] * width)
            out = (plane * out_h + i) * out_w
            first, rows, count = at + first_h * width + inner * stride[1] - before[1], last_h - first_h, outer - inner
            if pairs and rows == 2:  # known sizes leave no loops
                _sum_along(x, first, width, 2, 2, 2, count, scale, y, out + inner)
            elif stride[1] == 1:
                _sum_along(x, first, width, rows, window[1], 1, count, scale, y, out + inner)
            else:
                _sum_along(x, first, width, rows, window[1], 2, count, scale, y, out + inner)
            for edge in range(out_w - count):
                j = edge if edge < inner else edge + count
                left = j * stride[1] - before[1]
                total = _sum_of_window(x, at, width, first_h, last_h, max(left, 0), min(left + window[1], width))
                y[out + j] = total * scale


@kernel(fast=True)
def sum_planes_apart(start, stop, x, height, width, out_h, out_w, window, stride, before, scale, y):
    """As `sum_planes`, any stride: rows are added in vectors, then the windows of the one row that this leaves."""
    sums = np.empty(width, x.dtype)
    for line in range(start * out_h, stop * out_h):
        plane, i = line // out_h, line % out_h
        top = i * stride[0] - before[0]
        first_h, last_h = max(top, 0), min(top + window[0], height)
        _sum_along(x, (plane * height + first_h) * width, width, last_h - first_h, 1, 1, width, scale, sums, 0)
        for j in range(out_w):
            left = j * stride[1] - before[1]
            total = x.dtype.type(0)
            for w in range(max(left, 0), min(left + window[1], width)):
                total += sums[w]
            y[line * out_w + j] = total


@kernel
def sum_whole_rows(start, stop, x, image, out_h, step, count, scale, y):
    """Planes [start, stop) of `image` items, windows as wide as they are: `count` items, every `step` of them."""
    for plane in range(start, stop):
        for i in range(out_h):
            sum_run(x, plane * image + i * step, count, scale, y, plane * out_h + i)


@kernel
def spread_whole_rows(start, stop, g, count, scale, gx):
    """Planes [start, stop) of `count` items, each under one window."""
    for plane in range(start, stop):
        _fill(g[plane] * scale, gx, plane * count, count)


@kernel
def spread_planes_of_pairs(start, stop, g, height, width, out_h, out_w, scale, gx):
    """Planes [start, stop), windows of 2 x 2 side by side: every item is written once."""
    lanes = lanes_of(g)
    whole = out_w - out_w % lanes
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = at + 2 * i * width, (plane * out_h + i) * out_w
            _claim(gx, row, 2 * width)
            _fetch(g, out, out_w)
            for j in range(0, whole, lanes):
                repeat_pairs(g, out + j, lanes, scale, gx, row + 2 * j, width)
            if whole < out_w:
                repeat_pairs(g, out + whole, out_w - whole, scale, gx, row + 2 * whole, width)
            for j in range(2 * out_w, width):
                gx[row + j] = 0
                gx[row + width + j] = 0
        for i in range(at + 2 * out_h * width, at + height * width):
            gx[i] = 0


@kernel(inline=True)
def _spread_along(t, at, taps, next_at, next_taps, count, gx, out):
    width = 2 * lanes_of(t)
    whole = count - count % width
    for w in range(0, whole, width):
        spread_even_lanes(t, at + w // 2, taps, next_at + w // 2, next_taps, width, gx, out + w)
    if whole < count:
        w = whole // 2
        spread_even_lanes(t, at + w, taps, next_at + w, next_taps, count - whole, gx, out + whole)


@kernel(fast=True)
def spread_planes(start, stop, g, height, width, out_h, out_w, window, stride, before, scale, gx):
    """Planes [start, stop): the transpose of `sum_planes`. Rows of `g` are added, then spread along the row."""
    lanes, margin = lanes_of(g), window[1]
    sums = np.zeros(out_w + 2 * margin + width, g.dtype)  # zeros around what windows off the image would add
    first, taps = _covering(width, before[1], window[1], stride[1], out_w)
    firsts, counts = _phases(before[1], window[1])
    first_rows, row_counts = _covering(height, before[0], window[0], stride[0], out_h)
    plane, h = start, -1
    for line in range(start * height, stop * height):
        h += 1
        if h == height:
            plane, h = plane + 1, 0
        first_i, rows, out = first_rows[h], row_counts[h], line * width
        _claim(gx, out, width)
        if rows <= 0:
            _fill(g.dtype.type(0), gx, out, width)
            continue
        at = (plane * out_h + first_i) * out_w
        _fetch(g, at, out_w)
        if rows == 1:
            _sum_along(g, at, out_w, 1, 1, 1, out_w, scale, sums, margin)
        else:
            _sum_along(g, at, out_w, rows, 1, 1, out_w, scale, sums, margin)
        if stride[1] == 1:
            source = margin + before[1] - window[1] + 1
            for w in range(0, width, lanes):
                sum_lanes(sums, source + w, 0, 1, 1, window[1], min(lanes, width - w), g.dtype.type(1), gx, out + w)
        elif stride[1] == 2 and window[1] > 1:
            if counts[0] == 2 and counts[1] == 1:  # known sizes leave no loops
                _spread_along(sums, margin + firsts[0], 2, margin + firsts[1], 1, width, gx, out)
            else:
                _spread_along(sums, margin + firsts[0], counts[0], margin + firsts[1], counts[1], width, gx, out)
        else:
            for w in range(width):
                total = g.dtype.type(0)
                for j in range(margin + first[w], margin + first[w] + taps[w]):
                    total += sums[j]
                gx[out + w] = total


# -- averages, channels last -----------------------------------------------------------------------------------


@kernel(inline=True)
def _sum_channels(x, at, row, channels, rows, taps, scale, y, out):
    lanes = lanes_of(x)
    whole = channels - channels % lanes
    for c in range(0, whole, lanes):
        sum_lanes(x, at + c, row, channels, rows, taps, lanes, scale, y, out + c)
    if whole < channels:
        sum_lanes(x, at + whole, row, channels, rows, taps, channels - whole, scale, y, out + whole)


@kernel
def sum_pixels(start, stop, x, height, width, channels, out_h, out_w, window, stride, before, scale, y):
    """Rows [start, stop) of the results of all images, channels last: the channels of a pixel in vectors."""
    for line in range(start, stop):
        image, i = line // out_h, line % out_h
        top = i * stride[0] - before[0]
        first_h, last_h = max(top, 0), min(top + window[0], height)
        for j in range(out_w):
            left = j * stride[1] - before[1]
            first_w, last_w = max(left, 0), min(left + window[1], width)
            at, out = ((image * height + first_h) * width + first_w) * channels, (line * out_w + j) * channels
            rows, taps = last_h - first_h, last_w - first_w
            if rows == 2 and taps == 2:  # known sizes leave no loops
                _sum_channels(x, at, width * channels, channels, 2, 2, scale, y, out)
            else:
                _sum_channels(x, at, width * channels, channels, rows, taps, scale, y, out)


@kernel
def spread_pixels(start, stop, g, height, width, channels, out_h, out_w, window, stride, before, scale, gx):
    """Rows [start, stop) of the adjoints of all images, channels last: each item asks the windows that cover it."""
    first, count = _covering(width, before[1], window[1], stride[1], out_w)
    first_rows, row_counts = _covering(height, before[0], window[0], stride[0], out_h)
    for line in range(start, stop):
        image, h = line // height, line % height
        first_i, rows = first_rows[h], row_counts[h]
        for w in range(width):
            taps, out = count[w], (line * width + w) * channels
            at = ((image * out_h + first_i) * out_w + first[w]) * channels
            if rows <= 0 or taps <= 0:
                _fill(g.dtype.type(0), gx, out, channels)
            elif rows == 1 and taps == 1:
                _sum_channels(g, at, out_w * channels, channels, 1, 1, scale, gx, out)
            else:
                _sum_channels(g, at, out_w * channels, channels, rows, taps, scale, gx, out)
