"""Batch normalisation on the device: means and variances of channels, and the passes over images that use them.

Images of any rank are taken as blocks (outer, channels, inner) around the channel axis, so that NCHW, NHWC and plain
(N, C) are the same to every kernel of `kernels.cuda.batch_norm_loops`. No atomics.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.cuda.arrays import contiguous, empty, give, receive
from kernels.cuda.batch_norm_loops import (
    THREADS,
    WIDEST,
    add_kernel,
    apply_kernel,
    gradient_kernel,
    merge_kernel,
    statistics_kernel,
    sums_kernel,
)
from kernels.cuda.launch import SIMULATED, Kernel, blocks_for, ceil_div, power_of_two

__all__ = ["batch_norm_apply", "batch_norm_gradient", "batch_norm_statistics", "batch_norm_sums"]

CHAIN = 3 if SIMULATED else 64  # items that a thread adds in the precision of the data, at most
SHORT = 1 if SIMULATED else 8  # items that are worth a thread
ENOUGH_BLOCKS = 2 if SIMULATED else 1024  # channels are cut into parts until there are as many


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
    found = {key: receive(name, key, values) for key, values in numbers.items()}
    for key, values in found.items():
        if values.shape != (channels,) or values.dtype != x.dtype:
            raise ValueError(
                f"{name}: {key} must have shape ({channels},) and dtype {x.dtype}, "
                f"got {values.shape} and {values.dtype}"
            )
    return [contiguous(values) for values in found.values()]


def _sizes(outer: int, channels: int, inner: int) -> tuple[int, ...]:
    """Return the words of the kernels: (outer, channels, inner, lanes, parts, items of a part); no part is empty."""
    lanes = power_of_two(channels, WIDEST) if inner == 1 else 1
    count, along = outer * inner, THREADS // lanes
    least, most = ceil_div(count, along * CHAIN), ceil_div(count, along * SHORT)
    parts = max(1, least, min(most, ceil_div(ENOUGH_BLOCKS, ceil_div(channels, lanes))))
    part = ceil_div(count, parts)
    return outer, channels, inner, lanes, ceil_div(count, part), part


def _launch(name: str, kernel: Kernel, sizes: tuple[int, ...], *arrays: Any) -> None:
    blocks = blocks_for(ceil_div(sizes[1], sizes[3]) * sizes[4], 1)
    kernel.launch(name, blocks, THREADS, *arrays, sizes)


def _two_passes(name: str, kernel: Kernel, last: Kernel, blocks: tuple[int, int, int], *arrays: Any) -> list[Any]:
    """Run a kernel that has two results for each part of each channel, and the one that puts them together."""
    sizes, channels = _sizes(*blocks), blocks[1]
    parts = [empty(name, sizes[4] * channels, np.float64) for _ in range(2)]
    found = [empty(name, channels, arrays[0].dtype) for _ in range(2)]
    _launch(name, kernel, sizes, *arrays, *parts)
    last.launch(name, blocks_for(channels, THREADS), THREADS, *parts, *found, sizes)
    return found


def batch_norm_statistics(x: Any, axis: int = 1) -> tuple[Any, Any]:
    """Return mean and variance of each channel.

    Parameters
    ----------
    x
        Array of any rank on the device, float32 or float64, with at least one number for each channel.
    axis
        The axis of the channels, not negative: 1 for (N, C, H, W), 3 for (N, H, W, C).

    Returns
    -------
    mean, var : array
        (C,), of the dtype of `x`, on the device; the variance is the mean squared deviation.

    Raises
    ------
    TypeError
        If an array lies on the host, or `x` is neither float32 nor float64.
    ValueError
        If there is no such axis, or channels without numbers.
    RuntimeError, MemoryError
        If there is no driver, no device or no room.

    Notes
    -----
    Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983). A block reads its part twice, the
    second time from the cache: deviations are taken from the part's own mean.
    """
    name = "batch_norm_statistics"
    x = receive(name, "x", x)
    blocks = _blocks(name, axis, x)
    if blocks[0] * blocks[2] == 0:
        raise ValueError(f"{name}: images of shape {x.shape} have no numbers in a channel")
    if blocks[1] == 0:
        return give(empty(name, 0, x.dtype)), give(empty(name, 0, x.dtype))
    mean, var = _two_passes(name, statistics_kernel, merge_kernel, blocks, contiguous(x))
    return give(mean), give(var)


def batch_norm_apply(x: Any, mean: Any, scale: Any, shift: Any, axis: int = 1) -> Any:
    """Return (x - mean) * scale + shift, with one mean, scale and shift for each channel.

    Parameters and errors are those of `batch_norm_statistics`; `mean`, `scale` and `shift` are (C,), of the dtype of
    `x`, on the device.
    """
    name = "batch_norm_apply"
    x = receive(name, "x", x)
    blocks = _blocks(name, axis, x)
    numbers = _per_channel(name, x, blocks[1], mean=mean, scale=scale, shift=shift)
    y = empty(name, x.shape, x.dtype)
    if y.size:
        _launch(name, apply_kernel, _sizes(*blocks), contiguous(x), *numbers, y.reshape(-1))
    return give(y)


def batch_norm_sums(g: Any, x: Any, mean: Any, axis: int = 1) -> tuple[Any, Any]:
    """Return the sums of g and of g * (x - mean) over each channel.

    Parameters and errors are those of `batch_norm_statistics`; `g` has the shape and dtype of `x`.
    """
    name = "batch_norm_sums"
    g, x = receive(name, "g", g), receive(name, "x", x)
    blocks = _blocks(name, axis, g, x)
    numbers = _per_channel(name, x, blocks[1], mean=mean)
    if x.size == 0:
        found = [empty(name, blocks[1], x.dtype) for _ in range(2)]
        for total in found:
            total[...] = 0
    else:
        found = _two_passes(name, sums_kernel, add_kernel, blocks, contiguous(g), contiguous(x), *numbers)
    return give(found[0]), give(found[1])


def batch_norm_gradient(g: Any, x: Any, mean: Any, scale: Any, level: Any, slope: Any, axis: int = 1) -> Any:
    """Return (g - level) * scale - (x - mean) * slope, with one number of each for each channel.

    With the channel's variance v, r = 1 / sqrt(v + eps), and n numbers in the channel, ``scale = gamma * r``,
    ``level = sum(g) / n`` and ``slope = scale * r**2 * sum(g * (x - mean)) / n`` this is the adjoint of the images
    that batch normalisation passes on from the adjoint `g` of its result.

    Parameters and errors are those of `batch_norm_sums`.
    """
    name = "batch_norm_gradient"
    g, x = receive(name, "g", g), receive(name, "x", x)
    blocks = _blocks(name, axis, g, x)
    numbers = _per_channel(name, x, blocks[1], mean=mean, scale=scale, level=level, slope=slope)
    gx = empty(name, x.shape, x.dtype)
    if gx.size:
        arrays = contiguous(g), contiguous(x), *numbers, gx.reshape(-1)
        _launch(name, gradient_kernel, _sizes(*blocks), *arrays)
    return give(gx)
