"""What one thread does in pooling. Sizes are (N, C, H, W, OH, OW, channels last), windows (KH, KW, SH, SW, T, B, L, R).

A place in a contiguous array of images is split into plane, row and column, and put together again, by `split` and
`join`; the plane counts images times channels in both layouts.
"""

from __future__ import annotations

from numba import cuda, int64

from kernels.cuda.launch import device

__all__ = ["average", "gather", "maximum", "scatter_planes", "spread", "spread_maximum"]


@device
def start():
    """Return the number of this thread in the grid."""
    return int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x


@device
def stride():
    """Return the number of threads in the grid."""
    return int64(cuda.gridDim.x) * cuda.blockDim.x


@device
def split(place, channels, height, width, last):
    """Return (plane, row, column) of an item."""
    if last == 1:
        channel, pixel = place % channels, place // channels
        return pixel // (height * width) * channels + channel, pixel // width % height, pixel % width
    return place // (height * width), place // width % height, place % width


@device
def join(plane, pixel, channels, pixels, last):
    """Return the place of a pixel, `row * width + column`, of a plane."""
    if last == 1:
        return (plane // channels * pixels + pixel) * channels + plane % channels
    return plane * pixels + pixel


@device
def covering(pixel, before, window, stride, out):
    """Return the windows [first, end) that cover a pixel of one axis."""
    at = pixel + before
    first = 0 if at < window else (at - window) // stride + 1
    return first, min(at // stride + 1, out)


@device
def weight(o, window, stride, before, size, include):
    """Return by how many pixels of one axis a window is divided."""
    low = o * stride - before
    return window if include == 1 else min(low + window, size) - max(low, 0)


def maximum(x, y, index, sizes, windows):
    """One maximum and its place for each thread."""
    _n, c, height, width, out_h, out_w, last = sizes
    for i in range(start(), y.size, stride()):
        plane, row, column = split(i, c, out_h, out_w, last)
        top, left = row * windows[2] - windows[4], column * windows[3] - windows[6]
        where = max(top, 0) * width + max(left, 0)
        best = x[join(plane, where, c, height * width, last)]
        for h in range(max(top, 0), min(top + windows[0], height)):
            for w in range(max(left, 0), min(left + windows[1], width)):
                value = x[join(plane, h * width + w, c, height * width, last)]
                if value > best or (value != value and best == best):
                    best, where = value, h * width + w
        y[i] = best
        index[i] = where


def spread_maximum(g, index, gx, sizes, windows):
    """One pixel for each thread: the adjoints of the windows whose maximum it is, in their order."""
    _n, c, height, width, out_h, out_w, last = sizes
    for i in range(start(), gx.size, stride()):
        plane, row, column = split(i, c, height, width, last)
        top, bottom = covering(row, windows[4], windows[0], windows[2], out_h)
        left, right = covering(column, windows[6], windows[1], windows[3], out_w)
        total = gx.dtype.type(0)
        for h in range(top, bottom):
            for w in range(left, right):
                at = join(plane, h * out_w + w, c, out_h * out_w, last)
                if index[at] == row * width + column:
                    total += g[at]
        gx[i] = total


def scatter_planes(g, index, gx, sizes):
    """One plane for each thread: its adjoints are added one by one to `gx`, which holds zeros."""
    n, c, height, width, out_h, out_w, last = sizes
    for plane in range(start(), n * c, stride()):
        for pixel in range(out_h * out_w):
            at = join(plane, pixel, c, out_h * out_w, last)
            gx[join(plane, int64(index[at]), c, height * width, last)] += g[at]


def gather(t, index, y, sizes):
    """One item for each thread, read where the index says."""
    _n, c, height, width, out_h, out_w, last = sizes
    for i in range(start(), y.size, stride()):
        plane, _row, _column = split(i, c, out_h, out_w, last)
        y[i] = t[join(plane, int64(index[i]), c, height * width, last)]


def average(x, y, sizes, windows, include):
    """One average for each thread."""
    _n, c, height, width, out_h, out_w, last = sizes
    for i in range(start(), y.size, stride()):
        plane, row, column = split(i, c, out_h, out_w, last)
        top, left = row * windows[2] - windows[4], column * windows[3] - windows[6]
        total = y.dtype.type(0)
        for h in range(max(top, 0), min(top + windows[0], height)):
            for w in range(max(left, 0), min(left + windows[1], width)):
                total += x[join(plane, h * width + w, c, height * width, last)]
        count = weight(row, windows[0], windows[2], windows[4], height, include)
        count *= weight(column, windows[1], windows[3], windows[6], width, include)
        y[i] = total / y.dtype.type(count)


def spread(g, gx, sizes, windows, include):
    """One pixel for each thread: its share of each window that covers it."""
    _n, c, height, width, out_h, out_w, last = sizes
    for i in range(start(), gx.size, stride()):
        plane, row, column = split(i, c, height, width, last)
        top, bottom = covering(row, windows[4], windows[0], windows[2], out_h)
        left, right = covering(column, windows[6], windows[1], windows[3], out_w)
        total = gx.dtype.type(0)
        for h in range(top, bottom):
            rows = weight(h, windows[0], windows[2], windows[4], height, include)
            for w in range(left, right):
                columns = weight(w, windows[1], windows[3], windows[6], width, include)
                total += g[join(plane, h * out_w + w, c, out_h * out_w, last)] / gx.dtype.type(rows * columns)
        gx[i] = total
