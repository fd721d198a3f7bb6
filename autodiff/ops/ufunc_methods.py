"""Methods of ufuncs on traced arrays: ``reduce``, ``accumulate``, ``reduceat``, ``outer``.

What has no NumPy function of the same meaning, as ``np.hypot.reduce``, is a Python loop over the entries along an axis.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Spec, constant, explicit
from autodiff.core.batching import along
from autodiff.core.errors import describe, missing_rule
from autodiff.core.spec import shape_of
from autodiff.core.tables import UFUNC_METHODS
from autodiff.core.tracer import ufunc_name
from autodiff.ops.portable import largest, log_of_sum
from autodiff.ops.reductions import (
    NOT_GIVEN,
    as_array,
    axes_of,
    flag,
    masked,
    reduced_shape,
    reduction_samples,
    starting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__: list[str] = []

_REDUCE: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.fmax: np.nanmax,
    np.fmin: np.nanmin,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
_LOGICAL = {np.logical_and, np.logical_or}
_EXTREMA = {np.maximum, np.minimum, np.fmax, np.fmin}
_ACCUMULATE: dict[Any, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}


def _reduce(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any
) -> Any:
    """``ufunc.reduce``: the NumPy function of the same meaning."""
    function = _log_of_sum if ufunc is np.logaddexp else _REDUCE.get(ufunc)
    if function is None:
        return _folded(ufunc, as_array(array), axis, dtype, flag(keepdims), **more)
    initial = more.pop("initial", None)
    if more.get("where") is True:
        del more["where"]
    if dtype is not None and ufunc in _EXTREMA:
        array = as_array(array).astype(dtype)
    elif dtype is not None:
        more["dtype"] = dtype
    if initial is None or initial is NOT_GIVEN:
        return function(array, axis=axis, keepdims=keepdims, **more)
    if ufunc in _LOGICAL:
        return ufunc(function(array, axis=axis, keepdims=keepdims, **more), initial)
    return function(array, axis=axis, keepdims=keepdims, initial=initial, **more)


def _largest(x: Any, axis: Any, keepdims: Any) -> Any:
    return largest(x, axis, -np.inf, keepdims)  # along an axis of length 0 too


_peak = constant(
    _largest,
    name="peak",
    shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), x.dtype),
    batch=along("axis"),
)


def _logsumexp_tangent(t: Any, _y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Sum of the tangents, each times its share of the sum of exponentials; equal infinite terms share equally.

    Any shift leaves the shares the same, so the largest entry, which keeps them accurate, counts as a constant.
    """
    top = _peak(x, axis=axis, keepdims=True)
    whole = np.logical_and(np.isinf(top), np.equal(x, top))  # here x - top would be NaN
    weight = np.exp(np.where(whole, np.zeros_like(x), x - top))
    return np.sum(t * (weight / np.sum(weight, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


_logsumexp = explicit(
    log_of_sum,
    _logsumexp_tangent,
    name="logsumexp",
    samples=lambda rng: [s for s in reduction_samples(rng) if s.args[0].size],
    shape=lambda x, axis, keepdims: Spec(reduced_shape(x.shape, axis, keepdims), x.dtype),
    batch=along("axis"),
)


def _log_of_sum(
    a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """Log of the sum of exponentials, without overflow."""
    a = masked(a, where, -np.inf)
    if dtype is not None:
        a = a.astype(dtype)
    y = _logsumexp(a, axis=axis, keepdims=flag(keepdims))
    return y if initial is None else np.logaddexp(y, starting(initial, y))


def _accumulate(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """``ufunc.accumulate``: running sums, products and extrema."""
    if ufunc in {np.maximum, np.minimum}:
        return _running_extremum(ufunc, array if dtype is None else as_array(array).astype(dtype), axis)
    function = _ACCUMULATE.get(ufunc)
    if function is None:
        array = as_array(array) if dtype is None else as_array(array).astype(dtype)
        parts, axis = _entries(ufunc, "accumulate", array, axis)
        return np.stack(list(itertools.accumulate(parts, ufunc)), axis=axis) if parts else array
    return function(array, axis=axis, dtype=dtype)


# -- folds ---------------------------------------------------------------------------------------------------


#: Functions that are applied to one entry after the other, and what an entry is that changes nothing, if there is one.
_FOLDS: dict[Any, Any] = {
    np.subtract: None,
    np.divide: None,
    np.hypot: 0.0,
    np.logaddexp: -np.inf,
    np.logaddexp2: -np.inf,
    np.logical_xor: False,
    np.fmax: None,
    np.fmin: None,
}


def _entries(ufunc: np.ufunc, method: str, x: Any, axis: Any) -> tuple[list[Any], int]:
    """The slices along an axis, one after the other, and the axis."""
    if ufunc not in _FOLDS:
        raise missing_rule(f"{ufunc_name(ufunc)}.{method}", ufunc=True)
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    moved = np.moveaxis(x, axis, 0)
    return [moved[i] for i in range(shape_of(moved)[0])], axis


def _folded(
    ufunc: np.ufunc, x: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any = NOT_GIVEN, where: Any = True
) -> Any:
    """``ufunc.reduce`` by one call for each entry along the axis; of several axes, one after the other."""
    name, neutral = f"{ufunc_name(ufunc)}.reduce", _FOLDS.get(ufunc)
    x = x if dtype is None else x.astype(dtype)
    axes = axes_of(axis, len(shape_of(x))) if shape_of(x) or isinstance(axis, tuple) else ()
    if neutral is None and (len(axes) > 1 or where is not True):
        raise ValueError(f"{name}: the order counts, so it takes one axis and no where=, not axis={axis!r}.")
    y = x if where is True else masked(x, where, neutral)
    if not axes and not (initial is None or initial is NOT_GIVEN):
        y = ufunc(initial, y)
    for i in axes:
        y = np.expand_dims(_fold(ufunc, name, y, i, neutral, initial), i)
        initial = NOT_GIVEN
    return y if keepdims else np.squeeze(y, axis=axes)


def _fold(ufunc: np.ufunc, name: str, x: Any, axis: int, neutral: Any, initial: Any) -> Any:
    parts, axis = _entries(ufunc, "reduce", x, axis)
    start = neutral if initial is None or initial is NOT_GIVEN else initial
    if start is not None and (start is not neutral or not parts):
        parts = [np.full_like(x, start, shape=shape_of(x)[:axis] + shape_of(x)[axis + 1 :]), *parts]
    if not parts:
        raise ValueError(f"{name}: there is no entry along axis {axis}, and no initial=.")
    return functools.reduce(ufunc, parts)


def _reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """``ufunc.reduceat``: reductions of the parts between positions; of one that does not rise, the entry there."""
    x = as_array(array) if dtype is None else as_array(array).astype(dtype)
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    n, at = shape_of(x)[axis], np.asarray(indices)
    if at.ndim != 1 or at.dtype.kind not in "iu":
        raise TypeError(f"{ufunc_name(ufunc)}.reduceat: the indices must be a vector of integers, not {describe(at)}.")
    if np.any((at < 0) | (at >= n)):
        raise IndexError(f"{ufunc_name(ufunc)}.reduceat: an index is out of bounds for {n} entries along axis {axis}.")
    ends = [*at[1:].tolist(), n][: len(at)]
    before = (slice(None),) * axis
    spans = [(i, j if i < j else i + 1) for i, j in zip(at.tolist(), ends, strict=True)]
    parts = [_reduce(ufunc, x[(*before, slice(i, j))], axis, keepdims=True) for i, j in spans]
    return np.concatenate(parts, axis=axis) if parts else x[(*before, slice(0, 0))]


def _running_extremum(ufunc: np.ufunc, x: Any, axis: int) -> Any:
    """Pairwise extrema with what came 1, 2, 4 ... places before: ties are shared as in `maximum`."""
    if not shape_of(x):
        raise TypeError("cannot accumulate on a scalar")
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    n = shape_of(x)[axis]
    at = (slice(None),) * axis
    step = 1
    while step < n:
        later = ufunc(x[(*at, slice(step, None))], x[(*at, slice(None, n - step))])
        x = np.concatenate([x[(*at, slice(None, step))], later], axis=axis)
        step *= 2
    return x


def _outer(ufunc: np.ufunc, a: Any, b: Any, **keywords: Any) -> Any:
    """``ufunc.outer``: all pairs, by broadcasting."""
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **keywords)


UFUNC_METHODS["reduce"] = _reduce
UFUNC_METHODS["accumulate"] = _accumulate
UFUNC_METHODS["outer"] = _outer
UFUNC_METHODS["reduceat"] = _reduceat
