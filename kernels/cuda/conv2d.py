"""Two-dimensional convolution (correlation), its transpose and its gradients on the device, as implicit products.

The matrices of `kernels.cuda.conv_loops` are read from the images while the tiles are multiplied: no im2col matrix is
made. Each result is written by one thread, in one order of additions: two calls give the same bits.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, int64

from kernels.contracts import check_spreading, transposed_problem
from kernels.cuda import conv_loops as loops
from kernels.cuda.arrays import check_dtypes, contiguous, empty, give, receive
from kernels.cuda.gemm import COLUMNS, ROWS, THREADS, product
from kernels.cuda.launch import SIMULATED, Kernel, blocks_for, ceil_div, declare
from kernels.cuda.matmul import ACTIVATIONS, zero_offset
from kernels.geometry import Geometry, channel_axis, convolution_geometry, image_shape, image_size

__all__ = ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient", "conv_transpose2d"]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

NO_PADDING = ((0, 0), (0, 0))
PART = 16 if SIMULATED else 2048  # terms of the weight gradient that are worth a tile of their own
MAX_PARTS = 4 if SIMULATED else 128
ENOUGH_TILES = 4 if SIMULATED else 512  # parts are cut until there are as many tiles
SUM_THREADS = 8 if SIMULATED else 256

forward = product("convolution", loops.filters, loops.windows, loops.store_images, 1, 15, 6)
backward = product(
    "convolution_input_gradient", loops.filters_transposed, loops.result_places, loops.store_images, 3, 15, 6
)
weights = product("convolution_weight_gradient", loops.adjoints, loops.windows_back, loops.store_weights, 5, 15, 1)


def sum_parts(parts, out, count):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(first, out.size, int64(cuda.gridDim.x) * cuda.blockDim.x):
        total = parts[i]
        for part in range(1, count):
            total += parts[part * out.size + i]
        out[i] = total


sum_parts_kernel = declare(sum_parts, "T[] T[] i8")


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
    activation: str | None = None,
) -> Any:
    """Return the correlation of images with filters.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC, on the device; float32 or float64.
    w
        Filters (O, C / groups, KH, KW) in either layout, of the same dtype.
    bias
        Array (O,) added to each output channel.
    stride, dilation
        Pairs of positive integers, for height and width.
    padding
        Zeros added ((above, below), (left, right)).
    groups
        The number of independent parts of the channels; it divides C and O.
    layout
        `"NCHW"` or `"NHWC"`, of images and result.
    activation
        None or `"relu"`.

    Returns
    -------
    array
        (N, O, OH, OW) or (N, OH, OW, O), with OH = (H + above + below - dilation * (KH - 1) - 1) // stride + 1.

    Raises
    ------
    TypeError
        If an array lies on the host, or dtypes differ or are neither float32 nor float64.
    ValueError
        If ranks, channels, groups or sizes do not fit.
    RuntimeError, MemoryError
        If there is no driver, no device or no room.
    """
    name = "conv2d"
    x, w = receive(name, "x", x), receive(name, "w", w)
    bias = None if bias is None else receive(name, "bias", bias)
    geometry, axis = _problem(name, x.shape, w.shape, stride, padding, dilation, groups, layout)
    check_dtypes(name, x=x, w=w, bias=bias)
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"conv2d: bias must have shape {w.shape[:1]}, one number for each filter, got {bias.shape}")
    if activation not in ACTIVATIONS:
        raise ValueError(f'conv2d: activation must be None or "relu", got {activation!r}')
    out = empty(name, image_shape(x.shape[0], w.shape[0], geometry.out, axis), x.dtype)
    if out.size == 0:
        return give(out)
    rows, terms = w.shape[0] // groups, math.prod(w.shape[1:])
    memory, last = out.reshape(-1), int(layout == "NHWC")
    words = (w.shape[0], *geometry.out, last, int(bias is not None), ACTIVATIONS[activation])
    _launch(
        name, forward, (_some(w, memory), _some(x, memory), memory if bias is None else contiguous(bias), memory),
        (rows, x.shape[0] * math.prod(geometry.out), terms, groups), (1, 0), (rows,),
        (x.shape[axis], *_window_words(geometry), last, w.shape[1]), words,
    )  # fmt: skip
    return give(out)


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
        Array of the shape of the result of `conv2d`, on the device.
    w, stride, padding, dilation, groups, layout
        As in `conv2d`.
    input_shape
        The shape of `x`.

    Returns
    -------
    array
        Array of `input_shape`.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `conv2d`; also if `g` does not have the shape of the result.
    """
    name = "conv2d_input_gradient"
    g, w = receive(name, "g", g), receive(name, "w", w)
    geometry, axis = _problem(name, input_shape, w.shape, stride, padding, dilation, groups, layout)
    check_dtypes(name, g=g, w=w)
    _check_result(name, g, input_shape[0], w.shape[0], geometry, axis)
    return _spread(name, g, w, None, input_shape, geometry, axis, groups)


def conv_transpose2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
    activation: str | None = None,
) -> Any:
    """Spread images with filters: the transpose of the `conv2d` that has the same filters and arguments.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC, on the device; float32 or float64.
    w
        Filters (C, O / groups, KH, KW) in either layout, of the same dtype: the channels of `x` come first.
    bias
        Array (O,) added to each channel of the result.
    stride, dilation, groups, layout, activation
        As in `conv2d`.
    padding
        Pixels cut from the result, ((above, below), (left, right)).
    output_padding
        Rows and columns added to the result, below and on the right; smaller than the stride or the dilation.

    Returns
    -------
    array
        (N, O, OH, OW) or (N, OH, OW, O), with
        OH = (H - 1) * stride - above - below + dilation * (KH - 1) + 1 + output_padding.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `conv2d`.

    Notes
    -----
    It is the kernel of `conv2d_input_gradient`, which adds the bias and applies the activation as it writes. Its
    gradients are `conv2d` with the same filters, and `conv2d_weight_gradient` with `x` in the place of the adjoint.
    """
    name = "conv_transpose2d"
    x, w = receive(name, "x", x), receive(name, "w", w)
    bias = None if bias is None else receive(name, "bias", bias)
    geometry, axis = transposed_problem(
        name, x.shape, w.shape, groups, layout,
        stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
    )  # fmt: skip
    check_spreading(name, x, w, bias, groups, activation)
    # Rows that only output_padding asks for have no pixel of x: outside its own size it counts as 0.
    geometry = geometry._replace(out=image_size(x.shape, axis))
    shape = image_shape(x.shape[0], w.shape[1] * groups, geometry.size, axis)
    return _spread(name, x, w, bias, shape, geometry, axis, groups, activation)


def _spread(
    name: str, g: Any, w: Any, bias: Any, shape: tuple[int, ...], geometry: Geometry, axis: int, groups: int,
    activation: str | None = None,
) -> Any:  # fmt: skip
    """Return what `g` adds to images of a shape, with a bias."""
    out = empty(name, shape, g.dtype)
    if out.size == 0:
        return give(out)
    memory, last, taps = out.reshape(-1), int(axis != 1), math.prod(geometry.window)
    filters = w.shape[0] // groups
    _launch(
        name, backward, (_some(w, memory), _some(g, memory), memory if bias is None else contiguous(bias), memory),
        (w.shape[1], shape[0] * math.prod(geometry.size), filters * taps, groups), (1, 0),
        (filters, w.shape[1], taps), (w.shape[0], *_window_words(geometry), last, filters),
        (shape[axis], *geometry.size, last, int(bias is not None), ACTIVATIONS[activation]),
    )  # fmt: skip
    return give(out)


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
        Array of the shape of the result of `conv2d`, on the device.
    kernel_shape
        The shape of `w`, (O, C / groups, KH, KW).

    Returns
    -------
    array
        Array of `kernel_shape`.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `conv2d`; also if `g` does not have the shape of the result.

    Notes
    -----
    The sums over images and places are cut into parts, whose results are added in order by a second kernel.
    """
    name = "conv2d_weight_gradient"
    x, g = receive(name, "x", x), receive(name, "g", g)
    geometry, axis = _problem(name, x.shape, kernel_shape, stride, padding, dilation, groups, layout)
    check_dtypes(name, x=x, g=g)
    _check_result(name, g, x.shape[0], kernel_shape[0], geometry, axis)
    out = empty(name, kernel_shape, x.dtype)
    if out.size == 0:
        return give(out)
    rows, columns = kernel_shape[0] // groups, math.prod(kernel_shape[1:])
    terms = x.shape[0] * math.prod(geometry.out)
    parts = _parts(groups * ceil_div(rows, ROWS) * ceil_div(columns, COLUMNS), terms)
    result, last = out.reshape(-1), int(layout == "NHWC")
    memory = result if parts == 1 else empty(name, parts * out.size, out.dtype)
    _launch(
        name, weights, (_some(g, memory), _some(x, memory), memory, memory), (rows, columns, terms, groups), (1, 1),
        (kernel_shape[0], *geometry.out, last, rows),
        (x.shape[axis], *_window_words(geometry), last, kernel_shape[1]), (0,), parts,
    )  # fmt: skip
    if parts > 1:
        sum_parts_kernel.launch(name, blocks_for(out.size, SUM_THREADS), SUM_THREADS, memory, result, parts)
    return give(out)


def _problem(
    name: str, x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair, groups: int,
    layout: str,
) -> tuple[Geometry, int]:  # fmt: skip
    """Check shapes; return the geometry and the axis of the channels."""
    geometry = convolution_geometry(
        name, x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    return geometry, channel_axis(name, layout)


def _check_result(name: str, g: Any, count: int, channels: int, geometry: Geometry, axis: int) -> None:
    wanted = image_shape(count, channels, geometry.out, axis)
    if g.shape != wanted:
        raise ValueError(f"{name}: g must have the shape of the result of conv2d, {wanted}, got {g.shape}.")


def _window_words(geometry: Geometry) -> tuple[int, ...]:
    """Return (H, W, OH, OW, KH, KW, SH, SW, top, left, DH, DW)."""
    before = geometry.padding[0][0], geometry.padding[1][0]
    return (*geometry.size, *geometry.out, *geometry.window, *geometry.stride, *before, *geometry.dilation)


def _some(x: Any, otherwise: Any) -> Any:
    """Return the items of an array; of an empty one, which has no memory, those of another that is not read."""
    return contiguous(x) if x.size else otherwise


def _parts(tiles: int, terms: int) -> int:
    """Return into how many parts the sums over `terms` are cut."""
    return max(1, min(ceil_div(ENOUGH_TILES, tiles), ceil_div(terms, PART), MAX_PARTS))


def _launch(
    name: str, kernel: Kernel, arrays: tuple[Any, ...], shape: tuple[int, int, int, int], along: tuple[int, int],
    a_words: tuple[int, ...], b_words: tuple[int, ...], out_words: tuple[int, ...], parts: int = 1,
) -> None:  # fmt: skip
    rows, columns, terms, groups = shape
    row_tiles, column_tiles = ceil_div(rows, ROWS), ceil_div(columns, COLUMNS)
    sizes = (rows, columns, terms, groups, row_tiles, column_tiles, parts, max(1, ceil_div(terms, parts)))
    blocks = blocks_for(groups * row_tiles * column_tiles * parts, 1)
    kernel.launch(
        name, blocks, THREADS, *arrays, zero_offset(), zero_offset(), sizes, along, a_words, b_words, out_words
    )
