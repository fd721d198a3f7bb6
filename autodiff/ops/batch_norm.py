"""Batch normalisation: each channel of a batch shifted and scaled by its own statistics.

The standardised values y = (x - mean) / sqrt(variance + eps) are one operation. Its tangent is
(t - mean(t) - y mean(y t)) / sqrt(variance + eps), a symmetric linear map of t: the same rule serves both modes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of

__all__ = ["batch_norm", "batch_statistics"]


def _spread(values: Any, axes: tuple[int, ...], ndim: int) -> Any:
    """Return one number for each channel in a shape that broadcasts to the batch."""
    return np.expand_dims(values, axes) if values.ndim != ndim else values


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    return np.mean(x, axis=axes, keepdims=True)


def _rate(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Return 1 / sqrt(variance + eps) of each channel."""
    return 1 / np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)


def _standardised_value(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    if dtype_of(x).kind == "c":
        raise TypeError(f"batch_norm: x must be real, got {describe(x)}.")
    centred = x - _mean(x, axes)
    centred *= 1 / np.sqrt(np.mean(np.square(centred), axis=axes, keepdims=True) + eps)
    return centred


def _through(t: Any, y: Any, x: Any, axes: tuple[int, ...], eps: float) -> Any:
    return (t - _mean(t, axes) - y * _mean(y * t, axes)) * _rate(x, axes, eps)


_standardised = Operation(
    "standardised",
    _standardised_value,
    jvps=(_through,),
    vjps=(_through,),
    samples=lambda rng: [
        Sample((rng.normal(size=shape),), {"axes": axes, "eps": 0.1})
        for shape, axes in (((4, 3), (0,)), ((2, 3, 2, 2), (0, 2, 3)), ((2, 2, 2, 3), (0, 1, 2)), ((5,), (0,)))
    ],
    shape=lambda x, axes, eps: Spec(shape_of(x), dtype_of(x)),
)


def _axes(name: str, x: Any, axis: int) -> tuple[Any, tuple[int, ...], int]:
    """Check a batch; return it, the axes of its statistics, and the number of channels."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    if dtype_of(x).kind != "f":
        raise TypeError(f"{name}: x must be real and floating, got {describe(x)}; convert with x.astype(np.float32).")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    axes = tuple(i for i in range(x.ndim) if i != axis)
    if math.prod(shape_of(x)[i] for i in axes) < 1:
        raise ValueError(f"{name}: there must be at least one number for each channel, got {describe(x)}.")
    return x, axes, shape_of(x)[axis]


def batch_statistics(x: Any, *, axis: int = 1) -> tuple[Any, Any]:
    """Return the mean and the variance of each channel of a batch.

    Parameters
    ----------
    x
        Array of a real floating dtype, such as (N, C) or (N, C, H, W).
    axis
        The axis of the channels: 1, or -1 for channels last.

    Returns
    -------
    mean, variance : array
        (C,) each; the variance is that of the batch, divided by the number of items.

    Raises
    ------
    TypeError, ValueError
        If `x` is not real and floating, or has no numbers.

    Examples
    --------
    >>> batch_statistics(np.array([[1.0, 10.0], [3.0, 10.0]]))
    (array([ 2., 10.]), array([1., 0.]))
    """
    x, axes, _ = _axes("batch_statistics", x, axis)
    return np.mean(x, axis=axes), np.var(x, axis=axes)


def batch_norm(
    x: Any,
    scale: Any = None,
    shift: Any = None,
    *,
    mean: Any = None,
    variance: Any = None,
    eps: float = 1e-5,
    axis: int = 1,
) -> Any:
    """Return `scale * (x - mean) / sqrt(variance + eps) + shift`, channel by channel.

    Parameters
    ----------
    x
        Array of a real floating dtype, such as (N, C) or (N, C, H, W).
    scale, shift
        Arrays (C,), or None for 1 and 0.
    mean, variance
        Statistics (C,) to use, as after training. None, both: those of the batch, as in training; then derivatives go
        through them as well.
    eps
        Added to the variance.
    axis
        The axis of the channels: 1, or -1 for channels last.

    Returns
    -------
    array
        Of the shape of `x`.

    Raises
    ------
    TypeError
        If `x` is not real and floating.
    ValueError
        If there is a mean without a variance, or a shape does not fit.

    Notes
    -----
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift"
    (2015).

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> batch_norm(x, eps=0.0)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> batch_norm(x, mean=np.zeros(2), variance=np.ones(2), shift=np.ones(2), eps=0.0)
    array([[ 2., 11.],
           [ 4., 31.]])
    """
    x, axes, channels = _axes("batch_norm", x, axis)
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither, for the statistics of the batch.")
    for name, value in (("scale", scale), ("shift", shift), ("mean", mean), ("variance", variance)):
        if value is not None and np.shape(value) != (channels,):
            raise ValueError(
                f"batch_norm: {name} must have shape {(channels,)}, one number for each channel, got {describe(value)}."
            )
    if mean is None:
        y = _standardised(x, axes=axes, eps=float(eps))
        y = y if scale is None else y * _spread(scale, axes, x.ndim)
    else:
        rate = 1 / np.sqrt(variance + eps)
        y = (x - _spread(mean, axes, x.ndim)) * _spread(rate if scale is None else rate * scale, axes, x.ndim)
    return y if shift is None else y + _spread(shift, axes, x.ndim)
