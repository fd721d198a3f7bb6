"""What the tile loop reads and writes in convolutions: matrices that are never made, but read from images in place.

With p a place of the window (n, oh, ow) and s a pixel (n, h, w), for each group:

======================  ===============================  ==========================
product                 rows x columns                   terms
======================  ===============================  ==========================
`conv2d`                filters x places p               (channel, i, j)
input gradient          channels x pixels s              (filter, i, j)
weight gradient         filters x (channel, i, j)        places p
======================  ===============================  ==========================

The words of images are (C, H, W, OH, OW, KH, KW, SH, SW, top, left, DH, DW, channels last, channels of a group).
"""

from __future__ import annotations

from numba import int64

from kernels.cuda.epilogue import finish
from kernels.cuda.launch import device

__all__ = [
    "adjoints",
    "filters",
    "filters_transposed",
    "result_places",
    "store_images",
    "store_weights",
    "windows",
    "windows_back",
]


@device
def image_item(n, channel, h, w, channels, height, width, last):
    """Return the place of an item of images in memory."""
    if last == 1:
        return ((n * height + h) * width + w) * channels + channel
    return ((n * channels + channel) * height + h) * width + w


@device
def under_window(x, z, place, tap, p):
    """Return the pixel of the images that a tap (channel, i, j) meets at a place of the window; 0 in the padding."""
    per_image, taps = p[3] * p[4], p[5] * p[6]
    n, at = place // per_image, place % per_image
    channel, cell = tap // taps, tap % taps
    h = at // p[4] * p[7] - p[9] + cell // p[6] * p[11]
    w = at % p[4] * p[8] - p[10] + cell % p[6] * p[12]
    if h < 0 or h >= p[1] or w < 0 or w >= p[2]:
        return x.dtype.type(0)
    return x[image_item(n, z * p[14] + channel, h, w, p[0], p[1], p[2], p[13])]


@device
def windows_quad(x, z, place, tap, place_step, tap_step, left, p):
    """Read four pixels, along the places or along the taps."""
    zero = x.dtype.type(0)
    return (
        under_window(x, z, place, tap, p) if left > 0 else zero,
        under_window(x, z, place + place_step, tap + tap_step, p) if left > 1 else zero,
        under_window(x, z, place + 2 * place_step, tap + 2 * tap_step, p) if left > 2 else zero,
        under_window(x, z, place + 3 * place_step, tap + 3 * tap_step, p) if left > 3 else zero,
    )


@device
def windows(x, offsets, z, place, tap, places, taps, p):
    """Read the images of `conv2d`: four places side by side."""
    left = places - place if tap < taps else int64(0)
    return windows_quad(x, z, place, tap, 1, 0, left, p)


@device
def windows_back(x, offsets, z, tap, place, taps, places, p):
    """Read the images of the weight gradient, whose columns are taps and whose terms are places."""
    left = places - place if tap < taps else int64(0)
    return windows_quad(x, z, place, tap, 1, 0, left, p)


@device
def over_pixel(g, z, pixel, tap, p):
    """Return the item of g at the place whose tap (filter, i, j) meets a pixel; 0 where there is none."""
    per_image, taps = p[1] * p[2], p[5] * p[6]
    n, at = pixel // per_image, pixel % per_image
    number, cell = tap // taps, tap % taps
    h = at // p[2] + p[9] - cell // p[6] * p[11]
    w = at % p[2] + p[10] - cell % p[6] * p[12]
    if h < 0 or w < 0 or h % p[7] != 0 or w % p[8] != 0:
        return g.dtype.type(0)
    h, w = h // p[7], w // p[8]
    if h >= p[3] or w >= p[4]:
        return g.dtype.type(0)
    return g[image_item(n, z * p[14] + number, h, w, p[0], p[3], p[4], p[13])]


@device
def result_places(g, offsets, z, pixel, tap, pixels, taps, p):
    """Read the adjoints of the input gradient: four pixels side by side. Here C and the last word count filters."""
    left = pixels - pixel if tap < taps else int64(0)
    zero = g.dtype.type(0)
    return (
        over_pixel(g, z, pixel, tap, p) if left > 0 else zero,
        over_pixel(g, z, pixel + 1, tap, p) if left > 1 else zero,
        over_pixel(g, z, pixel + 2, tap, p) if left > 2 else zero,
        over_pixel(g, z, pixel + 3, tap, p) if left > 3 else zero,
    )


@device
def one_adjoint(g, z, number, place, p):
    per_image = p[1] * p[2]
    n, at = place // per_image, place % per_image
    return g[image_item(n, z * p[4] + number, at // p[2], at % p[2], p[0], p[1], p[2], p[3])]


@device
def adjoints(g, offsets, z, number, place, numbers, places, p):
    """Read the adjoints of the weight gradient: rows are filters, terms places.

    Words (O, OH, OW, channels last, O of a group).
    """
    left = places - place if number < numbers else int64(0)
    zero = g.dtype.type(0)
    return (
        one_adjoint(g, z, number, place, p) if left > 0 else zero,
        one_adjoint(g, z, number, place + 1, p) if left > 1 else zero,
        one_adjoint(g, z, number, place + 2, p) if left > 2 else zero,
        one_adjoint(g, z, number, place + 3, p) if left > 3 else zero,
    )


@device
def one_weight(w, z, channel, tap, p):
    return w[((z * p[0] + tap // p[2]) * p[1] + channel) * p[2] + tap % p[2]]


@device
def filters_transposed(w, offsets, z, channel, tap, channels, taps, p):
    """Read the filters of the input gradient: rows are channels, terms (filter, i, j).

    Words (O of a group, C of a group, taps).
    """
    left = taps - tap if channel < channels else int64(0)
    zero = w.dtype.type(0)
    return (
        one_weight(w, z, channel, tap, p) if left > 0 else zero,
        one_weight(w, z, channel, tap + 1, p) if left > 1 else zero,
        one_weight(w, z, channel, tap + 2, p) if left > 2 else zero,
        one_weight(w, z, channel, tap + 3, p) if left > 3 else zero,
    )


@device
def filters(w, offsets, z, number, tap, numbers, taps, p):
    """Read the filters of `conv2d`: rows are filters, terms (channel, i, j), in memory one after another."""
    left = taps - tap if number < numbers else int64(0)
    at = (z * p[0] + number) * taps + tap
    zero = w.dtype.type(0)
    return (
        w[at] if left > 0 else zero,
        w[at + 1] if left > 1 else zero,
        w[at + 2] if left > 2 else zero,
        w[at + 3] if left > 3 else zero,
    )


@device
def store_images(out, bias, z, part, row, column, value, sizes, p):
    """Write one item of images. Words (C, H, W, channels last, with bias, activation)."""
    channel = z * sizes[0] + row
    if p[4] == 1:
        value += bias[channel]
    value = finish(value, p[5], out.dtype.type(0))
    per_image = p[1] * p[2]
    n, at = column // per_image, column % per_image
    out[image_item(n, channel, at // p[2], at % p[2], p[0], p[1], p[2], p[3])] = value


@device
def store_weights(out, bias, z, part, row, column, value, sizes, p):
    """Write one weight of one part of the sums."""
    out[((part * sizes[3] + z) * sizes[0] + row) * sizes[1] + column] = value
