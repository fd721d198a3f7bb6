"""Maximum and average over windows that slide over images, and what carries derivatives through them.

Maxima come with the flat position `h * W + w` of the first maximum in its input plane, as int32. The gradient adds
each adjoint at that position, the tangent is read there. Padding never wins a maximum; a NaN does, as in `np.max`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cpu.jit import kernel
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for

__all__ = [
    "avg_pool2d",
    "avg_pool2d_gradient",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_gradient",
]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
GRAIN = 1 << 16  # items that are worth a thread of their own


# -- maximum, channels first -----------------------------------------------------------------------------------


@kernel(inline=True)
def wins(value, best):
    return value > best or (value != value and best == best)


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
                first_w, last_w = max(left, 0), min(left + window[1], width)
                where = first_h * width + first_w
                best = x[at + where]
                for h in range(first_h, last_h):
                    for w in range(first_w, last_w):
                        value = x[at + h * width + w]
                        if wins(value, best):
                            best, where = value, h * width + w
                y[out + i * out_w + j] = best
                index[out + i * out_w + j] = where


@kernel
def max_planes_2x2(start, stop, x, height, width, out_h, out_w, y, index):
    """The same for windows of 2 x 2 that neither overlap nor leave the image: in vectors."""
    for plane in range(start, stop):
        for i in range(out_h):
            row, out = plane * height * width + 2 * i * width, (plane * out_h + i) * out_w
            place = np.int32(2 * i * width)
            down = np.int32(width)
            for j in range(out_w):
                a, b = x[row + 2 * j], x[row + 2 * j + 1]
                c, d = x[row + width + 2 * j], x[row + width + 2 * j + 1]
                best, where = a, np.int32(0)
                if (b > best) | ((b != b) & (best == best)):
                    best, where = b, np.int32(1)
                if (c > best) | ((c != c) & (best == best)):
                    best, where = c, down
                if (d > best) | ((d != d) & (best == best)):
                    best, where = d, np.int32(down + 1)
                y[out + j] = best
                index[out + j] = place + np.int32(2 * j) + where


@kernel
def scatter_planes(start, stop, g, index, out_size, size, gx):
    """Planes [start, stop): add each adjoint where its maximum was."""
    for plane in range(start, stop):
        at = plane * size
        for i in range(at, at + size):
            gx[i] = 0
        for i in range(plane * out_size, (plane + 1) * out_size):
            gx[at + index[i]] += g[i]


@kernel
def scatter_planes_2x2(start, stop, g, index, height, width, out_h, out_w, gx):
    """The same for windows of 2 x 2 that do not overlap: every item of a window is written once."""
    for plane in range(start, stop):
        at = plane * height * width
        for i in range(out_h):
            row, out = at + 2 * i * width, (plane * out_h + i) * out_w
            place, down = np.int32(2 * i * width), np.int32(width)
            for j in range(out_w):
                where, value = index[out + j] - place - np.int32(2 * j), g[out + j]
                gx[row + 2 * j] = value if where == 0 else 0
                gx[row + 2 * j + 1] = value if where == 1 else 0
            for j in range(out_w):
                where, value = index[out + j] - place - np.int32(2 * j) - down, g[out + j]
                gx[row + width + 2 * j] = value if where == 0 else 0
                gx[row + width + 2 * j + 1] = value if where == 1 else 0
            for j in range(2 * out_w, width):
                gx[row + j] = 0
                gx[row + width + j] = 0
        for i in range(at + 2 * out_h * width, at + height * width):
            gx[i] = 0


@kernel
def gather_planes(start, stop, t, index, out_size, size, y):
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
def scatter_pixels(start, stop, g, index, out_size, size, channels, gx):
    """Images [start, stop): add each adjoint where its maximum was."""
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


# -- public ----------------------------------------------------------------------------------------------------


def _out_size(name: str, shape: tuple[int, ...], window: Pair, stride: Pair, padding: Padding, layout: str) -> Pair:
    """Check the arguments and return the height and width of the result."""
    if layout not in {"NCHW", "NHWC"}:
        raise ValueError(f'{name}: layout must be "NCHW" or "NHWC", got {layout!r}')
    if len(shape) != 4:
        raise ValueError(f"{name}: images must have 4 dimensions ({layout}), got shape {shape}")
    if min(*window, *stride) < 1:
        raise ValueError(f"{name}: window {window} and stride {stride} must be positive")
    size = shape[2:] if layout == "NCHW" else shape[1:3]
    out = []
    for i in range(2):
        if min(padding[i]) < 0 or max(padding[i]) >= window[i]:
            raise ValueError(f"{name}: padding {padding} must be at least 0 and smaller than the window {window}")
        padded = size[i] + sum(padding[i])
        if window[i] > padded:
            raise ValueError(f"{name}: the window {window} is larger than the padded images, {padded} in axis {i}")
        out.append((padded - window[i]) // stride[i] + 1)
    return out[0], out[1]


def _check_dtype(name: str, **arrays: Any) -> None:
    dtypes = {key: array.dtype for key, array in arrays.items()}
    if len(set(dtypes.values())) > 1 or next(iter(dtypes.values())).char not in "fd":
        listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
        raise TypeError(f"{name}: expected float32 or float64, got {listed}; convert with .astype(...)")


def _check_index(name: str, index: Any, values: Any = None) -> None:
    if index.dtype != np.int32 or (values is not None and values.shape != index.shape):
        shape = "" if values is None else f" and shape {values.shape}"
        raise ValueError(f"{name}: index must have dtype int32{shape}, got {index.dtype} and {index.shape}")


def _contiguous(x: Any) -> Any:
    return flat(np.ascontiguousarray(x))


def max_pool2d(
    x: Any, window: Pair, stride: Pair, padding: Padding = ((0, 0), (0, 0)), layout: str = "NCHW"
) -> tuple[Any, Any]:
    """Return the maximum of each window, and where it was.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC; float32 or float64.
    window, stride
        Pairs of positive integers, for height and width.
    padding
        ((above, below), (left, right)), smaller than the window; what is padded never wins.

    Returns
    -------
    y : ndarray
        (N, C, OH, OW) or (N, OH, OW, C), with OH = (H + above + below - window) // stride + 1.
    index : ndarray of int32
        Of the same shape: `h * W + w` of the first maximum.

    Raises
    ------
    TypeError
        If `x` is neither float32 nor float64.
    ValueError
        If ranks or sizes do not fit.

    Examples
    --------
    >>> y, index = max_pool2d(np.array([[[[1.0, 5.0, 2.0, 2.0], [3.0, 4.0, 0.0, 2.0]]]]), (2, 2), (2, 2))
    >>> y, index
    (array([[[[5., 2.]]]]), array([[[[1, 2]]]], dtype=int32))
    """
    _check_dtype("max_pool2d", x=x)
    out_h, out_w = _out_size("max_pool2d", x.shape, window, stride, padding, layout)
    before = padding[0][0], padding[1][0]
    last = layout == "NHWC"
    n, c, height, width = (x.shape[0], x.shape[3], *x.shape[1:3]) if last else x.shape
    shape = (n, out_h, out_w, c) if last else (n, c, out_h, out_w)
    y, index = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    if y.size == 0:
        return y, index
    source, outputs = _contiguous(x), (y.reshape(-1), index.reshape(-1))
    if last:
        parallel_for(max_pixels, n * out_h, source, height, width, c, out_h, out_w, window, stride, before, *outputs,
                     grain=1 + GRAIN // (out_w * c))  # fmt: skip
    elif window == (2, 2) == stride and before == (0, 0) and padding[0][1] == 0 == padding[1][1]:
        parallel_for(max_planes_2x2, n * c, source, height, width, out_h, out_w, *outputs,
                     grain=1 + GRAIN // (out_h * out_w))  # fmt: skip
    else:
        parallel_for(max_planes, n * c, source, height, width, out_h, out_w, window, stride, before, *outputs,
                     grain=1 + GRAIN // (out_h * out_w * window[0] * window[1]))  # fmt: skip
    return y, index


def max_pool2d_gradient(
    g: Any, index: Any, input_shape: tuple[int, ...], layout: str = "NCHW", *, disjoint_2x2: bool = False
) -> Any:
    """Return the adjoint of the images: each item of `g` added at its maximum.

    Parameters
    ----------
    g, index
        Adjoint of the result of `max_pool2d`, and its index.
    input_shape
        The shape of the images.
    disjoint_2x2
        The windows were 2 x 2 with stride 2 and no padding, which has a faster way.

    Examples
    --------
    >>> index = np.array([[[[1, 2]]]], np.int32)
    >>> max_pool2d_gradient(np.array([[[[10.0, 20.0]]]]), index, (1, 1, 2, 4))
    array([[[[ 0., 10., 20.,  0.],
             [ 0.,  0.,  0.,  0.]]]])
    """
    _check_dtype("max_pool2d_gradient", g=g)
    _check_index("max_pool2d_gradient", index, g)
    gx = np.empty(input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return gx
    values, places = _contiguous(g), _contiguous(index)
    if layout == "NHWC":
        n, height, width, c = input_shape
        parallel_for(scatter_pixels, n, values, places, g.size // (n * c), height * width, c, gx.reshape(-1))
        return gx
    n, c, height, width = input_shape
    grain = 1 + GRAIN // (height * width)
    if disjoint_2x2:
        parallel_for(
            scatter_planes_2x2, n * c, values, places, height, width, *g.shape[2:], gx.reshape(-1), grain=grain
        )
    else:
        out_size = g.size // (n * c)
        parallel_for(scatter_planes, n * c, values, places, out_size, height * width, gx.reshape(-1), grain=grain)
    return gx


def max_pool2d_gather(t: Any, index: Any, layout: str = "NCHW") -> Any:
    """Return the items of images `t` at the positions `index`: the tangent of `max_pool2d`.

    Examples
    --------
    >>> max_pool2d_gather(np.arange(8.0).reshape(1, 1, 2, 4), np.array([[[[1, 6]]]], np.int32))
    array([[[[1., 6.]]]])
    """
    _check_dtype("max_pool2d_gather", t=t)
    _check_index("max_pool2d_gather", index)
    y = np.empty(index.shape, t.dtype)
    if y.size == 0:
        return y
    source, places = _contiguous(t), _contiguous(index)
    if layout == "NHWC":
        n, height, width, c = t.shape
        parallel_for(gather_pixels, n, source, places, y.size // (n * c), height * width, c, y.reshape(-1))
    else:
        n, c, height, width = t.shape
        out_size = y.size // (n * c)
        parallel_for(gather_planes, n * c, source, places, out_size, height * width, y.reshape(-1),
                     grain=1 + GRAIN // out_size)  # fmt: skip
    return y


def avg_pool2d(
    x: Any,
    window: Pair,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
    layout: str = "NCHW",
    *,
    count_include_pad: bool = False,
) -> Any:
    """Return the average of each window.

    Parameters
    ----------
    x, window, stride, padding, layout
        As in `max_pool2d`.
    count_include_pad
        Divide by the number of items of the padded image under the window instead of those of the image.

    Examples
    --------
    >>> avg_pool2d(np.arange(8.0).reshape(1, 1, 2, 4), (2, 2), (2, 2))
    array([[[[2.5, 4.5]]]])
    """
    _check_dtype("avg_pool2d", x=x)
    out_h, out_w = _out_size("avg_pool2d", x.shape, window, stride, padding, layout)
    blocks, sizes = _blocks(x.shape, (out_h, out_w), layout)
    n, c = x.shape[0], x.shape[3 if layout == "NHWC" else 1]
    y = np.empty((n, out_h, out_w, c) if layout == "NHWC" else (n, c, out_h, out_w), x.dtype)
    if y.size:
        before, after = (padding[0][0], padding[1][0]), (padding[0][1], padding[1][1])
        parallel_for(average, blocks, _contiguous(x), sizes, window, stride, before, after, count_include_pad,
                     y.reshape(-1), grain=1 + GRAIN * blocks // x.size)  # fmt: skip
    return y


def avg_pool2d_gradient(
    g: Any,
    input_shape: tuple[int, ...],
    window: Pair,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
    layout: str = "NCHW",
    *,
    count_include_pad: bool = False,
) -> Any:
    """Return the transpose of `avg_pool2d`: the adjoint of images of `input_shape`.

    Examples
    --------
    >>> avg_pool2d_gradient(np.array([[[[4.0, 8.0]]]]), (1, 1, 2, 4), (2, 2), (2, 2))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    _check_dtype("avg_pool2d_gradient", g=g)
    out_size = _out_size("avg_pool2d_gradient", input_shape, window, stride, padding, layout)
    if (g.shape[1:3] if layout == "NHWC" else g.shape[2:]) != out_size:
        raise ValueError(f"avg_pool2d_gradient: expected g of height and width {out_size}, got shape {g.shape}")
    gx = np.empty(input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return gx
    blocks, sizes = _blocks(input_shape, out_size, layout)
    before, after = (padding[0][0], padding[1][0]), (padding[0][1], padding[1][1])
    parallel_for(spread_average, blocks, _contiguous(g), sizes, window, stride, before, after, count_include_pad,
                 gx.reshape(-1), grain=1 + GRAIN * blocks // gx.size)  # fmt: skip
    return gx


def _blocks(shape: tuple[int, ...], out: Pair, layout: str) -> tuple[int, tuple[int, int, int, int, int]]:
    """Return the number of independent blocks, and (height, width, channels per pixel, out height, out width)."""
    if layout == "NHWC":
        return shape[0], (shape[1], shape[2], shape[3], *out)
    return shape[0] * shape[1], (shape[2], shape[3], 1, *out)
