"""Batch normalisation: means and variances of channels, and the passes over images that use them.

Images of any rank are taken as blocks (outer, channels, inner) around the channel axis, so that NCHW, NHWC and plain
(N, C) are the same to every loop. Sums are taken over blocks that fit into the first cache and merged in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.cpu.jit import kernel
from kernels.cpu.memory import flat
from kernels.cpu.threads import parallel_for

__all__ = ["batch_norm_apply", "batch_norm_gradient", "batch_norm_statistics", "batch_norm_sums"]

GRAIN = 1 << 15  # items that are worth a thread of their own
BLOCK = 1 << 14  # items whose sums are taken in the precision of the data, before they are merged in float64
WIDTH = 256  # rows of fewer channels are taken several at a time: the loops of short rows cost more than their items


# -- loops (over slices: an index that counts from 0 needs no test for negative ones) --------------------------


@kernel(fast=True)
def row_sum(x):
    total = x.dtype.type(0)
    for k in range(x.size):
        total += x[k]
    return total


@kernel(fast=True)
def row_deviations(x, middle):
    """Return the sums of the deviations from `middle`, and of their squares."""
    total, square = x.dtype.type(0), x.dtype.type(0)
    for k in range(x.size):
        gap = x[k] - middle
        total += gap
        square += gap * gap
    return total, square


@kernel(fast=True)
def row_products(g, x, middle):
    """Return the sums of g and of g * (x - middle)."""
    total, product = g.dtype.type(0), g.dtype.type(0)
    for k in range(g.size):
        total += g[k]
        product += g[k] * (x[k] - middle)
    return total, product


@kernel
def corrected(guess, rest, squares, count):
    """Return mean and sum of squared deviations from the sums of deviations, and of their squares, from a guess."""
    return guess + rest / count, max(squares - rest * (rest / count), 0.0)


@kernel
def merge(mean, square, seen, part_mean, part_square, count):
    """Merge means and sums of squared deviations of `seen` and of `count` numbers (Chan, Golub and LeVeque)."""
    gap, total = part_mean - mean, seen + count
    return mean + gap * count / total, square + part_square + gap * gap * seen * count / total


@kernel
def statistics_of_planes(start, stop, x, outer, channels, inner, mean, var):
    """Channels [start, stop): every plane is read twice, the second time from the cache."""
    for c in range(start, stop):
        middle, square = 0.0, 0.0
        for n in range(outer):
            row = x[(n * channels + c) * inner : (n * channels + c + 1) * inner]
            guess = x.dtype.type(row_sum(row) / inner)
            rest, squares = row_deviations(row, guess)
            part, squares = corrected(guess, rest, squares, inner)
            middle, square = merge(middle, square, n * inner, part, squares, inner)
        mean[c] = middle
        var[c] = square / (outer * inner)


@kernel(fast=True)
def add_row(row, totals):
    for c in range(row.size):
        totals[c] += row[c]


@kernel(fast=True)
def add_deviations(row, middles, totals, squares):
    for c in range(row.size):
        gap = row[c] - middles[c]
        totals[c] += gap
        squares[c] += gap * gap


@kernel(fast=True)
def add_products(g, x, middles, totals, products):
    for c in range(g.size):
        totals[c] += g[c]
        products[c] += g[c] * (x[c] - middles[c])


@kernel
def fold(totals, channels, out):
    """Add what several rows side by side have summed."""
    for c in range(channels):
        total = float(totals[c])
        for k in range(c + channels, totals.size, channels):
            total += totals[k]
        out[c] = total


@kernel
def statistics_of_rows(start, stop, x, rows, channels, block, means, squares):
    """Blocks [start, stop) of rows of channels: their means and sums of squared deviations."""
    width = max(WIDTH // channels, 1) * channels
    middles, totals, deviations = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    for b in range(start, stop):
        first, last = b * block, min((b + 1) * block, rows)
        part, count = x[first * channels : last * channels], last - first
        totals[:] = 0
        for at in range(0, part.size, width):
            add_row(part[at : at + width], totals)
        fold(totals, channels, means[b])
        for k in range(width):
            middles[k] = means[b, k % channels] / count
        totals[:] = 0
        deviations[:] = 0
        for at in range(0, part.size, width):
            add_deviations(part[at : at + width], middles, totals, deviations)
        fold(totals, channels, means[b])
        fold(deviations, channels, squares[b])
        for c in range(channels):
            means[b, c], squares[b, c] = corrected(middles[c], means[b, c], squares[b, c], count)


@kernel
def merge_blocks(means, squares, rows, block, mean, var):
    for c in range(mean.size):
        middle, square = means[0, c], squares[0, c]
        for b in range(1, means.shape[0]):
            count = min(block, rows - b * block)
            middle, square = merge(middle, square, b * block, means[b, c], squares[b, c], count)
        mean[c] = middle
        var[c] = square / rows


@kernel
def sums_of_planes(start, stop, g, x, outer, channels, inner, mean, total, product):
    for c in range(start, stop):
        first, second = 0.0, 0.0
        for n in range(outer):
            at, end = (n * channels + c) * inner, (n * channels + c + 1) * inner
            part, moment = row_products(g[at:end], x[at:end], mean[c])
            first += part
            second += moment
        total[c] = first
        product[c] = second


@kernel
def sums_of_rows(start, stop, g, x, rows, channels, block, mean, totals, products):
    """Blocks [start, stop) of rows of channels."""
    width = max(WIDTH // channels, 1) * channels
    middles, first_sum, second_sum = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    for k in range(width):
        middles[k] = mean[k % channels]
    for b in range(start, stop):
        first_sum[:] = 0
        second_sum[:] = 0
        end = min((b + 1) * block, rows) * channels
        for at in range(b * block * channels, end, width):
            to = min(at + width, end)
            add_products(g[at:to], x[at:to], middles, first_sum, second_sum)
        fold(first_sum, channels, totals[b])
        fold(second_sum, channels, products[b])


@kernel(fast=True)
def apply_row(x, middle, slope, level, y):
    for k in range(x.size):
        y[k] = (x[k] - middle) * slope + level


@kernel(fast=True)
def apply_channels(x, mean, scale, shift, y):
    for c in range(x.size):
        y[c] = (x[c] - mean[c]) * scale[c] + shift[c]


@kernel
def apply_planes(start, stop, x, channels, inner, mean, scale, shift, y):
    """Planes [start, stop) of all images and channels."""
    for plane in range(start, stop):
        at, end, c = plane * inner, (plane + 1) * inner, plane % channels
        apply_row(x[at:end], mean[c], scale[c], shift[c], y[at:end])


@kernel
def apply_rows(start, stop, x, width, inner, mean, scale, shift, y):
    """Rows [start, stop) of `width` items, the last one perhaps shorter."""
    for n in range(start, stop):
        at, end = n * width, min((n + 1) * width, x.size)
        apply_channels(x[at:end], mean, scale, shift, y[at:end])


@kernel(fast=True)
def gradient_row(g, x, middle, factor, base, tilt, gx):
    for k in range(g.size):
        gx[k] = (g[k] - base) * factor - (x[k] - middle) * tilt


@kernel(fast=True)
def gradient_channels(g, x, mean, scale, level, slope, gx):
    for c in range(g.size):
        gx[c] = (g[c] - level[c]) * scale[c] - (x[c] - mean[c]) * slope[c]


@kernel
def gradient_planes(start, stop, g, x, channels, inner, mean, scale, level, slope, gx):
    for plane in range(start, stop):
        at, end, c = plane * inner, (plane + 1) * inner, plane % channels
        gradient_row(g[at:end], x[at:end], mean[c], scale[c], level[c], slope[c], gx[at:end])


@kernel
def gradient_rows(start, stop, g, x, width, inner, mean, scale, level, slope, gx):
    for n in range(start, stop):
        at, end = n * width, min((n + 1) * width, x.size)
        gradient_channels(g[at:end], x[at:end], mean, scale, level, slope, gx[at:end])


# -- public ----------------------------------------------------------------------------------------------------


def _blocks(name: str, axis: int, *arrays: Any) -> tuple[int, int, int]:
    """Check images of one shape and dtype; return (outer, channels, inner)."""
    shape, dtype = arrays[0].shape, arrays[0].dtype
    if dtype.char not in "fd" or not dtype.isnative or any(a.dtype != dtype for a in arrays):
        listed = " and ".join(str(a.dtype) for a in arrays)
        raise TypeError(f"{name}: expected arrays of float32 or of float64, got {listed}; convert with .astype(...)")
    if any(a.shape != shape for a in arrays):
        raise ValueError(f"{name}: expected arrays of one shape, got {' and '.join(str(a.shape) for a in arrays)}")
    if not 0 <= axis < len(shape):
        raise ValueError(f"{name}: arrays of shape {shape} have no axis {axis}")
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _per_channel(name: str, x: Any, channels: int, **numbers: Any) -> list[Any]:
    """Check one number for each channel, of the dtype of the images."""
    for key, values in numbers.items():
        if values.shape != (channels,) or values.dtype != x.dtype:
            raise ValueError(
                f"{name}: {key} must have shape ({channels},) and dtype {x.dtype}, "
                f"got {values.shape} and {values.dtype}"
            )
    return [flat(np.ascontiguousarray(values)) for values in numbers.values()]


def _contiguous(x: Any) -> Any:
    return flat(np.ascontiguousarray(x))


def _blocks_of_rows(rows: int, channels: int) -> tuple[int, Any, Any]:
    """Return the number of rows in a block, and two arrays for what the blocks sum."""
    block = max(BLOCK // channels, 1)
    shape = (-(-rows // block), channels)
    return block, np.empty(shape), np.empty(shape)


def _passes(
    planes: Any, rows: Any, outer: int, channels: int, inner: int, numbers: list[Any]
) -> tuple[Any, int, int, list[Any]]:
    """Return the loop for one pass, how often it turns, the length of its rows, and the numbers of their channels."""
    if inner > 1:
        return planes, outer * channels, channels, numbers
    several = min(max(WIDTH // channels, 1), outer)
    if several > 1:
        numbers = [np.tile(values, several) for values in numbers]
    return rows, -(-outer // several), several * channels, numbers


def batch_norm_statistics(x: Any, axis: int = 1) -> tuple[Any, Any]:
    """Return mean and variance of each channel.

    Parameters
    ----------
    x
        Array of any rank, float32 or float64, with at least one number for each channel.
    axis
        The axis of the channels, not negative: 1 for (N, C, H, W), 3 for (N, H, W, C).

    Returns
    -------
    mean, var : ndarray
        (C,), of the dtype of `x`; the variance is the mean squared deviation.

    Raises
    ------
    TypeError
        If `x` is neither float32 nor float64.
    ValueError
        If there is no such axis, or channels without numbers.

    Notes
    -----
    Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983).

    Examples
    --------
    >>> mean, var = batch_norm_statistics(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> mean, var
    (array([ 2., 20.]), array([  1., 100.]))
    """
    outer, channels, inner = _blocks("batch_norm_statistics", axis, x)
    if outer * inner == 0:
        raise ValueError(f"batch_norm_statistics: images of shape {x.shape} have no numbers in a channel")
    mean, var = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    if inner > 1 or channels == 0:
        parallel_for(statistics_of_planes, channels, _contiguous(x), outer, channels, inner, mean, var,
                     grain=1 + GRAIN // (outer * inner))  # fmt: skip
        return mean, var
    block, means, squares = _blocks_of_rows(outer, channels)
    parallel_for(statistics_of_rows, len(means), _contiguous(x), outer, channels, block, means, squares,
                 grain=GRAIN // BLOCK)  # fmt: skip
    merge_blocks(means, squares, outer, block, mean, var)
    return mean, var


def batch_norm_apply(x: Any, mean: Any, scale: Any, shift: Any, axis: int = 1) -> Any:
    """Return (x - mean) * scale + shift, with one mean, scale and shift for each channel.

    Parameters and errors are those of `batch_norm_statistics`; `mean`, `scale` and `shift` are (C,), of the dtype of
    `x`.

    Examples
    --------
    >>> batch_norm_apply(
    ...     np.array([[1.0, 10.0], [3.0, 30.0]]), *np.array([[2.0, 20.0], [1.0, 0.1], [0.0, 5.0]])
    ... )
    array([[-1.,  4.],
           [ 1.,  6.]])
    """
    outer, channels, inner = _blocks("batch_norm_apply", axis, x)
    numbers = _per_channel("batch_norm_apply", x, channels, mean=mean, scale=scale, shift=shift)
    y = np.empty(x.shape, x.dtype)
    if y.size:
        loop, count, width, numbers = _passes(apply_planes, apply_rows, outer, channels, inner, numbers)
        parallel_for(loop, count, _contiguous(x), width, inner, *numbers, y.reshape(-1),
                     grain=1 + GRAIN * count // x.size)  # fmt: skip
    return y


def batch_norm_sums(g: Any, x: Any, mean: Any, axis: int = 1) -> tuple[Any, Any]:
    """Return the sums of g and of g * (x - mean) over each channel.

    Parameters and errors are those of `batch_norm_statistics`; `g` has the shape and dtype of `x`.

    Examples
    --------
    >>> batch_norm_sums(np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), np.array([4.0]))
    (array([3.]), array([1.]))
    """
    outer, channels, inner = _blocks("batch_norm_sums", axis, g, x)
    numbers = _per_channel("batch_norm_sums", x, channels, mean=mean)
    if inner == 1 and channels:
        block, totals, products = _blocks_of_rows(outer, channels)
        parallel_for(sums_of_rows, len(totals), _contiguous(g), _contiguous(x), outer, channels, block, *numbers,
                     totals, products, grain=GRAIN // BLOCK)  # fmt: skip
        return totals.sum(axis=0).astype(x.dtype), products.sum(axis=0).astype(x.dtype)
    total, product = np.zeros(channels, x.dtype), np.zeros(channels, x.dtype)
    if x.size:
        parallel_for(sums_of_planes, channels, _contiguous(g), _contiguous(x), outer, channels, inner, *numbers, total,
                     product, grain=1 + GRAIN // (outer * inner))  # fmt: skip
    return total, product


def batch_norm_gradient(g: Any, x: Any, mean: Any, scale: Any, level: Any, slope: Any, axis: int = 1) -> Any:
    """Return (g - level) * scale - (x - mean) * slope, with one number of each for each channel.

    With the channel's variance v, r = 1 / sqrt(v + eps), and n numbers in the channel, ``scale = gamma * r``,
    ``level = sum(g) / n`` and ``slope = scale * r**2 * sum(g * (x - mean)) / n`` this is the adjoint of the images
    that batch normalisation passes on from the adjoint `g` of its result.

    Parameters and errors are those of `batch_norm_sums`.

    Examples
    --------
    >>> batch_norm_gradient(
    ...     np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), *np.array([[4.0], [2.0], [1.5], [0.5]])
    ... )
    array([[-0.5],
           [ 0.5]])
    """
    outer, channels, inner = _blocks("batch_norm_gradient", axis, g, x)
    numbers = _per_channel("batch_norm_gradient", x, channels, mean=mean, scale=scale, level=level, slope=slope)
    gx = np.empty(x.shape, x.dtype)
    if gx.size:
        loop, count, width, numbers = _passes(gradient_planes, gradient_rows, outer, channels, inner, numbers)
        parallel_for(loop, count, _contiguous(g), _contiguous(x), width, inner, *numbers, gx.reshape(-1),
                     grain=1 + GRAIN * count // x.size)  # fmt: skip
    return gx
