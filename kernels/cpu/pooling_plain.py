"""The loops of pooling in plain form: for processors without vectors of ours and windows that vectors do not fit."""

from __future__ import annotations

import numpy as np

from kernels.cpu.jit import kernel

__all__ = [
    "average",
    "gather_pixels",
    "gather_planes",
    "max_of_window",
    "max_pixels",
    "max_planes",
    "scatter_pixels",
    "scatter_planes",
    "spread_average",
]


# -- maximum, channels first -----------------------------------------------------------------------------------


@kernel(inline=True)
def wins(value, best):
    """Whether a later value replaces the maximum so far: the first NaN does."""
    return value > best or (value != value and best == best)


@kernel
def max_of_window(x, at, width, first_h, last_h, first_w, last_w):
    """Return the first maximum of rows [first_h, last_h) and columns [first_w, last_w) of a plane, and its position."""
    where = first_h * width + first_w
    best = x[at + where]
    for h in range(first_h, last_h):
        for w in range(first_w, last_w):
            value = x[at + h * width + w]
            if wins(value, best):
                best, where = value, h * width + w
    return best, where


@kernel
def max_planes(start, stop, x, height, width, out_h, out_w, window, stride, before, y, index):
    """Planes [start, stop): y and index of every window."""
    for plane in range(start, stop):
        at, out = plane * height * width, plane * out_h * out_w
        for i in range(out_h):
            top = i * stride[0] - before[0]
            first_h, last_h = max(top, 0), min(top + window[0], height)
            for j in range(out_w):
                left = j * stride[1] - before[1]
                best, where = max_of_window(x, at, width, first_h, last_h, max(left, 0), min(left + window[1], width))
                y[out + i * out_w + j] = best
                index[out + i * out_w + j] = where


@kernel
def scatter_planes(start, stop, g, index, height, width, out_h, out_w, gx):
    """Planes [start, stop): add each adjoint where its maximum was."""
    size, out_size = height * width, out_h * out_w
    for plane in range(start, stop):
        at = plane * size
        for i in range(at, at + size):
            gx[i] = 0
        for i in range(plane * out_size, (plane + 1) * out_size):
            gx[at + index[i]] += g[i]


@kernel
def gather_planes(start, stop, t, index, out_size, size, y):
    """Planes [start, stop): read `t` where the maxima were."""
    for plane in range(start, stop):
        for i in range(plane * out_size, (plane + 1) * out_size):
            y[i] = t[plane * size + index[i]]


# -- maximum, channels last ------------------------------------------------------------------------------------


@kernel
def max_pixels(start, stop, x, height, width, channels, out_h, out_w, window, stride, before, y, index):
    """Rows [start, stop) of the results of all images: the channels of a pixel are compared in vectors."""
    for line in range(start, stop):
        image, i = line // out_h, line % out_h
        at = image * height * width * channels
        top = i * stride[0] - before[0]
        first_h, last_h = max(top, 0), min(top + window[0], height)
        for j in range(out_w):
            left = j * stride[1] - before[1]
            first_w, last_w = max(left, 0), min(left + window[1], width)
            out = (line * out_w + j) * channels
            place = first_h * width + first_w
            for c in range(channels):
                y[out + c] = x[at + place * channels + c]
                index[out + c] = place
            for h in range(first_h, last_h):
                for w in range(first_w, last_w):
                    place = h * width + w
                    source = at + place * channels
                    for c in range(channels):
                        value, best = x[source + c], y[out + c]
                        take = (value > best) | ((value != value) & (best == best))
                        y[out + c] = value if take else best
                        index[out + c] = np.int32(place) if take else index[out + c]


@kernel
def scatter_pixels(start, stop, g, index, height, width, out_h, out_w, channels, gx):
    """Images [start, stop): add each adjoint where its maximum was."""
    size, out_size = height * width, out_h * out_w
    for image in range(start, stop):
        at, out = image * size * channels, image * out_size * channels
        for i in range(at, at + size * channels):
            gx[i] = 0
        for pixel in range(out_size):
            for c in range(channels):
                i = out + pixel * channels + c
                gx[at + index[i] * channels + c] += g[i]


@kernel
def gather_pixels(start, stop, t, index, out_size, size, channels, y):
    """Images [start, stop), channels last: read `t` where the maxima were."""
    for image in range(start, stop):
        at, out = image * size * channels, image * out_size * channels
        for pixel in range(out_size):
            for c in range(channels):
                i = out + pixel * channels + c
                y[i] = t[at + index[i] * channels + c]


# -- average, with strides for either layout -------------------------------------------------------------------


@kernel(inline=True)
def divisor(top, left, height, width, window, after, include_pad):
    """Return the number of items that an average counts: those of the image, or of the padded image."""
    if include_pad:
        rows = min(top + window[0], height + after[0]) - top
        columns = min(left + window[1], width + after[1]) - left
    else:
        rows = min(top + window[0], height) - max(top, 0)
        columns = min(left + window[1], width) - max(left, 0)
    return rows * columns


@kernel(fast=True)
def average(start, stop, x, sizes, window, stride, before, after, include_pad, y):
    """Blocks [start, stop): a block is a plane (with one channel per pixel) or an image (channels last)."""
    height, width, channels, out_h, out_w = sizes
    for block in range(start, stop):
        at = block * height * width * channels
        for i in range(out_h):
            top = i * stride[0] - before[0]
            for j in range(out_w):
                left = j * stride[1] - before[1]
                out = ((block * out_h + i) * out_w + j) * channels
                scale = x.dtype.type(1) / divisor(top, left, height, width, window, after, include_pad)
                for c in range(channels):
                    y[out + c] = 0
                for h in range(max(top, 0), min(top + window[0], height)):
                    for w in range(max(left, 0), min(left + window[1], width)):
                        source = at + (h * width + w) * channels
                        for c in range(channels):
                            y[out + c] += x[source + c]
                for c in range(channels):
                    y[out + c] *= scale


@kernel(fast=True)
def spread_average(start, stop, g, sizes, window, stride, before, after, include_pad, gx):
    """The transpose of `average`."""
    height, width, channels, out_h, out_w = sizes
    for block in range(start, stop):
        at = block * height * width * channels
        for i in range(at, at + height * width * channels):
            gx[i] = 0
        for i in range(out_h):
            top = i * stride[0] - before[0]
            for j in range(out_w):
                left = j * stride[1] - before[1]
                out = ((block * out_h + i) * out_w + j) * channels
                scale = g.dtype.type(1) / divisor(top, left, height, width, window, after, include_pad)
                for h in range(max(top, 0), min(top + window[0], height)):
                    for w in range(max(left, 0), min(left + window[1], width)):
                        target = at + (h * width + w) * channels
                        for c in range(channels):
                            gx[target + c] += g[out + c] * scale
