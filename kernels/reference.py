"""The contracts of the kernels in plain NumPy: for every dtype, and what the compiled kernels are tested against.

The three functions are the partial contractions of one trilinear form: for each tap (i, j) of the kernel, the pixels
under it at all places of the window are a strided slice of the padded images, and

==========================  ===============================
`conv2d`                    ``y += w[i, j] @ pixels``
`conv2d_input_gradient`     ``pixels += w[i, j].T @ g``
`conv2d_weight_gradient`    ``w[i, j] = g @ pixels.T``
==========================  ===============================

with images as (groups, channels, N, H, W), so that each line is one matrix product for each group.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.geometry import Geometry, channel_axis, convolution_geometry, image_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
NO_PADDING = ((0, 0), (0, 0))


def conv2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
) -> Any:
    """Return the correlation of images with filters.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC.
    w
        Filters (O, C / groups, KH, KW) in either layout.
    bias
        Array (O,) added to each output channel.
    stride, dilation
        Pairs of positive integers, for height and width.
    padding
        Zeros added ((above, below), (left, right)).
    groups
        The number of independent parts of the channels; it divides C and O.
    layout
        ``"NCHW"`` or ``"NHWC"``, of images and result.

    Returns
    -------
    ndarray
        (N, O, OH, OW) or (N, OH, OW, O), with ``OH = (H + above + below - dilation * (KH - 1) - 1) // stride + 1``,
        of the promoted dtype. Float16 is summed in float32.

    Raises
    ------
    TypeError, ValueError
        If ranks, channels, groups or sizes do not fit.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3)))
    array([[[[45., 54.],
             [81., 90.]]]])
    """
    geometry = convolution_geometry(
        "conv2d", x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"conv2d: bias must have shape {w.shape[:1]}, one number for each filter, got {bias.shape}.")
    dtype = np.result_type(x, w) if bias is None else np.result_type(x, w, bias)
    axis, work = channel_axis("conv2d", layout), _sums(dtype)
    images = _padded(_by_group(x.astype(work, copy=False), groups, axis), geometry)
    filters = _taps(w.astype(work, copy=False), groups)
    y = np.zeros_like(x, work, shape=(groups, w.shape[0] // groups, x.shape[0], *geometry.out))
    if bias is not None:
        y += bias.astype(work, copy=False).reshape(groups, y.shape[1], 1, 1, 1)
    rows = _rows(y)
    for tap, pixels in _pixels(images, geometry):
        rows += filters[tap] @ _rows(pixels)
    return _images(y, axis).astype(dtype, copy=False)


def conv2d_input_gradient(
    g: Any,
    w: Any,
    input_shape: tuple[int, ...],
    *,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
) -> Any:
    """Return the transpose of `conv2d` in its images: what the adjoint `g` of the result gives for `x`.

    Parameters
    ----------
    g
        Array of the shape of the result of `conv2d`.
    w, stride, padding, dilation, groups, layout
        As in `conv2d`.
    input_shape
        The shape of `x`.

    Returns
    -------
    ndarray
        Array of `input_shape`, of the promoted dtype. It is also the value of a transposed convolution.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also if `g` does not have the shape of the result.

    Examples
    --------
    >>> conv2d_input_gradient(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), (1, 1, 3, 3))
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    name = "conv2d_input_gradient"
    geometry = convolution_geometry(
        name, input_shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    axis = channel_axis(name, layout)
    _check_result(name, g, input_shape[0], w.shape[0], geometry, axis)
    dtype = np.result_type(g, w)
    work = _sums(dtype)
    g = _rows(_by_group(g.astype(work, copy=False), groups, axis))
    filters = _taps(w.astype(work, copy=False), groups)
    images = _padded(np.zeros_like(g, work, shape=(groups, w.shape[1], input_shape[0], *geometry.size)), geometry)
    for tap, pixels in _pixels(images, geometry):
        np.add(pixels, (filters[tap].mT @ g).reshape(pixels.shape), out=pixels)
    (top, _), (left, _) = geometry.padding
    height, width = geometry.size
    return _images(images[..., top : top + height, left : left + width], axis).astype(dtype, copy=False)


def conv2d_weight_gradient(
    x: Any,
    g: Any,
    kernel_shape: tuple[int, ...],
    *,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
) -> Any:
    """Return the transpose of `conv2d` in its filters: what the adjoint `g` of the result gives for `w`.

    Parameters
    ----------
    x, stride, padding, dilation, groups, layout
        As in `conv2d`.
    g
        Array of the shape of the result of `conv2d`.
    kernel_shape
        The shape of `w`, (O, C / groups, KH, KW).

    Returns
    -------
    ndarray
        Array of `kernel_shape`, of the promoted dtype.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also if `g` does not have the shape of the result.

    Examples
    --------
    >>> conv2d_weight_gradient(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)), (1, 1, 2, 2))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    name = "conv2d_weight_gradient"
    geometry = convolution_geometry(
        name, x.shape, kernel_shape, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    axis = channel_axis(name, layout)
    _check_result(name, g, x.shape[0], kernel_shape[0], geometry, axis)
    dtype = np.result_type(x, g)
    work = _sums(dtype)
    images = _padded(_by_group(x.astype(work, copy=False), groups, axis), geometry)
    g = _rows(_by_group(g.astype(work, copy=False), groups, axis))
    filters = np.empty_like(x, dtype, shape=(*geometry.window, groups, kernel_shape[0] // groups, kernel_shape[1]))
    for tap, pixels in _pixels(images, geometry):
        filters[tap] = g @ _rows(pixels).mT
    return _contiguous(np.moveaxis(filters, (0, 1), (-2, -1))).reshape(kernel_shape)


# -- arrangements --------------------------------------------------------------------------------------------


def _sums(dtype: Any) -> Any:
    """Return the dtype of the sums: half precision would lose digits that the result can hold."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _by_group(x: Any, groups: int, axis: int) -> Any:
    """Return images as (groups, channels, N, H, W)."""
    x = np.moveaxis(x, axis, 0)
    return x.reshape(groups, x.shape[0] // groups, *x.shape[1:])


def _rows(x: Any) -> Any:
    """Return (groups, channels, N, H, W) as matrices (groups, channels, N * H * W)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _images(x: Any, axis: int) -> Any:
    """Undo `_by_group`, into a contiguous array."""
    return _contiguous(np.moveaxis(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), 0, axis))


def _contiguous(x: Any) -> Any:
    """Return the array in C order, wherever it lives."""
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x.copy()


def _taps(w: Any, groups: int) -> Any:
    """Return filters as (KH, KW, groups, out, in)."""
    return np.moveaxis(w.reshape(groups, w.shape[0] // groups, *w.shape[1:]), (-2, -1), (0, 1))


def _padded(x: Any, geometry: Geometry) -> Any:
    """Return a copy of `x` with zeros around its last two axes."""
    (top, bottom), (left, right) = geometry.padding
    height, width = geometry.size
    y = np.zeros_like(x, shape=(*x.shape[:-2], top + height + bottom, left + width + right))
    y[..., top : top + height, left : left + width] = x
    return y


def _pixels(images: Any, geometry: Geometry) -> Iterator[tuple[Pair, Any]]:
    """Yield each tap of the kernel with a view of the pixels under it, (groups, channels, N, OH, OW)."""
    (step_h, step_w), (rows, columns) = geometry.stride, geometry.out
    for i in range(geometry.window[0]):
        for j in range(geometry.window[1]):
            top, left = i * geometry.dilation[0], j * geometry.dilation[1]
            yield (
                (i, j),
                images[
                    ..., top : top + step_h * (rows - 1) + 1 : step_h, left : left + step_w * (columns - 1) + 1 : step_w
                ],
            )


def _check_result(name: str, g: Any, count: int, channels: int, geometry: Geometry, axis: int) -> None:
    wanted = image_shape(count, channels, geometry.out, axis)
    if g.shape != wanted:
        raise ValueError(f"{name}: g must have the shape of the result of conv2d, {wanted}, got {g.shape}.")
