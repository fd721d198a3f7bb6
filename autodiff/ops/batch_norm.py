"""Batch normalisation: each channel of a batch shifted and scaled by its own statistics.

With r = 1 / sqrt(variance + eps) and the standardised values h = (x - mean) r, the result is y = scale h + shift. Four
operations are closed under derivatives of every order:

=======================  ====================================================  =====================================
`_normal(x, affine)`     scale h + shift, where `affine` is [scale, shift]     linear in `affine`
`_through(t, x, affine)` scale r (t - mean(t) - h mean(h t))                   linear in `t`, a symmetric map of it
`_sums(g, x)`            [sum(g h), sum(g)] of each channel                    the adjoint of `affine`
`_statistics(x)`         [mean, variance]                                      no derivative: for running averages
=======================  ====================================================  =====================================

The tangent of `_normal` in `x` is `_through`, and so is its adjoint. Float32 and float64 batches go to the compiled
kernels, other dtypes and small batches to plain NumPy. What one step has summed is kept for the next one that asks for
it: the statistics for the backward sweep, and the sums of an adjoint for `affine`, which is asked right after `x`.
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, constant
from autodiff.core.backend import made, on_host
from autodiff.core.batching import size_of, spread
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.compiled import cpu, fits_gpu, gpu, kernels_enabled

__all__ = ["batch_norm", "batch_statistics"]

SMALL, LARGE = 1 << 12, 1 << 16  # items from which kernels pay where they are loaded, and where they must be loaded


def _package(*arrays: Any) -> Any:
    """Return the kernels for arrays, the first of which are images; None where NumPy is as good."""
    x = arrays[0]
    if not on_host(x):
        return gpu() if fits_gpu(*arrays) else None
    if x.size < SMALL or (x.size < LARGE and not kernels_enabled()):
        return None
    return cpu() if x.dtype.char in "fd" and x.dtype.isnative and all(a.dtype == x.dtype for a in arrays) else None


class _Known:
    """What has been summed already, with the arrays that it belongs to; each entry in one piece, for threads."""

    __slots__ = ("statistics", "sums")

    def __init__(self) -> None:
        self.statistics: tuple[Any, Any, Any] = (None, None, None)  # x, mean, variance
        self.sums: tuple[Any, Any, Any, Any] | None = None  # references to g and x, sum(g), sum(g (x - mean))

    def __repr__(self) -> str:
        return "·"

    def take_sums(self, g: Any, x: Any) -> tuple[Any, Any] | None:
        """Return sum(g) and sum(g (x - mean)) once: later the same arrays may hold something else."""
        found, self.sums = self.sums, None
        if found is None or found[0]() is not g or found[1]() is not x:
            return None
        return found[2], found[3]


# -- values on plain arrays ----------------------------------------------------------------------------------


def _spread(values: Any, axis: int, ndim: int) -> Any:
    """Return one number for each channel in a shape that broadcasts to the batch."""
    return np.reshape(values, (*(1,) * axis, -1, *(1,) * (ndim - axis - 1)))


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(ndim) if i != axis)


def _wide(x: Any) -> Any:
    """Return float16 as float32: squares would overflow and sums lose everything."""
    if dtype_of(x).kind == "c":
        raise TypeError(f"batch_norm: x must be real, got {describe(x)}.")
    return x.astype(np.float32) if dtype_of(x).char == "e" else x


def _moments(x: Any, axis: int) -> tuple[Any, Any]:
    """Mean and variance of each channel."""
    if (package := _package(x)) is not None:
        return package.batch_norm_statistics(x, axis)  # type: ignore[no-any-return]
    others, x = _others(x.ndim, axis), _wide(x)
    mean = np.mean(x, axis=others)
    return mean, np.mean(np.square(x - _spread(mean, axis, x.ndim)), axis=others)


def _known_moments(x: Any, axis: int, known: _Known) -> tuple[Any, Any]:
    at, mean, variance = known.statistics
    return (mean, variance) if at is x else _moments(x, axis)


def _statistics_value(x: Any, axis: int, known: _Known) -> Any:
    mean, variance = _moments(x, axis)
    known.statistics = x, mean, variance
    return np.stack([mean, variance]).astype(dtype_of(x), copy=False)


def _normal_value(x: Any, affine: Any, axis: int, eps: float, known: _Known) -> Any:
    mean, variance = _known_moments(x, axis, known)
    return _applied(x, mean, affine[0] / np.sqrt(variance + eps), affine[1], axis)


def _applied(x: Any, mean: Any, scale: Any, shift: Any, axis: int) -> Any:
    """(x - mean) scale + shift."""
    if (package := _package(x, mean, scale, shift)) is not None:
        return package.batch_norm_apply(x, mean, scale, shift, axis)
    dtype = np.result_type(dtype_of(x), dtype_of(shift))
    mean, scale, shift = (_spread(a, axis, x.ndim) for a in (mean, scale, shift))
    return ((_wide(x) - mean) * scale + shift).astype(dtype, copy=False)


def _summed(g: Any, x: Any, mean: Any, axis: int) -> tuple[Any, Any]:
    """sum(g) and sum(g (x - mean)) of each channel."""
    if (package := _package(x, g, mean)) is not None:
        return package.batch_norm_sums(g, x, mean, axis)  # type: ignore[no-any-return]
    others, g = _others(x.ndim, axis), _wide(g)
    return np.sum(g, axis=others), np.sum(g * (_wide(x) - _spread(mean, axis, x.ndim)), axis=others)


def _through_value(t: Any, x: Any, affine: Any, axis: int, eps: float, known: _Known) -> Any:
    mean, variance = _known_moments(x, axis, known)
    rate = 1 / np.sqrt(variance + eps)
    total, product = _summed(t, x, mean, axis)
    known.sums = weakref.ref(t), weakref.ref(x), total, product
    scale = affine[0] * rate
    n = float(x.size // mean.size) if x.size else 1.0
    level, slope = total / n, scale * rate * rate * product / n
    if (package := _package(x, t, mean, scale, level, slope)) is not None:
        return package.batch_norm_gradient(t, x, mean, scale, level, slope, axis)
    dtype = np.result_type(dtype_of(t), dtype_of(x), dtype_of(affine))
    mean, scale, level, slope = (_spread(a, axis, x.ndim) for a in (mean, scale, level, slope))
    return ((_wide(t) - level) * scale - (_wide(x) - mean) * slope).astype(dtype, copy=False)


def _sums_value(g: Any, x: Any, axis: int, eps: float, known: _Known) -> Any:
    mean, variance = _known_moments(x, axis, known)
    total, product = known.take_sums(g, x) or _summed(g, x, mean, axis)
    dtype = np.result_type(dtype_of(g), dtype_of(x))
    return np.stack([product / np.sqrt(variance + eps), total]).astype(dtype, copy=False)


# -- operations ----------------------------------------------------------------------------------------------


def _batches(rng: np.random.Generator) -> list[tuple[Any, dict[str, Any]]]:
    shapes = (((4, 3), 1), ((2, 3, 2, 2), 1), ((2, 2, 2, 3), 3), ((5,), 0), ((2, 8, 150), 1))
    return [(rng.normal(size=shape), {"axis": axis, "eps": 0.1, "known": _Known()}) for shape, axis in shapes]


def _unit(x: Any, axis: int) -> Any:
    """Scale 1 and shift 0."""
    channels, dtype = shape_of(x)[axis], dtype_of(x)
    return np.stack([made(np.ones, x, channels, dtype), made(np.zeros, x, channels, dtype)])


def _moment_rows(w: Any, t: Any, x: Any, **at: Any) -> Any:
    """[sum(w h'), 0] where h' is the tangent of h along t."""
    first = np.sum(w * _through(t, x, _unit(x, at["axis"]), **at), axis=_others(len(shape_of(x)), at["axis"]))
    return np.stack([first, np.zeros_like(first)])


def _curved(z: Any, _y: Any, t: Any, x: Any, affine: Any, **at: Any) -> Any:
    """Derivative of `_through` in x along z: symmetric in z and the adjoint, so the rule of both modes."""
    others = _others(len(shape_of(x)), at["axis"])

    def mean(a: Any) -> Any:
        return np.mean(a, axis=others, keepdims=True)

    h = _normal(x, _unit(x, at["axis"]), **at)
    rate = 1 / np.sqrt(np.var(x, axis=others, keepdims=True) + at["eps"])
    u, v = _through(t, x, affine, **at), _through(z, x, affine, **at)
    return -rate * (h * mean(z * u) + mean(h * t) * v + mean(h * z) * u)


# -- many examples: the channels of all examples are channels of one -----------------------------------------


def _merged(x: Any, axis: int) -> Any:
    """(B, ...) as one batch whose channels are those of all examples, one after another."""
    x = np.moveaxis(x, 0, axis)
    shape = shape_of(x)
    return np.reshape(x, (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def _parted(y: Any, n: int, axis: int, channels: int) -> Any:
    shape = shape_of(y)
    return np.moveaxis(np.reshape(y, (*shape[:axis], n, channels, *shape[axis + 1 :])), axis, 0)


def _many(*rows: bool, result: bool = False) -> Any:
    """Batching rule; `rows` says which arguments, and `result` whether the result, are [scale, shift] pairs."""

    def rule(call: Any, batched: Any, *args: Any, axis: int, **params: Any) -> Any:
        n = size_of(batched, args)
        own = [spread(a, n, b) for a, b in zip(args, batched, strict=True)]
        channels = shape_of(own[rows.index(False)])[axis + 1]
        ready = [_merged(a, 1 if row else axis) for a, row in zip(own, rows, strict=True)]
        return _parted(call(*ready, axis=axis, **params), n, 1 if result else axis, channels)

    return rule


def _many_applied(call: Any, batched: Any, x: Any, *numbers: Any, axis: int) -> Any:
    n = size_of(batched, (x, *numbers))
    x = spread(x, n, batched[0])
    own = [np.reshape(spread(a, n, b), (n * shape_of(x)[axis + 1],)) for a, b in zip(numbers, batched[1:], strict=True)]
    return _parted(call(_merged(x, axis), *own, axis=axis), n, axis, shape_of(x)[axis + 1])


_statistics = constant(
    _statistics_value,
    name="batch_norm_statistics",
    shape=lambda x, axis, known: Spec((2, shape_of(x)[axis]), dtype_of(x)),
    batch=_many(False, result=True),
)
_normal: Operation = Operation(
    "batch_norm",
    _normal_value,
    jvps=(
        lambda t, _y, x, affine, **at: _through(t, x, affine, **at),
        lambda t, _y, x, _affine, **at: _normal(x, t, **at),
    ),
    vjps=(
        lambda ct, _y, x, affine, **at: _through(ct, x, affine, **at),
        lambda ct, _y, x, _affine, **at: _sums(ct, x, **at),
    ),
    linear_args=frozenset({1}),
    samples=lambda rng: [Sample((x, rng.normal(size=(2, x.shape[at["axis"]]))), at) for x, at in _batches(rng)],
    shape=lambda x, affine, **at: Spec(shape_of(x), np.result_type(dtype_of(x), dtype_of(affine))),
    batch=_many(False, True),
)
_through: Operation = Operation(
    "batch_norm_through",
    _through_value,
    jvps=(
        lambda z, _y, _t, x, affine, **at: _through(z, x, affine, **at),
        _curved,
        lambda z, _y, t, x, _affine, **at: _through(t, x, z, **at),
    ),
    vjps=(
        lambda ct, _y, _t, x, affine, **at: _through(ct, x, affine, **at),
        _curved,
        lambda ct, _y, t, x, _affine, **at: _moment_rows(ct, t, x, **at),
    ),
    linear_args=frozenset({0, 2}),
    samples=lambda rng: [
        Sample((rng.normal(size=x.shape), x, rng.normal(size=(2, x.shape[at["axis"]]))), at) for x, at in _batches(rng)
    ],
    shape=lambda t, x, affine, **at: Spec(shape_of(x), np.result_type(dtype_of(t), dtype_of(x), dtype_of(affine))),
    batch=_many(False, False, True),
)
_sums: Operation = Operation(
    "batch_norm_sums",
    _sums_value,
    jvps=(
        lambda t, _y, _g, x, **at: _sums(t, x, **at),
        lambda z, _y, g, x, **at: _moment_rows(z, g, x, **at),
    ),
    vjps=(
        lambda ct, _y, _g, x, **at: _normal(x, ct, **at),
        lambda ct, _y, g, x, **at: _through(g, x, ct, **at),
    ),
    linear_args=frozenset({0}),
    samples=lambda rng: [Sample((rng.normal(size=x.shape), x), at) for x, at in _batches(rng)],
    shape=lambda g, x, axis, eps, known: Spec((2, shape_of(x)[axis]), np.result_type(dtype_of(g), dtype_of(x))),
    batch=_many(False, False, result=True),
)


# (x - mean) scale + shift with given numbers for each channel.
_applied_to = Operation(
    "batch_norm_apply",
    _applied,
    jvps=(
        lambda t, _y, _x, _mean, scale, _shift, axis: t * _spread(scale, axis, t.ndim),
        lambda t, _y, _x, _mean, scale, _shift, axis: _spread(-t * scale, axis, len(shape_of(_x))),
        lambda t, _y, x, mean, _scale, _shift, axis: (x - _spread(mean, axis, x.ndim)) * _spread(t, axis, x.ndim),
        lambda t, _y, _x, _mean, _scale, _shift, axis: _spread(t, axis, len(shape_of(_x))),
    ),
    vjps=(
        lambda ct, _y, _x, _mean, scale, _shift, axis: ct * _spread(scale, axis, ct.ndim),
        lambda ct, _y, _x, _mean, scale, _shift, axis: -np.sum(ct, axis=_others(ct.ndim, axis)) * scale,
        lambda ct, _y, x, mean, _scale, _shift, axis: np.sum(
            ct * (x - _spread(mean, axis, x.ndim)), axis=_others(x.ndim, axis)
        ),
        lambda ct, _y, _x, _mean, _scale, _shift, axis: np.sum(ct, axis=_others(ct.ndim, axis)),
    ),
    samples=lambda rng: [
        Sample((x, *rng.normal(size=(3, x.shape[at["axis"]]))), {"axis": at["axis"]}) for x, at in _batches(rng)
    ],
    shape=lambda x, mean, scale, shift, axis: Spec(
        shape_of(x), np.result_type(*map(dtype_of, (x, mean, scale, shift)))
    ),
    batch=_many_applied,
)


# -- public --------------------------------------------------------------------------------------------------


def _checked(name: str, x: Any, axis: int) -> tuple[Any, int]:
    """Check a batch; return it, and the axis of its channels counted from the first."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    if dtype_of(x).kind != "f":
        raise TypeError(f"{name}: x must be real and floating, got {describe(x)}; convert with x.astype(np.float32).")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim, name)
    if math.prod(shape_of(x)[:axis] + shape_of(x)[axis + 1 :]) < 1:
        raise ValueError(f"{name}: there must be at least one number for each channel, got {describe(x)}.")
    return x, axis


def _numbers(name: str, values: Any, channels: int) -> Any:
    """Check one number for each channel."""
    values = values if hasattr(values, "dtype") else np.asarray(values, float)
    if shape_of(values) != (channels,):
        raise ValueError(
            f"batch_norm: {name} must have shape {(channels,)}, one number for each channel, got {describe(values)}."
        )
    return values


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
    x, axis = _checked("batch_statistics", x, axis)
    others = _others(x.ndim, axis)
    return np.mean(x, axis=others), np.var(x, axis=others)


def batch_norm(
    x: Any,
    scale: Any = None,
    shift: Any = None,
    *,
    mean: Any = None,
    variance: Any = None,
    eps: float = 1e-5,
    axis: int = 1,
    return_statistics: bool = False,
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
    return_statistics
        Return the batch's mean and variance as well, for running averages: plain arrays, without derivatives.

    Returns
    -------
    y : array
        Of the shape of `x`.
    mean, variance : array
        (C,) each, only with `return_statistics`.

    Raises
    ------
    TypeError
        If `x` is not real and floating.
    ValueError
        If there is a mean without a variance, a shape does not fit, or statistics are both given and asked for.

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
    x, axis = _checked("batch_norm", x, axis)
    channels = shape_of(x)[axis]
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither, for the statistics of the batch.")
    if mean is not None and return_statistics:
        raise ValueError("batch_norm: mean and variance are given; return_statistics is for those of the batch.")
    scale = made(np.ones, x, channels, dtype_of(x)) if scale is None else _numbers("scale", scale, channels)
    shift = made(np.zeros, x, channels, dtype_of(x)) if shift is None else _numbers("shift", shift, channels)
    if mean is not None:
        mean, variance = _numbers("mean", mean, channels), _numbers("variance", variance, channels)
        return _applied_to(x, mean, scale / np.sqrt(variance + eps), shift, axis=axis)
    known = _Known()
    statistics = _statistics(x, axis=axis, known=known)
    y = _normal(x, np.stack([scale, shift]), axis=axis, eps=float(eps), known=known)
    return (y, statistics[0], statistics[1]) if return_statistics else y
