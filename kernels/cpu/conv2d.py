"""Two-dimensional convolution (correlation, as in every deep-learning library) and its two gradients."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from kernels.cpu.conv_blocks import (
    accumulate_weights,
    add_slices,
    correlate,
    pack_filters,
    pack_filters_transposed,
    turn,
)
from kernels.cpu.conv_planar import correlate_planar, plane_shape
from kernels.cpu.gemm import RELU
from kernels.cpu.memory import flat
from kernels.cpu.threads import num_threads, parallel_for
from kernels.cpu.tiles import LANES32, LANES64

__all__ = ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"]

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

ACTIVATIONS = {None: 0, "relu": RELU}
WINDOW_BYTES = 192 * 1024  # of the gathered window: it should stay in the second cache beside a panel of filters
LARGE_FILTERS = 512 * 1024  # bytes; they leave the second cache, so each block of output should be larger
DEPTH, SHALLOW = 400, 128  # terms that a tile sums up before it is written; fewer where the filters are HUGE
HUGE_FILTERS = 4 * 1024 * 1024  # bytes; they come from the third cache or from memory
PIXELS = 1024  # summed up in one register tile of the weight gradient
FLOPS_PER_THREAD = 5e6
FILLED, WHOLE = 0.85, 0.93  # of the lanes of vectors, and of pairs of them, by the pixels of a row
ITEMS_PER_THREAD = 200_000  # of a weight gradient that is turned
FLOPS_PER_PORTION = 4e7  # some 200 us


def conv2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
    layout: str = "NCHW",
    activation: str | None = None,
) -> Any:
    """Return the correlation of images with filters.

    Parameters
    ----------
    x
        Images (N, C, H, W), or (N, H, W, C) in layout NHWC; float32 or float64.
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
    ndarray
        (N, O, OH, OW) or (N, OH, OW, O), with OH = (H + above + below - dilation * (KH - 1) - 1) // stride + 1.

    Raises
    ------
    TypeError
        If dtypes differ or are neither float32 nor float64.
    ValueError
        If ranks, channels, groups or sizes do not fit.

    Notes
    -----
    Direct convolution through a table of offsets: no im2col matrix is made. See `kernels.cpu.conv_blocks`. Rows of the
    filters that lie in the padding are left out: whether a NaN or an infinity there meets its zeros is not specified.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3)))
    array([[[[45., 54.],
             [81., 90.]]]])
    """
    problem = Problem("conv2d", x.shape, w.shape, stride, padding, dilation, groups, layout)
    _check_dtypes("conv2d", x=x, w=w, bias=bias)
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"conv2d: bias must have shape {w.shape[:1]}, one number for each filter, got {bias.shape}")
    if activation not in ACTIVATIONS:
        raise ValueError(f'conv2d: activation must be None or "relu", got {activation!r}')
    out = np.empty(problem.out_shape, x.dtype)
    if out.size == 0:
        return out
    if x.size == 0:  # no channels, or pixels of the padding alone
        out[...] = 0 if bias is None else bias if layout == "NHWC" else bias[:, None, None]
        return np.maximum(out, 0, out=out) if activation else out
    terms = w.size // w.shape[0]
    filters = _panels(problem.groups, problem.channels_out, terms, x.dtype)
    parallel_for(
        pack_filters, filters.shape[0], flat(np.ascontiguousarray(w)), problem.channels_out, problem.channels,
        math.prod(problem.kernel), filters.reshape(-1), grain=max(1, 1_000_000 // max(filters[0].size, 1)),
    )  # fmt: skip
    kh, kw = problem.kernel
    taps = tuple(range(0, kh * dilation[0], dilation[0])), tuple(range(0, kw * dilation[1], dilation[1]))
    bias = np.empty(0, x.dtype) if bias is None else flat(np.ascontiguousarray(bias))
    _correlate(
        x, problem.x_strides, problem.size, problem.channels, filters, taps, (padding[0][0], padding[1][0]),
        problem.stride, bias, out, (*problem.out_strides, 0), problem.out_size, problem.channels_out, groups,
        ACTIVATIONS[activation],
    )  # fmt: skip
    return out


def conv2d_input_gradient(
    g: Any,
    w: Any,
    input_shape: tuple[int, ...],
    *,
    stride: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
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
        Array of `input_shape`. It is also the forward pass of a transposed convolution.

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
    problem = Problem(name, tuple(input_shape), w.shape, stride, padding, dilation, groups, layout)
    _check_dtypes(name, g=g, w=w)
    problem.check_out_shape(g)
    plans = _phases(problem.size, problem.kernel, problem.stride, problem.padding, problem.dilation)
    complete = all(taps for taps, *_ in plans)
    out = (np.empty if complete and g.size else np.zeros)(input_shape, g.dtype)
    if g.size == 0 or out.size == 0:
        return out
    taps, outer = math.prod(problem.kernel), problem.channels_out
    filters = _panels(groups, problem.channels, outer * taps, g.dtype)
    parallel_for(
        pack_filters_transposed, filters.shape[0], flat(np.ascontiguousarray(w)), outer, problem.channels, taps,
        filters.reshape(-1), grain=max(1, 1_000_000 // max(filters[0].size, 1)),
    )  # fmt: skip
    g = np.ascontiguousarray(g)
    n, c, h, width = problem.x_strides
    for chosen, shifts, before, (i, j), size in plans:
        if not chosen:
            continue
        of_phase = filters if len(chosen) == taps else filters.reshape(len(filters), taps, -1)[:, list(chosen)]
        _correlate(
            g, problem.out_strides, problem.out_size, outer, of_phase, shifts, before, (1, 1), np.empty(0, g.dtype),
            out, (n, c, h * stride[0], width * stride[1], i * h + j * width), size, problem.channels, groups, 0,
        )  # fmt: skip
    return out


def conv2d_weight_gradient(
    x: Any,
    g: Any,
    kernel_shape: tuple[int, ...],
    *,
    stride: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
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
        Array of `kernel_shape`.

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
    problem = Problem(name, x.shape, tuple(kernel_shape), stride, padding, dilation, groups, layout)
    _check_dtypes(name, x=x, g=g)
    problem.check_out_shape(g)
    if g.size == 0 or x.size == 0:
        return np.zeros(kernel_shape, x.dtype)
    (kh, kw), channels, channels_out = problem.kernel, problem.channels, problem.channels_out
    rows_out, columns_out = problem.out_size
    span = (kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1
    window_columns = (columns_out - 1) * stride[1] + span[1]
    block_rows = _even(rows_out, max(1, PIXELS // columns_out))
    pixel_step = _pixel_step(channels, x.itemsize)
    pixels = np.arange(block_rows)[:, None] * (stride[0] * window_columns) + np.arange(columns_out) * stride[1]
    runs, taps_first = _runs(problem, dilation, window_columns, pixel_step)
    images = x.shape[0]
    ranges = min(num_threads(), images, max(1, int(2.0 * g.size * math.prod(kernel_shape[1:]) / FLOPS_PER_THREAD)))
    total = np.zeros((ranges, groups, channels * kh * kw, channels_out), x.dtype)
    sizes = (*problem.size, groups, channels, channels_out, padding[0][0], padding[1][0], *stride, *span,
             rows_out, columns_out, block_rows, images, ranges, pixel_step)  # fmt: skip
    parallel_for(
        accumulate_weights, ranges, flat(np.ascontiguousarray(x)), _integers(problem.x_strides),
        flat(np.ascontiguousarray(g)), _integers(problem.out_strides), _integers(pixels.reshape(-1) * pixel_step),
        total.reshape(-1), _integers(sizes), runs,
    )  # fmt: skip
    if ranges > 1:
        parallel_for(add_slices, total[0].size, total.reshape(-1), ranges, grain=ITEMS_PER_THREAD)
    if taps_first:  # rows of the sum are (kh, kw, channel)
        summed = total[0].reshape(groups, kh, kw, channels, channels_out).transpose(0, 4, 3, 1, 2)
        return np.ascontiguousarray(summed).reshape(kernel_shape)
    found, terms = np.empty(kernel_shape, x.dtype), channels * kh * kw
    blocks = groups * -(-channels_out // (LANES64 if x.itemsize == 8 else LANES32))
    parallel_for(
        turn, blocks, total[0].reshape(-1), terms, channels_out, found.reshape(-1),
        grain=max(1, blocks * ITEMS_PER_THREAD // total[0].size),
    )  # fmt: skip
    return found


class Problem:
    """The sizes of one convolution, checked; channels are those of one group."""

    def __init__(
        self, name: str, x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair,
        groups: int, layout: str,
    ) -> None:  # fmt: skip
        if layout not in {"NCHW", "NHWC"}:
            raise ValueError(f'{name}: layout must be "NCHW" or "NHWC", got {layout!r}')
        if len(x) != 4 or len(w) != 4:
            raise ValueError(
                f"{name}: images must have 4 dimensions ({layout}) and filters 4 (O, C / groups, KH, KW), "
                f"got shapes {x} and {w}"
            )
        self.name, self.layout, self.groups = name, layout, groups
        n, c, height, width = x if layout == "NCHW" else (x[0], x[3], x[1], x[2])
        if groups < 1 or c != w[1] * groups or w[0] % groups:
            raise ValueError(
                f"{name}: {c} channels of images {x} in {groups} groups need filters (O, {c} / {groups}, KH, KW), "
                f"O divisible by {groups}, got {w}"
            )
        if min(*stride, *dilation) < 1 or min(w[2:]) < 1:
            raise ValueError(f"{name}: stride {stride}, dilation {dilation} and kernel {w[2:]} must be positive")
        if min(*padding[0], *padding[1]) < 0:
            raise ValueError(f"{name}: padding must be at least 0, got {padding}")
        self.size, self.kernel = (height, width), (w[2], w[3])
        self.channels, self.channels_out = w[1], w[0] // groups
        self.stride, self.dilation = (stride[0], stride[1]), (dilation[0], dilation[1])
        self.padding = (padding[0][0], padding[0][1]), (padding[1][0], padding[1][1])
        sizes = []
        for i, extent in enumerate(self.size):
            padded, span = extent + sum(padding[i]), dilation[i] * (self.kernel[i] - 1) + 1
            if span > padded:
                raise ValueError(f"{name}: the kernel spans {span} pixels, more than the padded images' {padded}")
            sizes.append((padded - span) // stride[i] + 1)
        self.out_size = (sizes[0], sizes[1])
        self.out_shape = self._shape(n, w[0], *self.out_size)
        self.x_strides, self.out_strides = self._strides(c, *self.size), self._strides(w[0], *self.out_size)

    def _shape(self, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        return (n, c, h, w) if self.layout == "NCHW" else (n, h, w, c)

    def _strides(self, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        """Return the strides of a contiguous array, in items, in the order N, C, H, W."""
        return (c * h * w, h * w, w, 1) if self.layout == "NCHW" else (c * h * w, 1, w * c, c)

    def check_out_shape(self, g: Any) -> None:
        if g.shape != self.out_shape:
            raise ValueError(f"{self.name}: expected g of the result's shape {self.out_shape}, got {g.shape}")


def _check_dtypes(name: str, **arrays: Any) -> None:
    dtypes = {key: array.dtype for key, array in arrays.items() if array is not None}
    if len(set(dtypes.values())) > 1 or next(iter(dtypes.values())).char not in "fd":
        listed = ", ".join(f"{key}: {dtype}" for key, dtype in dtypes.items())
        raise TypeError(f"{name}: arrays must be all float32 or all float64, got {listed}; convert with .astype(...)")


def _integers(values: Any) -> Any:
    return np.asarray(values, np.intp)


def _even(count: int, largest: int) -> int:
    """Return the size of equal parts of `count`, none above `largest`."""
    parts = -(-count // min(count, largest))
    return -(-count // parts)


def _panels(groups: int, channels: int, terms: int, dtype: Any) -> Any:
    width = 2 * (LANES64 if dtype.itemsize == 8 else LANES32)
    return np.empty((groups * -(-channels // width), terms, width), dtype)


@functools.lru_cache(maxsize=256)
def _phases(size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> list[tuple[Any, ...]]:
    """Cut the input pixels into those `phase + stride * j`: each is a correlation of the output pixels by itself.

    Each phase is (taps that reach it, their offsets by rows and by columns, offset of the first, phase, pixels).
    """
    lines = []
    for i in range(2):
        line = []
        for phase in range(min(stride[i], size[i])):
            positions = [phase + padding[i][0] - tap * dilation[i] for tap in range(kernel[i])]
            reaching = [(tap, p // stride[i]) for tap, p in enumerate(positions) if p % stride[i] == 0]
            first = min((shift for _, shift in reaching), default=0)
            shifts = tuple(shift - first for _, shift in reaching)
            line.append(([tap for tap, _ in reaching], shifts, -first, phase, -(-(size[i] - phase) // stride[i])))
        lines.append(line)
    plans = []
    for taps_h, shifts_h, before_h, i, rows in lines[0]:
        for taps_w, shifts_w, before_w, j, columns in lines[1]:
            taps = tuple(tap_h * kernel[1] + tap_w for tap_h in taps_h for tap_w in taps_w)
            plans.append((taps, (shifts_h, shifts_w), (before_h, before_w), (i, j), (rows, columns)))
    return plans


def _pixel_step(channels: int, itemsize: int) -> int:
    """Return the distance of two pixels of a window, in items.

    At a multiple of 256 bytes, the pixels under one tile would compete for a few sets of the first cache.
    """
    return channels + 64 // itemsize if channels * itemsize % 256 == 0 else channels


def _runs(problem: Problem, dilation: Pair, window_columns: int, step: int) -> tuple[Any, bool]:
    """Return the contiguous runs of the window that are rows of the sum, and whether their order is (kh, kw, channel).

    Each is (length, offset in the window, first row times its stride, stride between rows, row of the taps).
    """
    (kh, kw), channels, out = problem.kernel, problem.channels, problem.channels_out
    runs = []
    taps_first = channels < 8
    for i in range(kh):
        line = i * dilation[0] * window_columns * step
        if taps_first and dilation[1] == 1:
            runs.append((kw * channels, line, i * kw * channels * out, out, i * dilation[0]))
            continue
        for j in range(kw):
            at, tap = line + j * dilation[1] * step, i * kw + j
            place = (tap * channels * out, out) if taps_first else (tap * out, kh * kw * out)
            runs.append((channels, at, *place, i * dilation[0]))
    return _integers(runs), taps_first


def _correlate(
    x: Any, x_strides: tuple[int, ...], size: Pair, channels: int, filters: Any, taps: Any, before: Pair,
    step: Pair, bias: Any, out: Any, out_strides: tuple[int, ...], out_size: Pair, channels_out: int, groups: int,
    activation: int,
) -> None:  # fmt: skip
    """Run the compiled correlation; `taps` are the offsets of rows and of columns of the filters."""
    function, items, wanted, portion, (strides, table, reach, places, *sizes) = _schedule(
        x_strides, size, channels, taps, before, step, out_strides, out_size, channels_out, groups, len(out),
        x.itemsize, num_threads(),
    )  # fmt: skip
    parallel_for(
        function, items, flat(x if x.flags.c_contiguous else np.ascontiguousarray(x)), strides, filters.reshape(-1),
        table, reach, bias, out.reshape(-1), places, *sizes, activation, grain=-(-items // wanted), portion=portion,
    )  # fmt: skip


@functools.lru_cache(maxsize=256)
def _schedule(
    x_strides: tuple[int, ...], size: Pair, channels: int, taps: tuple[tuple[int, ...], tuple[int, ...]], before: Pair,
    step: Pair, out_strides: tuple[int, ...], out_size: Pair, channels_out: int, groups: int, images: int,
    itemsize: int, threads: int,
) -> tuple[Any, int, int, int, tuple[Any, ...]]:  # fmt: skip
    """Plan a correlation: window offsets of the terms, blocks of rows for the caches and the threads.

    Returns the kernel, the number of blocks, of threads, of blocks in a portion, and the kernel's constant arguments.
    """
    taps_h, taps_w = (_integers(t) for t in taps)
    span = max(taps[0]) + 1, max(taps[1]) + 1
    rows, columns = out_size
    window_columns = (columns - 1) * step[1] + span[1]
    inside = all(
        before[i] <= 0 and (out_size[i] - 1) * step[i] + span[i] - before[i] <= size[i] for i in range(2)
    )  # no padding is touched
    direct = inside and x_strides[1] == 1
    pixel_step = _pixel_step(channels, itemsize)
    if direct and taps_h.size * taps_w.size > 1 and pixel_step != channels:
        direct = False
    line, pixel = (x_strides[2], x_strides[3]) if direct else (window_columns * pixel_step, pixel_step)
    lanes = LANES64 if itemsize == 8 else LANES32
    image_bytes = channels * size[0] * size[1] * itemsize
    planar, flowing = _is_planar(x_strides, out_strides, step, columns, span[1], channels_out, lanes, image_bytes)
    terms = channels * taps_h.size * taps_w.size
    filter_bytes = groups * -(-channels_out // (2 * lanes)) * 2 * lanes * terms * itemsize
    budget = WINDOW_BYTES if filter_bytes < LARGE_FILTERS and not planar else 3 * WINDOW_BYTES
    line_bytes = window_columns * (channels if planar else pixel_step) * itemsize
    largest = max(1, (budget // line_bytes - span[0]) // step[0] + 1)
    flops = 2.0 * images * rows * columns * channels_out * groups * terms
    wanted = min(threads, max(1, int(flops / FLOPS_PER_THREAD)))
    block_rows = _even(rows, min(largest, max(1, rows * images // wanted)))
    pitch, plane = plane_shape(columns, span[1], (block_rows - 1) * step[0] + span[0], lanes, flowing)
    along, down, across = (plane, pitch, 1) if planar else (1, line, pixel)
    table = taps_h[:, None, None] * down + taps_w[:, None] * across + np.arange(channels) * along
    sizes = (*size, groups, channels, channels_out, *before, *step, *span, rows, columns, block_rows, direct,
             pixel_step, SHALLOW if filter_bytes > HUGE_FILTERS else DEPTH)  # fmt: skip
    items = images * -(-rows // block_rows)
    portion = int(items * FLOPS_PER_PORTION / max(flops, 1.0)) + 1
    arguments = (_integers(x_strides), _integers(table.reshape(-1)), taps_h, _integers(out_strides), _integers(sizes))
    if planar:
        return correlate_planar, items, wanted, portion, (*arguments, (pitch, plane, int(flowing)))
    return correlate, items, wanted, portion, arguments


def _is_planar(
    x_strides: tuple[int, ...], out_strides: tuple[int, ...], step: Pair, columns: int, span: int, channels_out: int,
    lanes: int, image_bytes: int,
) -> tuple[bool, bool]:  # fmt: skip
    """Whether vectors run along the pixels of rows, and from one row into the next.

    They do where the output channels do not fill their vectors, and the pixels fill theirs; and also in small images
    whose rows are pairs of vectors, which need not be turned then.
    """
    if x_strides[3] != 1 or out_strides[3] != 1 or x_strides[1] == 1 or out_strides[1] == 1 or step[1] != 1:
        return False, False
    in_rows, in_all = columns / (-(-columns // lanes) * lanes), columns / (columns + span - 1)
    if channels_out > lanes:
        return columns >= WHOLE * -(-columns // (2 * lanes)) * 2 * lanes and image_bytes <= WINDOW_BYTES, False
    flowing = step[0] == 1 and in_all > in_rows
    return max(in_rows, in_all if flowing else 0) >= FILLED, flowing
