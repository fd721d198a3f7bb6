"""Operations that choose between entries: they mark the entries that they did not choose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Spec, Tracer, constant, elementwise, implements, install_method
from autodiff.core.errors import ShapeOnlyError, describe, missing_rule, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import concrete
from autodiff.ops.joining import stack

__all__ = ["choose", "clip", "median", "piecewise", "quantile", "select", "sort", "where"]


def _array(a: Any) -> Any:
    return stack(a) if isinstance(a, (list, tuple)) else a


_where = elementwise(
    np.where,
    None,
    lambda t, _y, _c, _a, _b: t,
    lambda t, _y, _c, _a, _b: t,
    marks=(None, lambda _y, c, _a, _b: np.logical_not(c), lambda _y, c, _a, _b: c != 0),
    linear_args=(1, 2),
    jointly=True,
    name="where",
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose between two arrays; the adjoint of an entry that was not chosen is a structural zero."""
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise ValueError("np.where: give both x and y, or neither.")
    return _where(condition, _array(x), _array(y))


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **keywords: Any) -> Any:
    """Limit values to an interval: the minimum and maximum with its ends, ties and all."""
    low, high = keywords.pop("min", a_min), keywords.pop("max", a_max)
    if keywords or out is not None:
        raise missing_rule("np.clip", f" with the keywords {sorted(keywords) or ['out']}")
    a = _array(a)
    if low is not None:
        a = np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


# -- order ---------------------------------------------------------------------------------------------------

_argsort = constant(
    lambda a, axis, kind: np.argsort(a, axis=axis, kind=kind),
    name="argsort",
    shape=lambda a, axis, kind: Spec(a.shape, np.intp),
)
_searchsorted = constant(
    lambda a, v, side: np.searchsorted(a, v, side=side),
    name="searchsorted",
    shape=lambda a, v, side: Spec(shape_of(v), np.intp),
)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Positions that sort an array: a constant."""
    if order is not None:
        raise missing_rule("np.argsort", " with the keyword order=")
    a = _array(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    return _argsort(a, axis=axis, kind="stable" if stable else kind)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Sorted copy; each entry of the result is one of the argument, which gets its adjoint."""
    a = _array(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, argsort(a, axis, kind, order, stable=stable), axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Partition: entries before and after the k-th, which is in its sorted place."""
    a = _array(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, argpartition(a, kth, axis, kind, order), axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """Positions that partition an array: a constant."""
    return np.argpartition(_known("np.argpartition", a), kth, axis, kind, order)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Positions that sort by several keys: a constant."""
    keys = [_known("np.lexsort", k) for k in keys] if isinstance(keys, (list, tuple)) else _known("np.lexsort", keys)
    return np.lexsort(keys, axis)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Positions where values fit into a sorted array: a constant."""
    a = _array(a) if sorter is None else np.take(_array(a), sorter)
    return _searchsorted(a, _array(v), side=side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Which bin each value belongs to: a constant."""
    return np.digitize(_known("np.digitize", x), _known("np.digitize", bins), right)


# -- quantiles -----------------------------------------------------------------------------------------------


@implements(np.quantile)
def quantile(
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
    """Quantiles by linear interpolation between sorted entries (or one of them: lower, higher, nearest, midpoint)."""
    if out is not None or weights is not None or interpolation is not None:
        raise missing_rule("np.quantile", " with out=, weights= or interpolation=")
    lines, kept = _as_lines(_array(a), axis)
    n = shape_of(lines)[-1]
    at = np.asarray(concrete(q), np.float64) * (n - 1)
    if np.any((at < 0) | (at > n - 1)):
        raise ValueError("np.quantile: quantiles must be between 0 and 1.")
    low, high, weight = _between(at, method)
    ordered = sort(lines)
    below, above = (
        np.moveaxis(np.take(ordered, i, axis=-1), range(-np.ndim(i), 0), range(np.ndim(i))) for i in (low, high)
    )
    weight = np.reshape(weight, np.shape(weight) + (1,) * (len(shape_of(below)) - np.ndim(weight)))
    y = below + (above - below) * weight.astype(np.zeros(0, dtype_of(below)).real.dtype)
    missing = np.any(np.isnan(lines), axis=-1)
    y = np.where(missing, np.asarray(np.nan, dtype_of(y)), y)
    return np.reshape(y, np.shape(q) + kept) if keepdims else y


def _between(at: Any, method: str) -> tuple[Any, Any, Any]:
    """The two sorted positions around each virtual index, and the weight of the upper one."""
    low, high = np.floor(at).astype(np.intp), np.ceil(at).astype(np.intp)
    weights = {
        "linear": at - low,
        "lower": np.zeros_like(at),
        "higher": np.ones_like(at),
        "midpoint": np.full_like(at, 0.5),
        "nearest": np.rint(at) - low,
    }
    if method not in weights:
        raise missing_rule("np.quantile", f" with method={method!r}; {', '.join(weights)} have one")
    return low, high, np.where(low == high, 0.0, weights[method])


def _as_lines(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the array with the reduced axes joined as the last, and the shape of a result that keeps them."""
    ndim = len(shape_of(a))
    axes = tuple(range(ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)
    moved = np.moveaxis(a, axes, range(-len(axes), 0))
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape_of(a))])
    outer = shape_of(moved)[: ndim - len(axes)]
    return np.reshape(moved, (*outer, math.prod(shape_of(moved)[len(outer) :]))), kept


@implements(np.percentile)
def percentile(
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
    """Quantiles in percent."""
    q = np.asarray(concrete(q)) / 100
    return quantile(a, q, axis, out, overwrite_input, method, keepdims, weights=weights, interpolation=interpolation)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """Middle of the sorted entries; of two middle ones, the mean."""
    return quantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


# -- choice --------------------------------------------------------------------------------------------------


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Choose by the first condition that holds."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"np.select: {len(condlist)} conditions for {len(choicelist)} choices.")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = np.where(condition, choice, y)
    return y


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Choose the entry of the array whose number is given."""
    if out is not None:
        raise missing_rule("np.choose", " with the keyword out=")
    a, n = np.asarray(_known("np.choose", a)), len(choices)
    if mode == "raise" and np.any((a < 0) | (a >= n)):
        raise ValueError(f"np.choose: an index is not between 0 and {n - 1}.")
    a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    y = choices[0]
    for i in range(1, n):
        y = np.where(a == i, choices[i], y)
    return np.broadcast_to(y, np.broadcast_shapes(a.shape, shape_of(y)))


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Evaluate functions on the parts of an array where their conditions hold; the last that holds counts."""
    conditions = condlist if isinstance(condlist, (list, tuple)) and np.ndim(condlist[0]) == np.ndim(x) else [condlist]
    conditions = [np.asarray(_known("np.piecewise", c)) for c in conditions]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    elif len(functions) != len(conditions):
        raise ValueError(f"np.piecewise: {len(functions)} functions for {len(conditions)} conditions.")
    y = np.zeros_like(x)
    for condition, f in zip(conditions, functions, strict=True):
        y = np.where(condition, f(x, *args, **kw) if callable(f) else f, y)
    return y.astype(dtype_of(x))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replace NaN and infinities by numbers, which have no derivative."""
    info = np.finfo(np.zeros(0, dtype_of(x)).real.dtype)
    x = np.where(np.isnan(x), np.asarray(nan, dtype_of(x)), x)
    x = np.where(x == np.inf, np.asarray(info.max if posinf is None else posinf, dtype_of(x)), x)
    return np.where(x == -np.inf, np.asarray(info.min if neginf is None else neginf, dtype_of(x)), x)


# -- positions and rounding: constants -----------------------------------------------------------------------


def _known(name: str, x: Any) -> Any:
    """Return the plain value of an argument of which only the value counts."""
    x = concrete(_array(x) if isinstance(x, (list, tuple)) else x)
    if isinstance(x, Tracer):
        raise ShapeOnlyError(
            f"{name}({describe(x)}): the result depends on values, but only shapes and dtypes are known{user_line()}. "
            "Use np.where with a mask instead of positions."
        )
    return x


def _of_known(function: Any) -> Any:
    def on_values(*args: Any, **kwargs: Any) -> Any:
        """Apply NumPy's function to the values: the result is a constant."""
        return function(*[_known(f"np.{function.__name__}", a) for a in args], **kwargs)

    return on_values


for _function in (np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.isin):
    implements(_function)(_of_known(_function))


def _clip_method(self: Any, min: Any = None, max: Any = None, out: Any = None) -> Any:  # noqa: A002 - NumPy's names
    return clip(self, min, max, out)


install_method("clip", _clip_method)
install_method("argsort", argsort)
install_method("nonzero", _of_known(np.nonzero))
install_method("searchsorted", searchsorted)
