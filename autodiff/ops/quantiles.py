"""Quantiles and medians: sorted entries, and what lies between two of them. Both the array and `q` may be traced.

The derivative goes to the entries that the result lies between, where several are equal to those that a sort puts
there. A line with NaN gives that NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Spec, Tracer, concrete, constant, implements
from autodiff.core.batching import each
from autodiff.core.errors import missing_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.reductions import as_array, axes_of, flag
from autodiff.ops.repeat import take

__all__ = ["median", "percentile", "quantile"]

#: Hyndman and Fan (1996), "Sample quantiles in statistical packages": plotting positions (alpha, beta).
_CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
_METHODS = (
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation"),
    *_CONTINUOUS,
    *("lower", "higher", "midpoint", "nearest"),
)
#: Methods that give one of the entries.
_ENTRIES = frozenset({"inverted_cdf", "closest_observation", "lower", "higher", "nearest"})


def _between(q: Any, n: Any, method: str) -> tuple[Any, Any, Any]:
    """The two sorted positions around a quantile of `n` entries, not yet clipped, and the weight of the upper one."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        v = (n - 1) * q if method == "linear" else n * q + (alpha + q * (1 - alpha - beta)) - 1
        low = np.floor(v)
        return low, low + 1, v - low
    if method in {"averaged_inverted_cdf", "inverted_cdf"}:
        low = np.floor(n * q - 1)
        exact = np.equal(low, n * q - 1)
        return low, low + 1, np.where(exact, 0.5 if method == "averaged_inverted_cdf" else 0.0, 1.0)
    if method == "closest_observation":  # of two that are equally close, the even one (counted from 1)
        low = np.floor(n * q - 1.5)
        stay = np.logical_and(np.equal(low, n * q - 1.5), np.equal(low % 2, 1))
        return low, low + 1, np.where(stay, 0.0, 1.0)
    low, high = np.floor((n - 1) * q), np.ceil((n - 1) * q)
    if method == "midpoint":
        return low, high, np.where(np.equal(low, high), 0.0, 0.5)
    at = {"lower": low, "higher": high, "nearest": np.round((n - 1) * q)}[method]
    return at, at, np.zeros_like(at)


def _as_lines(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the array with the reduced axes joined as the last, and the shape of a result that keeps them."""
    ndim = len(shape_of(a))
    axes = axes_of(axis, ndim)
    moved = np.moveaxis(a, axes, range(-len(axes), 0))
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape_of(a))])
    outer = shape_of(moved)[: ndim - len(axes)]
    return np.reshape(moved, (*outer, math.prod(shape_of(moved)[len(outer) :]))), kept


def _pick(ordered: Any, at: Any, n: Any) -> Any:
    """Entries at some positions of each line, the axis of the positions first."""
    at = np.clip(at, 0, n - 1).astype(np.intp)
    if len(shape_of(at)) == 1:
        return np.moveaxis(take(ordered, at, axis=-1), -1, 0)
    return np.moveaxis(np.take_along_axis(ordered, np.moveaxis(at, 0, -1), axis=-1), -1, 0)


def _counts(lines: Any) -> Any:
    """How many entries of each line are not NaN, but at least one."""
    return np.maximum(np.sum(np.logical_not(np.isnan(lines)), axis=-1), 1)


def _or_nan(y: Any, ordered: Any) -> Any:
    """Return the result, or the NaN of a line that has one: it is sorted to the end."""
    missing = np.isnan(ordered[..., -1])
    return y if np.any(missing) is np.False_ else np.where(missing, ordered[..., -1], y)


def _quantile(name: str, a: Any, q: Any, axis: Any, method: str, keepdims: Any, weak: bool) -> Any:
    """Quantiles of the lines of an array; of the entries that are not NaN if the name says so."""
    a = as_array(a)
    a = a if isinstance(a, Tracer) else np.asarray(a)
    if dtype_of(a).kind == "c":
        raise TypeError(f"np.{name}: complex numbers have no order.")
    if method not in _METHODS:
        raise ValueError(f"np.{name}: method={method!r} is not one of {', '.join(_METHODS)}.")
    known = concrete(q)
    if not isinstance(known, Tracer) and np.size(known) and not (np.min(known) >= 0 and np.max(known) <= 1):
        raise ValueError(f"np.{name}: quantiles must be between 0 and 1 (percentiles: 100).")
    lines, kept = _as_lines(a, axis)
    outer = shape_of(lines)[:-1]
    flat, n = np.reshape(q, (-1,)), shape_of(lines)[-1]
    if name.startswith("nan"):
        flat, n = np.reshape(flat, (-1,) + (1,) * len(outer)), _counts(lines)
        n = n.astype(dtype_of(q)) if dtype_of(q).kind == "f" else n
    low, high, weight = _between(flat, n, method)
    ordered = np.sort(lines, axis=-1)
    y, above = _pick(ordered, low, n), _pick(ordered, high, n)
    if (weak or method in _ENTRIES) and dtype_of(a).kind == "f":  # a Python number does not change the dtype
        weight = weight.astype(dtype_of(a))
    weight = np.reshape(weight, shape_of(weight) + (1,) * (len(shape_of(y)) - len(shape_of(weight))))
    rise = above - y
    y = np.where(weight >= 0.5, above - rise * (1 - weight), y + rise * weight)
    if not name.startswith("nan"):
        y = _or_nan(y, ordered)
    return np.reshape(y, shape_of(q) + (kept if flag(keepdims) else outer))


def _entries_found(a: Any, q: Any, weights: Any, name: str, axis: Any, method: str) -> Any:
    """Where weighted quantiles stand in their lines, found by NumPy; the quantiles along the first axis."""
    value = getattr(np, name)(a, q, axis=axis, method=method, weights=weights)
    entries, _ = _as_lines(np.asarray(a), axis)
    wanted = np.reshape(value, (-1, *entries.shape[:-1], 1))
    return np.argmax((entries == wanted) | (np.isnan(entries) & np.isnan(wanted)), axis=-1)


_weighted_at = constant(
    _entries_found,
    name="weighted_quantile",
    shape=lambda a, q, _weights, name, axis, method: Spec(
        (math.prod(shape_of(q)), *shape_of(_as_lines(np.broadcast_to(0, shape_of(a)), axis)[0])[:-1]), np.intp
    ),
    batch=each,
)


def _weighted(name: str, a: Any, q: Any, weights: Any, axis: Any, method: str, keepdims: Any) -> Any:
    """Weighted quantiles: each is an entry of its line. Which one is a constant."""
    at = _weighted_at(as_array(a), as_array(q), as_array(weights), name=name, axis=axis, method=method)
    lines, kept = _as_lines(as_array(a), axis)
    outer, n = shape_of(lines)[:-1], shape_of(lines)[-1]
    return np.reshape(_pick(lines, at, n), shape_of(q) + (kept if flag(keepdims) else outer))


def _implement(name: str, scale: float) -> Any:
    """Make `quantile` or `percentile`, or its version that passes over NaN."""

    def function(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = False,
        *,
        weights: Any = None,
        interpolation: Any = None,
    ) -> Any:
        """Quantiles by any of NumPy's methods."""
        if interpolation is not None:
            raise missing_rule(f"np.{name}", " with the keyword interpolation=")
        if weights is not None:
            return _weighted(name, a, q, weights, axis, method, keepdims)
        weak = type(concrete(q)) in {int, float}
        q = as_array(q)
        q = q if isinstance(q, Tracer) else np.asarray(q)
        return _quantile(name, a, q if scale == 1 else q / scale, axis, method, keepdims, weak)

    function.__name__ = name
    return implements(getattr(np, name))(function)


quantile = _implement("quantile", 1)
percentile = _implement("percentile", 100)
_implement("nanquantile", 1)
_implement("nanpercentile", 100)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """Middle of the sorted entries; of two middle ones, the mean."""
    lines, kept = _as_lines(as_array(a), axis)
    n = shape_of(lines)[-1]
    ordered = np.sort(lines, axis=-1)
    middle = slice(max((n - 1) // 2, 0), n // 2 + 1)
    y = ordered[..., n // 2] if n % 2 else np.mean(ordered[..., middle], axis=-1)
    y = _or_nan(y, ordered) if n else y
    return np.reshape(y, kept) if flag(keepdims) else y


@implements(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """Median of the entries that are not NaN; NaN (as NumPy, without its warning) where there is none."""
    lines, kept = _as_lines(as_array(a), axis)
    if not shape_of(lines)[-1]:
        y = np.sum(lines, axis=-1) * np.nan
        return np.reshape(y, kept) if flag(keepdims) else y
    ordered, n = np.sort(lines, axis=-1), _counts(lines)
    below, above = (_pick(ordered, np.expand_dims(i, 0), n)[0] for i in ((n - 1) // 2, n // 2))
    y = below * 0.5 + above * 0.5
    return np.reshape(y, kept) if flag(keepdims) else y
