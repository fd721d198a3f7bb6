"""The loops of max-pooling around the vector operations of `kernels.cpu.pooling_llvm`."""

from __future__ import annotations

from kernels.cpu.gemm import ceil_div
from kernels.cpu.jit import kernel
from kernels.cpu.pooling_llvm import add_where, max_even_lanes, max_lanes, spread_pairs
from kernels.cpu.pooling_plain import max_of_window
from kernels.cpu.tiles import LANES32, LANES64

__all__ = ["max_pixels", "max_planes", "scatter_pixels_of_windows", "scatter_planes_of_pairs"]


@kernel
def max_planes(start, stop, x, height, width, out_h, out_w, window, stride, before, y, index):
    """Planes [start, stop), stride 1 or 2 along a row: neighbours in a row are compared in vectors."""
    lanes = LANES64 if x.itemsize == 8 else LANES32
    inner = min(ceil_div(before[1], stride[1]), out_w)  # windows [inner, outer) lie within a row
    outer = max(min((width + before[1] - window[1]) // stride[1] + 1, out_w), inner)
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            out = (plane * out_h + i) * out_w
            for j in range(out_w):
                if inner <= j < outer:
                    continue
                left = j * stride[1] - before[1]
                best, where = max_of_window(x, at, width, first_h, last_h, max(left, 0), min(left + window[1], width))
                y[out + j] = best
                index[out + j] = where
            for j in range(inner, outer, lanes):
                count, place = min(lanes, outer - j), first_h * width + j * stride[1] - before[1]
                if stride[1] == 1:
                    max_lanes(x, at + place, width, 1, last_h - first_h, window[1], place, width, 1, count,
                              y, out + j, index, out + j)  # fmt: skip
                else:
                    max_even_lanes(x, at + place, width, 1, last_h - first_h, window[1], place, width, 2, count,
                                   y, out + j, index, out + j)  # fmt: skip


@kernel
def max_pixels(start, stop, x, height, width, channels, out_h, out_w, window, stride, before, y, index):
    """Rows [start, stop) of the results of all images, channels last: the channels of a pixel in vectors."""
    lanes = LANES64 if x.itemsize == 8 else LANES32
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
    lanes = LANES64 if g.itemsize == 8 else LANES32
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
    lanes = LANES64 if g.itemsize == 8 else LANES32
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = 2 * i * width, (plane * out_h + i) * out_w
            for j in range(0, out_w, lanes):
                spread_pairs(g, index, out + j, row + 2 * j, width, min(lanes, out_w - j), gx, at + row + 2 * j)
            for j in range(2 * out_w, width):
                gx[at + row + j] = 0
                gx[at + row + width + j] = 0
        for i in range(at + 2 * out_h * width, at + height * width):
            gx[i] = 0
