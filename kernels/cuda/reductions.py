"""Sums, products, extrema and their places over any axes of arrays on the device, without atomics.

Neighbouring axes are one axis to the kernels (`kernels.cuda.reduction_loops`), and groups of axes that do not touch are
reduced one after another, the longest first. Long sums are cut into parts, which further passes add up: float32 sums
are as accurate as pairwise ones, and two calls give the same bits.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from kernels.contracts import reduced_axes
from kernels.cuda.arrays import check_dtypes, contiguous, empty, give, modules, receive
from kernels.cuda.launch import SIMULATED, blocks_for, ceil_div, power_of_two
from kernels.cuda.reduction_loops import ARGUMENTS, REDUCTIONS, ROW_LANES, THREADS

__all__ = ["argmax", "argmin", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum"]

Axis = int | tuple[int, ...] | None

CHAIN = 4 if SIMULATED else 64  # items that one thread adds in a row, at most
SHORT = 2 if SIMULATED else 8  # items that are worth a thread
COLUMN_CHAIN = 4 if SIMULATED else 256
ENOUGH_THREADS = 16 if SIMULATED else 1 << 17  # sums are cut into parts until there are as many threads


def parts_of(outer: int, count: int, inner: int) -> tuple[int, int]:
    """Return into how many parts sums over `count` items are cut, and how many items a part has; none is empty."""
    if inner == 1:
        lanes = power_of_two(count, ROW_LANES)
        least, most, present = ceil_div(count, lanes * CHAIN), ceil_div(count, lanes * SHORT), outer * lanes
    else:
        least, most, present = ceil_div(count, COLUMN_CHAIN), ceil_div(count, SHORT), outer * inner
    parts = max(1, least, min(most, ceil_div(ENOUGH_THREADS, present)))
    part = ceil_div(count, parts)
    return ceil_div(count, part), part


def _pass(name: str, key: str, x: Any, outer: int, count: int, inner: int) -> Any:
    """Reduce the middle of (outer, count, inner), none of them 0; return (outer, inner) items in one dimension."""
    by_rows, by_columns = REDUCTIONS[key]
    while True:
        parts, part = parts_of(outer, count, inner)
        out = empty(name, outer * parts * inner, x.dtype)
        if inner == 1:
            lanes = power_of_two(part, ROW_LANES)
            blocks = blocks_for(outer * parts, THREADS // lanes)
            by_rows.launch(name, blocks, THREADS, x, out, count, parts, part, lanes)
        else:
            by_columns.launch(name, blocks_for(out.size, THREADS), THREADS, x, out, count, inner, parts, part)
        if parts == 1:
            return out
        x, count = out, parts


def _groups(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[list[Any]]:
    """Return the shape as runs [reduced, size] of neighbouring axes; axes of size 1 belong to any run."""
    flags = [(k in axes, n) for k, n in enumerate(shape) if n != 1]
    return [[key, math.prod(n for _, n in run)] for key, run in itertools.groupby(flags, key=lambda f: f[0])]


def _reduce(name: str, key: str, x: Any, axis: Axis, keepdims: bool, start: float | None) -> Any:
    """Reduce over axes; `start` is what nothing reduces to."""
    x = receive(name, "x", x)
    check_dtypes(name, x=x)
    axes, shape = reduced_axes(name, x.shape, axis, keepdims=keepdims)
    if x.size == 0 or not axes:
        return give(_without_items(name, x, axes, shape, start))
    runs, memory = _groups(x.shape, axes), contiguous(x)
    while any(reduced for reduced, _ in runs):
        k = max((k for k, run in enumerate(runs) if run[0]), key=lambda k: runs[k][1])
        outer, inner = math.prod(n for _, n in runs[:k]), math.prod(n for _, n in runs[k + 1 :])
        memory = _pass(name, key, memory, outer, runs[k][1], inner)
        runs[k] = [False, 1]
    result = memory.reshape(shape)
    return give(result.copy() if modules().may_share_memory(result, x) else result)


def _without_items(name: str, x: Any, axes: tuple[int, ...], shape: tuple[int, ...], start: float | None) -> Any:
    """Reduce an array without items, or over no axes."""
    if not axes:
        return x.copy()
    out = empty(name, shape, x.dtype)
    if out.size:
        if start is None:
            raise ValueError(f"{name}: x of shape {x.shape} has no items along the axes {axes}")
        out[...] = start
    return out


def reduce_sum(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the sum over axes, as `numpy.sum`.

    Parameters
    ----------
    x
        Array of any shape on the device, float32 or float64.
    axis
        An axis, several, or None for all; negative ones count from the end.
    keepdims
        Keep the axes, with size 1.

    Returns
    -------
    array
        On the device, of the dtype of `x`. The sum of nothing is 0.

    Raises
    ------
    TypeError
        If `x` lies on the host, or is neither float32 nor float64.
    ValueError
        If an axis does not exist or is named twice.
    RuntimeError, MemoryError
        If there is no driver, no device or no room.
    """
    return _reduce("reduce_sum", "sum", x, axis, keepdims, 0.0)


def reduce_prod(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the product over axes, as `numpy.prod`; that of nothing is 1. Else as `reduce_sum`."""
    return _reduce("reduce_prod", "prod", x, axis, keepdims, 1.0)


def reduce_mean(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the mean over axes, as `numpy.mean`; that of nothing is NaN. Else as `reduce_sum`."""
    x = receive("reduce_mean", "x", x)
    check_dtypes("reduce_mean", x=x)
    axes, _ = reduced_axes("reduce_mean", x.shape, axis, keepdims=keepdims)
    count = math.prod(x.shape[k] for k in axes)
    found = receive("reduce_mean", "x", _reduce("reduce_mean", "sum", give(x), axis, keepdims, np.nan))
    found /= max(count, 1)
    return give(found)


def reduce_max(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the maximum over axes, as `numpy.max`: a NaN is larger than all. Else as `reduce_sum`.

    Raises
    ------
    ValueError
        Also if there are no items along the axes.
    """
    return _reduce("reduce_max", "max", x, axis, keepdims, None)


def reduce_min(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the minimum over axes, as `numpy.min`: a NaN is smaller than all. Else as `reduce_max`."""
    return _reduce("reduce_min", "min", x, axis, keepdims, None)


def _argument(name: str, x: Any, axis: int | None, keepdims: bool, sign: int) -> Any:
    x = receive(name, "x", x)
    check_dtypes(name, x=x)
    if axis is not None and not isinstance(axis, int | np.integer):
        raise TypeError(f"{name}: axis must be one integer or None, got {axis!r}")
    axes, shape = reduced_axes(name, x.shape, axis, keepdims=keepdims)
    out = empty(name, shape, np.int64)
    if out.size == 0:
        return give(out)
    outer, count, inner = 1, x.size, 1
    if axis is not None:
        (k,) = axes
        outer, count, inner = math.prod(x.shape[:k]), x.shape[k], math.prod(x.shape[k + 1 :])
    if count == 0:
        raise ValueError(f"{name}: x of shape {x.shape} has no items along the axes {axes}")
    values, places, first = contiguous(x), out.reshape(-1), 1
    while True:
        parts, part = parts_of(outer, count, inner)
        best = empty(name, outer * parts * inner, x.dtype)
        found = out.reshape(-1) if parts == 1 else empty(name, best.size, np.int64)
        arrays = values, places, best, found, count
        if inner == 1:
            lanes = power_of_two(part, ROW_LANES)
            blocks = blocks_for(best.size, THREADS // lanes)
            ARGUMENTS[0].launch(name, blocks, THREADS, *arrays, parts, part, lanes, sign, first)
        else:
            blocks = blocks_for(best.size, THREADS)
            ARGUMENTS[1].launch(name, blocks, THREADS, *arrays, inner, parts, part, sign, first)
        if parts == 1:
            return give(out)
        values, places, count, first = best, found, parts, 0


def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the place of the first maximum along an axis, or in the flat array, as `numpy.argmax`.

    Parameters
    ----------
    x
        Array of any shape on the device, float32 or float64. A NaN is larger than all.
    axis
        An axis, or None for the place in C order.
    keepdims
        Keep the axis, with size 1 (all axes where `axis` is None).

    Returns
    -------
    array of int64
        On the device.

    Raises
    ------
    TypeError
        If `x` lies on the host or is neither float32 nor float64, or `axis` is not an integer.
    ValueError
        If the axis does not exist, or there are no items along it.
    """
    return _argument("argmax", x, axis, keepdims, 1)


def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the place of the first minimum along an axis, or in the flat array: a NaN is smaller than all.

    Parameters, result and errors are those of `argmax`.
    """
    return _argument("argmin", x, axis, keepdims, -1)
