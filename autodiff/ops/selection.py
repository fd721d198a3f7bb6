"""Operations that choose between entries: they mark the entries that they did not choose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Spec, Tracer, constant, elementwise, implements, install_method
from autodiff.core.assignment import copied
from autodiff.core.backend import array_of
from autodiff.core.batching import Batched, all_values, along, each, mapped, spread
from autodiff.core.errors import BatchingError, ShapeOnlyError, describe, missing_rule, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.core.tracer import OUT, concrete
from autodiff.ops.gather import SLOT, position, scatter
from autodiff.ops.indexing import scatter_add
from autodiff.ops.joining import as_array, stack
from autodiff.ops.reductions import NOT_GIVEN

__all__ = ["choose", "clip", "nan_to_num", "partition", "select", "sort", "where"]


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
    return _where(array_of(_array(condition)), _array(x), _array(y))


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = NOT_GIVEN,
    a_max: Any = NOT_GIVEN,
    out: Any = None,
    *,
    min: Any = NOT_GIVEN,  # noqa: A002 - NumPy's names
    max: Any = NOT_GIVEN,  # noqa: A002
    dtype: Any = None,
    **keywords: Any,
) -> Any:
    """Limit values to an interval: the minimum and maximum with its ends, ties and all."""
    if keywords:
        raise missing_rule("np.clip", f" with the keywords {sorted(keywords)}")
    if a_min is NOT_GIVEN and a_max is NOT_GIVEN:
        a_min, a_max = (None if end is NOT_GIVEN else end for end in (min, max))
    elif a_min is NOT_GIVEN or a_max is NOT_GIVEN:
        raise TypeError("np.clip: give both a_min and a_max (one of them may be None), or min= and max=.")
    elif min is not NOT_GIVEN or max is not NOT_GIVEN:
        raise ValueError("np.clip: give a_min and a_max, or min= and max=, not both.")
    a = _array(a)
    if a_min is not None:
        a = np.maximum(a, a_min)
    a = a if a_max is None else np.minimum(a, a_max)
    a = copied(a) if a_min is None and a_max is None and isinstance(a, Tracer) else a
    return a if dtype is None else a.astype(dtype)


# -- order ---------------------------------------------------------------------------------------------------

_argsort = constant(
    lambda a, axis, kind: np.argsort(a, axis=axis, kind=kind),
    name="argsort",
    shape=lambda a, axis, kind: Spec(a.shape or (1,), np.intp),  # as NumPy has it for a number
    batch=along("axis"),
)
_argpartition = constant(
    lambda a, kth, axis, kind: np.argpartition(a, kth, axis=axis, kind=kind),
    name="argpartition",
    shape=lambda a, kth, axis, kind: Spec(a.shape, np.intp),
    batch=along("axis"),
)


def search_rows(a: Any, v: Any, side: str) -> Any:
    """Positions in each row of `a` (B, n) for the values in the same row of `v` (B, m), by bisection of all at once."""
    n = shape_of(a)[-1]
    low: Any = np.zeros(shape_of(v), np.intp)
    high: Any = np.full(shape_of(v), n, np.intp)
    for _ in range(n.bit_length()):
        middle = (low + high) // 2
        entry = np.take_along_axis(a, np.minimum(middle, n - 1), axis=1)
        right = _less(entry, v) if side == "left" else np.logical_not(_less(v, entry))
        right = np.logical_and(right, low < high)
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    return low


def _less(a: Any, b: Any) -> Any:
    """The order of sorted arrays, in which NaN comes last."""
    return np.logical_or(a < b, np.logical_and(np.isnan(b), np.logical_not(np.isnan(a))))


def _batch_searchsorted(call: Any, batched: Any, a: Any, v: Any, side: str) -> Any:
    if not batched[0]:
        return call(a, v, side=side)
    n = shape_of(a)[0]
    v = spread(v, n, batched[1])
    shape = shape_of(v)
    return np.reshape(search_rows(a, np.reshape(v, (n, math.prod(shape[1:]))), side), shape)


_searchsorted = constant(
    lambda a, v, side: np.searchsorted(a, v, side=side),
    name="searchsorted",
    shape=lambda a, v, side: Spec(shape_of(v), np.intp),
    batch=_batch_searchsorted,
)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Positions that sort an array: a constant."""
    if order is not None:
        raise missing_rule("np.argsort", " with the keyword order=")
    if kind is not None and stable is not None:
        raise ValueError("np.argsort: give kind= or stable=, not both.")
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
    if order is not None:
        raise missing_rule("np.argpartition", " with the keyword order=")
    a = _array(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    return _argpartition(a, kth=_known("np.argpartition", kth), axis=axis, kind=kind)


_lexsort = constant(
    lambda *keys, axis: np.lexsort(keys, axis),
    name="lexsort",
    shape=lambda *keys, axis: Spec(shape_of(keys[0]), np.intp),
    batch=each,
)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Positions that sort by several keys: a constant."""
    if any(mapped(k) for k in (keys if isinstance(keys, (list, tuple)) else [keys])):
        return _lexsort(*keys, axis=axis)
    keys = [_known("np.lexsort", k) for k in keys] if isinstance(keys, (list, tuple)) else _known("np.lexsort", keys)
    return np.lexsort(keys, axis)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Positions where values fit into a sorted array: a constant."""
    a = _array(a) if sorter is None else np.take(_array(a), sorter)
    return _searchsorted(a, _array(v), side=side)


_digitize = constant(
    np.digitize,
    name="digitize",
    shape=lambda x, bins, right: Spec(shape_of(x), np.intp),
    batch=each,
)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Which bin each value belongs to: a constant."""
    if dtype_of(x).kind == "c":
        raise TypeError(f"np.digitize: complex numbers have no order ({describe(x)}).")
    if mapped(bins):
        return _digitize(x, bins, right=right)
    edges = np.asarray(_known("np.digitize", bins))
    np.digitize(np.zeros(0), edges)  # NumPy's own errors for edges that are in no order
    side = "left" if right else "right"
    if len(edges) > 1 and edges[0] > edges[-1]:
        return len(edges) - searchsorted(edges[::-1], x, side)
    return searchsorted(edges, x, side)


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
    a, n = position(a) if mapped(a) else np.asarray(_known("np.choose", a)), len(choices)
    known = all_values(a)
    if mode == "raise" and np.any((known < 0) | (known >= n)):
        raise ValueError(f"np.choose: an index is not between 0 and {n - 1}.")
    a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    y = choices[0]
    for i in range(1, n):
        y = np.where(a == i, choices[i], y)
    return np.broadcast_to(y, np.broadcast_shapes(shape_of(a), shape_of(y)))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replace NaN and infinities by numbers, which have no derivative; of a complex number each part by itself."""
    given = x = _array(x)
    if dtype_of(x).kind == "c":
        parts = (nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf) for part in (np.real(x), np.imag(x)))
        y = next(parts) + 1j * next(parts)
        return y if copy or not isinstance(given, Tracer) else OUT[0]("np.nan_to_num with copy=False", y, given)
    info = np.finfo(dtype_of(x))
    x = np.where(np.isnan(x), dtype_of(x).type(nan), x)
    x = np.where(x == np.inf, dtype_of(x).type(info.max if posinf is None else posinf), x)
    x = np.where(x == -np.inf, dtype_of(x).type(info.min if neginf is None else neginf), x)
    return x if copy or not isinstance(given, Tracer) else OUT[0]("np.nan_to_num with copy=False", x, given)


# -- positions and rounding: constants -----------------------------------------------------------------------


def _known(name: str, x: Any) -> Any:
    """Return the plain value of an argument of which only the value counts."""
    x = concrete(_array(x) if isinstance(x, (list, tuple)) else x)
    if isinstance(x, Batched):
        raise x.refuse(name)
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


for _function in (np.nonzero, np.flatnonzero, np.argwhere):
    implements(_function)(_of_known(_function))

_isin = constant(
    np.isin,
    name="isin",
    shape=lambda element, _test_elements, **_how: Spec(shape_of(element), bool),
    batch=each,
)


@implements(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    """Whether elements are among others: a constant."""
    element, test_elements = as_array(_array(element)), as_array(_array(test_elements))
    if not (mapped(element) or mapped(test_elements)):
        element, test_elements = _known("np.isin", element), _known("np.isin", test_elements)
        return np.isin(element, test_elements, assume_unique, invert, kind=kind)
    return _isin(element, test_elements, assume_unique=assume_unique, invert=invert, kind=kind)


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    **keywords: Any,
) -> Any:
    """Different values, each taken from the first entry that has it; positions and counts are constants."""
    ar = _array(ar)
    find: Any = np.unique
    _, index, *rest = find(_known("np.unique", ar), True, return_inverse, return_counts, axis, **keywords)
    values = np.ravel(ar)[index] if axis is None else np.take(ar, index, axis=axis)
    found = (values, *([index] if return_index else []), *rest)
    return found if len(found) > 1 else values


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Sum the weights of each number; they may be traced."""
    if mapped(x):
        return _bincount_of_each(position(x), weights, minlength)
    at = np.asarray(_known("np.bincount", x))
    if weights is None:
        return np.bincount(at, minlength=minlength)
    if shape_of(weights) != at.shape or at.ndim != 1:
        raise ValueError(f"np.bincount: {shape_of(weights)} weights for {at.shape} numbers; both must have one axis.")
    length = len(np.bincount(at, minlength=minlength))
    return scatter_add(weights.astype(np.float64), index=at.astype(np.intp), shape=(length,))


_counts = constant(
    lambda x, length: np.bincount(x, minlength=length),
    name="bincount",
    shape=lambda _x, length: Spec((length,), np.intp),
    batch=each,
)


def _bincount_of_each(at: Any, weights: Any, minlength: int) -> Any:
    """The numbers of each example of a map; the result must have one length for all."""
    known = np.reshape(all_values(at), (-1, shape_of(at)[0]))
    if np.any(known < 0):
        raise ValueError("np.bincount: the numbers must not be negative.")
    lengths = np.maximum(np.max(known, axis=1, initial=-1) + 1, minlength)
    length = int(np.max(lengths, initial=minlength))
    if np.any(lengths != length):
        raise BatchingError(
            f"np.bincount: the results of the examples of a vmap would have {np.min(lengths)} to {length} entries"
            f"{user_line()}. Give minlength={length}, or more, so that they have one length."
        )
    if weights is None:
        return _counts(at, length=length)
    return summed_at(as_array(weights).astype(np.float64), at, length)


def summed_at(weights: Any, at: Any, length: int) -> Any:
    """Sums of the weights at the same position, of positions that may differ between the examples of a map."""
    if isinstance(at, Tracer):
        return scatter(weights, at, pattern=(SLOT,), shape=(length,))
    return scatter_add(weights, index=at, shape=(length,))


def _clip_method(self: Any, min: Any = None, max: Any = None, out: Any = None) -> Any:  # noqa: A002 - NumPy's names
    return clip(self, min, max) if out is None else np.clip(self, min, max, out)


def _argpartition_method(self: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    return argpartition(self, kth, axis, kind, order)


install_method("clip", _clip_method)
install_method("argsort", argsort)
install_method("argpartition", _argpartition_method)
install_method("nonzero", _of_known(np.nonzero))
install_method("searchsorted", searchsorted)
