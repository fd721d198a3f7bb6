"""Methods of ufuncs on traced arrays: ``reduce``, ``accumulate``, ``outer``; ``reduceat`` is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Spec, constant, explicit
from autodiff.core.batching import along
from autodiff.core.errors import missing_rule
from autodiff.core.spec import shape_of
from autodiff.core.tables import UFUNC_METHODS
from autodiff.core.tracer import ufunc_name
from autodiff.ops.reductions import NOT_GIVEN, as_array, flag, masked, reduced_shape, reduction_samples, starting

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
        raise missing_rule(f"{ufunc_name(ufunc)}.reduce", ufunc=True)
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
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims, initial=-np.inf)  # along an axis of length 0 too


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
    np.logaddexp.reduce,
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
        raise missing_rule(f"{ufunc_name(ufunc)}.accumulate", ufunc=True)
    return function(array, axis=axis, dtype=dtype)


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


def _refused(method: str, instead: str) -> Callable[..., Any]:
    def refuse(ufunc: np.ufunc, *_args: Any, **_kwargs: Any) -> Any:
        raise missing_rule(f"{ufunc_name(ufunc)}.{method}", f" ({instead})", ufunc=True)

    return refuse


UFUNC_METHODS["reduce"] = _reduce
UFUNC_METHODS["accumulate"] = _accumulate
UFUNC_METHODS["outer"] = _outer
UFUNC_METHODS["reduceat"] = _refused("reduceat", "reduce the parts of np.split")
