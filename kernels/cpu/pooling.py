"""Maximum and average over windows that slide over images, and what carries derivatives through them.

Maxima come with the flat position `h * W + w` of the first maximum in its input plane, as int32. The gradient adds
each adjoint at that position, the tangent is read there. Padding never wins a maximum; a NaN does, as in `np.max`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cpu import pooling_plain
from kernels.cpu.host import host
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for
from kernels.windows import Padding, Pair, check_index, check_planes, check_windows, image_sizes, window_counts

if host().vectorised:
    from kernels.cpu import averages_vector, pooling_vector

__all__ = [
    "avg_pool2d",
    "avg_pool2d_gradient",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_gradient",
]

NONE: Padding = ((0, 0), (0, 0))
PAIRS, THREES = ((2, 2), (2, 2), NONE), ((3, 3), (2, 2), NONE)  # windows that have loops of their own
GRAIN = 1 << 16  # items that are worth a thread of their own
VECTORS = host().vectorised


# -- public ----------------------------------------------------------------------------------------------------


def _check_dtype(name: str, **arrays: Any) -> None:
    dtypes = {key: array.dtype for key, array in arrays.items()}
    first = next(iter(dtypes.values()))
    if len(set(dtypes.values())) > 1 or first.char not in "fd" or not first.isnative:
        listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
        raise TypeError(f"{name}: expected float32 or float64, got {listed}; convert with .astype(...)")


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
    out_h, out_w = window_counts("max_pool2d", x.shape, window, stride, padding, layout)
    before = padding[0][0], padding[1][0]
    last = layout == "NHWC"
    n, c, height, width = (x.shape[0], x.shape[3], *x.shape[1:3]) if last else x.shape
    shape = (n, out_h, out_w, c) if last else (n, c, out_h, out_w)
    y, index = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    if y.size == 0:
        return y, index
    source, outputs = _contiguous(x), (y.reshape(-1), index.reshape(-1))
    if last:
        loop = pooling_vector.max_pixels if VECTORS else pooling_plain.max_pixels
        parallel_for(loop, n * out_h, source, height, width, c, out_h, out_w, window, stride, before, *outputs,
                     grain=1 + GRAIN // (out_w * c))  # fmt: skip
    elif VECTORS and window[1] == width and padding == NONE:
        parallel_for(pooling_vector.max_whole_rows, n * c, source, height, width, out_h, window[0], stride[0], *outputs,
                     grain=1 + GRAIN // (height * width))  # fmt: skip
    elif VECTORS and (window, stride, padding) in (PAIRS, THREES):
        loop = pooling_vector.max_planes_of_pairs if window == (2, 2) else pooling_vector.max_planes_of_threes
        parallel_for(loop, n * c, source, height, width, out_h, out_w, *outputs,
                     grain=1 + GRAIN // (height * width))  # fmt: skip
    else:
        loop = pooling_vector.max_planes if VECTORS and stride[1] <= 2 else pooling_plain.max_planes
        parallel_for(loop, n * c, source, height, width, out_h, out_w, window, stride, before, *outputs,
                     grain=1 + GRAIN // (out_h * out_w * window[0] * window[1]))  # fmt: skip
    return y, index


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
        Adjoint of the result of `max_pool2d`, and its index. Where it points is not checked: a position outside its
        image leads to memory that is not ours.
    input_shape
        The shape of the images.
    layout
        As in `max_pool2d`.
    windows
        The window, stride and padding that `max_pool2d` was called with: knowing them makes it faster.

    Returns
    -------
    ndarray
        Array of `input_shape`.

    Raises
    ------
    TypeError
        If `g` is neither float32 nor float64.
    ValueError
        If `index` does not have the shape of `g` and dtype int32, or the images have other numbers.

    Examples
    --------
    >>> index = np.array([[[[1, 2]]]], np.int32)
    >>> max_pool2d_gradient(np.array([[[[10.0, 20.0]]]]), index, (1, 1, 2, 4))
    array([[[[ 0., 10., 20.,  0.],
             [ 0.,  0.,  0.,  0.]]]])
    """
    _check_dtype("max_pool2d_gradient", g=g)
    check_index("max_pool2d_gradient", index, g)
    check_planes("max_pool2d_gradient", input_shape, g.shape, layout)
    if windows is not None:
        out_size = window_counts("max_pool2d_gradient", input_shape, *windows, layout)
        check_windows("max_pool2d_gradient", g.shape, out_size, layout)
    gx = np.empty(input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return gx
    values, places, out = _contiguous(g), _contiguous(index), gx.reshape(-1)
    known = VECTORS and windows is not None
    if layout == "NHWC":
        n, height, width, c = input_shape
        sizes = height, width, *g.shape[1:3]
        if known:
            window, stride, padding = windows  # type: ignore[misc]
            before = padding[0][0], padding[1][0]
            parallel_for(pooling_vector.scatter_pixels_of_windows, n * height, values, places, *sizes, c, window,
                         stride, before, out, grain=1 + GRAIN // (width * c))  # fmt: skip
        else:
            parallel_for(pooling_plain.scatter_pixels, n, values, places, *sizes, c, out)
        return gx
    n, c, height, width = input_shape
    sizes, grain = (height, width, *g.shape[2:]), 1 + GRAIN // (height * width)
    if known and windows == PAIRS:
        parallel_for(pooling_vector.scatter_planes_of_pairs, n * c, values, places, *sizes, out, grain=grain)
    elif windows is not None and known and windows[1][1] == 2 and windows[0][1] > 1:
        window, stride, padding = windows
        before = padding[0][0], padding[1][0]
        parallel_for(pooling_vector.scatter_planes_of_windows, n * c, values, places, *sizes, window, stride, before,
                     out, grain=grain)  # fmt: skip
    else:
        parallel_for(pooling_plain.scatter_planes, n * c, values, places, *sizes, out, grain=grain)
    return gx


def max_pool2d_gather(t: Any, index: Any, layout: str = "NCHW") -> Any:
    """Return the items of images `t` at the positions `index`: the tangent of `max_pool2d`.

    Parameters
    ----------
    t
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC; float32 or float64.
    index
        The second result of `max_pool2d` for images of this shape. Where it points is not checked: a position outside
        its image leads to memory that is not ours.
    layout
        `"NCHW"` or `"NHWC"`.

    Returns
    -------
    ndarray
        Of the shape of `index` and the dtype of `t`.

    Raises
    ------
    TypeError
        If `t` is neither float32 nor float64.
    ValueError
        If `index` is not int32, or the images have other numbers.

    Examples
    --------
    >>> max_pool2d_gather(np.arange(8.0).reshape(1, 1, 2, 4), np.array([[[[1, 6]]]], np.int32))
    array([[[[1., 6.]]]])
    """
    _check_dtype("max_pool2d_gather", t=t)
    check_index("max_pool2d_gather", index)
    check_planes("max_pool2d_gather", t.shape, index.shape, layout)
    y = np.empty(index.shape, t.dtype)
    if y.size == 0:
        return y
    source, places = _contiguous(t), _contiguous(index)
    if layout == "NHWC":
        n, height, width, c = t.shape
        parallel_for(
            pooling_plain.gather_pixels, n, source, places, y.size // (n * c), height * width, c, y.reshape(-1)
        )
    else:
        n, c, height, width = t.shape
        out_size = y.size // (n * c)
        parallel_for(pooling_plain.gather_planes, n * c, source, places, out_size, height * width, y.reshape(-1),
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

    Returns
    -------
    ndarray
        (N, C, OH, OW) or (N, OH, OW, C), as in `max_pool2d`, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`.

    Examples
    --------
    >>> avg_pool2d(np.arange(8.0).reshape(1, 1, 2, 4), (2, 2), (2, 2))
    array([[[[2.5, 4.5]]]])
    """
    _check_dtype("avg_pool2d", x=x)
    out_h, out_w = window_counts("avg_pool2d", x.shape, window, stride, padding, layout)
    last = layout == "NHWC"
    n, c, height, width = image_sizes("avg_pool2d", x.shape, layout)
    y = np.empty((n, out_h, out_w, c) if last else (n, c, out_h, out_w), x.dtype)
    if y.size == 0:
        return y
    source, out, before = _contiguous(x), y.reshape(-1), (padding[0][0], padding[1][0])
    if not VECTORS:
        after = padding[0][1], padding[1][1]
        blocks, sizes = _blocks(x.shape, (out_h, out_w), layout)
        parallel_for(pooling_plain.average, blocks, source, sizes, window, stride, before, after,
                     count_include_pad, out, grain=1 + GRAIN * blocks // x.size)  # fmt: skip
        return y
    counts = _counts((height, width), (out_h, out_w), window, stride, padding, include_pad=count_include_pad)
    scale = x.dtype.type(1 if counts is not None else 1 / (window[0] * window[1]))
    if last:
        parallel_for(averages_vector.sum_pixels, n * out_h, source, height, width, c, out_h, out_w, window, stride,
                     before, scale, out, grain=1 + GRAIN * n * out_h // x.size)  # fmt: skip
    elif window[1] == width and padding == NONE:
        parallel_for(averages_vector.sum_whole_rows, n * c, source, height * width, out_h, stride[0] * width,
                     window[0] * width, scale, out, grain=1 + GRAIN // (height * width))  # fmt: skip
    elif (window, stride, padding) == PAIRS:
        parallel_for(averages_vector.sum_planes_of_pairs, n * c, source, height, width, out_h, out_w, scale, out,
                     grain=1 + GRAIN // (height * width))  # fmt: skip
    else:
        loop = averages_vector.sum_planes if stride[1] <= 2 else averages_vector.sum_planes_apart
        parallel_for(loop, n * c, source, height, width, out_h, out_w, window, stride, before, scale, out,
                     grain=1 + GRAIN // (height * width))  # fmt: skip
    if counts is not None:
        y /= counts[..., None].astype(x.dtype) if last else counts.astype(x.dtype)
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

    Parameters
    ----------
    g
        Adjoint of the result of `avg_pool2d`, float32 or float64.
    input_shape
        Shape of the images, in the layout.
    window, stride, padding, layout, count_include_pad
        As in `avg_pool2d`.

    Returns
    -------
    ndarray
        Array of `input_shape`, of the dtype of `g`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also if `g` does not have the shape of the result.

    Examples
    --------
    >>> avg_pool2d_gradient(np.array([[[[4.0, 8.0]]]]), (1, 1, 2, 4), (2, 2), (2, 2))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    _check_dtype("avg_pool2d_gradient", g=g)
    out_size = window_counts("avg_pool2d_gradient", input_shape, window, stride, padding, layout)
    check_planes("avg_pool2d_gradient", input_shape, g.shape, layout)
    check_windows("avg_pool2d_gradient", g.shape, out_size, layout)
    gx = np.empty(input_shape, g.dtype)
    if gx.size == 0 or g.size == 0:
        gx[...] = 0
        return gx
    last = layout == "NHWC"
    n, c, height, width = image_sizes("avg_pool2d_gradient", input_shape, layout)
    out, before = gx.reshape(-1), (padding[0][0], padding[1][0])
    if not VECTORS:
        after = padding[0][1], padding[1][1]
        blocks, sizes = _blocks(input_shape, out_size, layout)
        parallel_for(pooling_plain.spread_average, blocks, _contiguous(g), sizes, window, stride, before, after,
                     count_include_pad, out, grain=1 + GRAIN * blocks // gx.size)  # fmt: skip
        return gx
    counts = _counts((height, width), out_size, window, stride, padding, include_pad=count_include_pad)
    scale = g.dtype.type(1 if counts is not None else 1 / (window[0] * window[1]))
    if counts is not None:
        g = g / (counts[..., None].astype(g.dtype) if last else counts.astype(g.dtype))
    values, grain = _contiguous(g), 1 + GRAIN // (height * width)
    if last:
        parallel_for(averages_vector.spread_pixels, n * height, values, height, width, c, *out_size, window, stride,
                     before, scale, out, grain=1 + GRAIN // (width * c))  # fmt: skip
    elif window == (height, width) and padding == NONE:
        parallel_for(averages_vector.spread_whole_rows, n * c, values, height * width, scale, out, grain=grain)
    elif (window, stride, padding) == PAIRS:
        parallel_for(averages_vector.spread_planes_of_pairs, n * c, values, height, width, *out_size, scale, out,
                     grain=grain)  # fmt: skip
    else:
        parallel_for(averages_vector.spread_planes, n * c, values, height, width, *out_size, window, stride, before,
                     scale, out, grain=grain)  # fmt: skip
    return gx


def _counts(size: Pair, out: Pair, window: Pair, stride: Pair, padding: Padding, *, include_pad: bool) -> Any:
    """Return the number of items of the image under each window (OH, OW), or None if windows count as full."""
    if include_pad or padding == NONE:
        return None
    rows, columns = (
        np.minimum(first + window[i], size[i]) - np.maximum(first, 0)
        for i, first in ((i, np.arange(out[i]) * stride[i] - padding[i][0]) for i in range(2))
    )
    return rows[:, None] * columns


def _blocks(shape: tuple[int, ...], out: Pair, layout: str) -> tuple[int, tuple[int, int, int, int, int]]:
    """Return the number of independent blocks, and (height, width, channels per pixel, out height, out width)."""
    if layout == "NHWC":
        return shape[0], (shape[1], shape[2], shape[3], *out)
    return shape[0] * shape[1], (shape[2], shape[3], 1, *out)
