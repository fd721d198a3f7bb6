"""Maximum and average over windows that slide over images, on the device, and what carries derivatives through them.

Each thread computes one item of the result from what it reads: nothing is added by several threads at once, so two
calls give the same bits. The arithmetic of windows is in `kernels.cuda.pooling_loops`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cuda.arrays import check_dtypes, contiguous, empty, give, receive
from kernels.cuda.launch import SIMULATED, Kernel, blocks_for, declare
from kernels.cuda.pooling_loops import average, gather, maximum, scatter_planes, spread, spread_maximum
from kernels.windows import Padding, Pair, check_index, check_planes, check_windows, image_sizes, window_counts

__all__ = ["avg_pool2d", "avg_pool2d_gradient", "max_pool2d", "max_pool2d_gather", "max_pool2d_gradient"]

THREADS = 8 if SIMULATED else 256

maximum_kernel = declare(maximum, "T[] T[] i4[] 7*i8 8*i8", registers=96)
spread_maximum_kernel = declare(spread_maximum, "T[] i4[] T[] 7*i8 8*i8", registers=96)
scatter_kernel = declare(scatter_planes, "T[] i4[] T[] 7*i8")
gather_kernel = declare(gather, "T[] i4[] T[] 7*i8")
average_kernel = declare(average, "T[] T[] 7*i8 8*i8 i8", registers=96)
spread_kernel = declare(spread, "T[] T[] 7*i8 8*i8 i8", registers=96)


def _words(name: str, images: tuple[int, ...], out: Pair, layout: str) -> tuple[int, ...]:
    """Return what the loops know of the shapes: (N, C, H, W, OH, OW, channels last)."""
    return (*image_sizes(name, images, layout), *out, int(layout == "NHWC"))


def _windows(window: Pair, stride: Pair, padding: Padding) -> tuple[int, ...]:
    return (*window, *stride, *padding[0], *padding[1])


def _launch(name: str, kernel: Kernel, count: int, *args: Any) -> None:
    kernel.launch(name, blocks_for(count, THREADS), THREADS, *args)


def _images(sizes: tuple[int, ...], size: Pair) -> tuple[int, ...]:
    return (sizes[0], *size, sizes[1]) if sizes[6] else (sizes[0], sizes[1], *size)


def max_pool2d(
    x: Any, window: Pair, stride: Pair, padding: Padding = ((0, 0), (0, 0)), layout: str = "NCHW"
) -> tuple[Any, Any]:
    """Return the maximum of each window, and where it was.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC, on the device; float32 or float64.
    window, stride
        Pairs of positive integers, for height and width.
    padding
        ((above, below), (left, right)), smaller than the window; what is padded never wins.

    Returns
    -------
    y : array
        (N, C, OH, OW) or (N, OH, OW, C), with OH = (H + above + below - window) // stride + 1.
    index : array of int32
        Of the same shape: `h * W + w` of the first maximum.

    Raises
    ------
    TypeError
        If `x` lies on the host, or is neither float32 nor float64.
    ValueError
        If ranks or sizes do not fit.
    """
    name = "max_pool2d"
    x = receive(name, "x", x)
    check_dtypes(name, x=x)
    out = window_counts(name, x.shape, window, stride, padding, layout)
    sizes = _words(name, x.shape, out, layout)
    y = empty(name, _images(sizes, out), x.dtype)
    index = empty(name, y.shape, np.int32)
    if y.size:
        words = sizes, _windows(window, stride, padding)
        _launch(name, maximum_kernel, y.size, contiguous(x), y.reshape(-1), index.reshape(-1), *words)
    return give(y), give(index)


def max_pool2d_gradient(
    g: Any,
    index: Any,
    input_shape: tuple[int, ...],
    layout: str = "NCHW",
    *,
    windows: tuple[Pair, Pair, Padding] | None = None,
) -> Any:
    """Return the adjoint of the images: each item of `g` added at its maximum.

    Parameters
    ----------
    g, index
        Adjoint of the result of `max_pool2d`, and its index, on the device.
    input_shape
        The shape of the images.
    layout
        As in `max_pool2d`.
    windows
        The window, stride and padding that `max_pool2d` was called with: each pixel then reads the windows that cover
        it. Without them one thread has a whole plane, which is slow.

    Raises
    ------
    TypeError
        If an array lies on the host, or `g` is neither float32 nor float64.
    ValueError
        If `index` does not have the shape of `g` and dtype int32, or the images have other numbers.
    """
    name = "max_pool2d_gradient"
    g, index = receive(name, "g", g), receive(name, "index", index)
    check_dtypes(name, g=g)
    check_index(name, index, g)
    check_planes(name, input_shape, g.shape, layout)
    out = image_sizes(name, g.shape, layout)[2:]
    if windows is not None:
        out = window_counts(name, input_shape, *windows, layout)
        check_windows(name, g.shape, out, layout)
    gx = empty(name, input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return give(gx)
    sizes = _words(name, input_shape, out, layout)
    arrays = contiguous(g), contiguous(index), gx.reshape(-1)
    if windows is None:
        gx[...] = 0
        _launch(name, scatter_kernel, sizes[0] * sizes[1], *arrays, sizes)
    else:
        _launch(name, spread_maximum_kernel, gx.size, *arrays, sizes, _windows(*windows))
    return give(gx)


def max_pool2d_gather(t: Any, index: Any, layout: str = "NCHW") -> Any:
    """Return the items of images `t` at the positions `index`: the tangent of `max_pool2d`."""
    name = "max_pool2d_gather"
    t, index = receive(name, "t", t), receive(name, "index", index)
    check_dtypes(name, t=t)
    check_index(name, index)
    check_planes(name, t.shape, index.shape, layout)
    y = empty(name, index.shape, t.dtype)
    if y.size:
        sizes = _words(name, t.shape, image_sizes(name, index.shape, layout)[2:], layout)
        _launch(name, gather_kernel, y.size, contiguous(t), contiguous(index), y.reshape(-1), sizes)
    return give(y)


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
    """
    name = "avg_pool2d"
    x = receive(name, "x", x)
    check_dtypes(name, x=x)
    out = window_counts(name, x.shape, window, stride, padding, layout)
    sizes = _words(name, x.shape, out, layout)
    y = empty(name, _images(sizes, out), x.dtype)
    if y.size:
        words = sizes, _windows(window, stride, padding), int(count_include_pad)
        _launch(name, average_kernel, y.size, contiguous(x), y.reshape(-1), *words)
    return give(y)


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
    """Return the transpose of `avg_pool2d`: the adjoint of images of `input_shape`."""
    name = "avg_pool2d_gradient"
    g = receive(name, "g", g)
    check_dtypes(name, g=g)
    out = window_counts(name, input_shape, window, stride, padding, layout)
    check_planes(name, input_shape, g.shape, layout)
    check_windows(name, g.shape, out, layout)
    gx = empty(name, input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return give(gx)
    words = _words(name, input_shape, out, layout), _windows(window, stride, padding), int(count_include_pad)
    _launch(name, spread_kernel, gx.size, contiguous(g), gx.reshape(-1), *words)
    return give(gx)
