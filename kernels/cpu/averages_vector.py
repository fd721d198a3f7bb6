"""The loops of averages around the vector operations of `averages_llvm`.

Averages are sums times one `scale`: where windows cover different numbers of items, the caller corrects the result
of a sum, or the adjoint before it is spread.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.averages_llvm import repeat_pairs, spread_even_lanes, sum_even_lanes, sum_lanes, sum_run
from kernels.cpu.gemm import ceil_div
from kernels.cpu.jit import kernel
from kernels.cpu.pooling_llvm import lanes_of
from kernels.cpu.pooling_vector import claim, covering, fetch, fill, phases

__all__ = [
    "spread_pixels",
    "spread_planes",
    "spread_planes_of_pairs",
    "spread_whole_rows",
    "sum_pixels",
    "sum_planes",
    "sum_planes_apart",
    "sum_planes_of_pairs",
    "sum_whole_rows",
]


# -- channels first ----------------------------------------------------------------------------------------------


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
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            fetch(x, at + first_h * width, stride[0] * width)
            out = (plane * out_h + i) * out_w
            first, rows, count = at + first_h * width + inner * stride[1] - before[1], last_h - first_h, outer - inner
            if stride[1] == 1:
                _sum_along(x, first, width, rows, window[1], 1, count, scale, y, out + inner)
            else:
                _sum_along(x, first, width, rows, window[1], 2, count, scale, y, out + inner)
            for edge in range(out_w - count):
                j = edge if edge < inner else edge + count
                left = j * stride[1] - before[1]
                total = _sum_of_window(x, at, width, first_h, last_h, max(left, 0), min(left + window[1], width))
                y[out + j] = total * scale


@kernel
def sum_planes_of_pairs(start, stop, x, height, width, out_h, out_w, scale, y):
    """Planes [start, stop), windows of 2 x 2 side by side: as `sum_planes`, with less to decide for each row."""
    for plane in range(start, stop):
        at, out = plane * height * width, plane * out_h * out_w
        for row in range(at, at + 2 * out_h * width, 2 * width):
            fetch(x, row, 2 * width)
            _sum_along(x, row, width, 2, 2, 2, out_w, scale, y, out)
            out += out_w


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
        fill(g[plane] * scale, gx, plane * count, count)


@kernel
def spread_planes_of_pairs(start, stop, g, height, width, out_h, out_w, scale, gx):
    """Planes [start, stop), windows of 2 x 2 side by side: every item is written once."""
    lanes = lanes_of(g)
    whole = out_w - out_w % lanes
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = at + 2 * i * width, (plane * out_h + i) * out_w
            claim(gx, row, 2 * width)
            fetch(g, out, out_w)
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
    first, taps = covering(width, before[1], window[1], stride[1], out_w)
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


# -- channels last -----------------------------------------------------------------------------------------------


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
    first, count = covering(width, before[1], window[1], stride[1], out_w)
    first_rows, row_counts = covering(height, before[0], window[0], stride[0], out_h)
    for line in range(start, stop):
        image, h = line // height, line % height
        first_i, rows = first_rows[h], row_counts[h]
        for w in range(width):
            taps, out = count[w], (line * width + w) * channels
            at = ((image * out_h + first_i) * out_w + first[w]) * channels
            if rows <= 0 or taps <= 0:
                fill(g.dtype.type(0), gx, out, channels)
            elif rows == 1 and taps == 1:
                _sum_channels(g, at, out_w * channels, channels, 1, 1, scale, gx, out)
            else:
                _sum_channels(g, at, out_w * channels, channels, rows, taps, scale, gx, out)
