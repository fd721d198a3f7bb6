"""Running sums and products, differences, and integration by the trapezoidal rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements, install_method, linear
from autodiff.core.backend import made
from autodiff.core.batching import along
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import concatenate, stack
from autodiff.ops.products import as_array
from autodiff.ops.reductions import _sum_dtype

__all__ = ["cumprod", "cumsum", "diff", "gradient", "trapezoid"]

_axis_index = np.lib.array_utils.normalize_axis_index


def _samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.uniform(0.5, 1.5, size=(2, 3, 4)),), {"axis": 1}),
        Sample((rng.uniform(0.5, 1.5, size=5),), {"axis": 0}),
        Sample((np.zeros((0, 3)),), {"axis": 0}),
    ]


_cumsum = linear(
    np.add.accumulate,
    lambda ct, _y, _x, axis: np.flip(np.cumsum(np.flip(ct, axis), axis), axis),
    name="cumsum",
    structural=True,
    samples=_samples,
    shape=lambda x, axis: Spec(x.shape, _sum_dtype(x)),
    batch=along("axis"),
)


def _recurrence_value(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    """``s[0] = b[0]``, ``s[k] = a[k] * s[k - 1] + b[k]`` along an axis, from its end if `reverse`."""
    shape, dtype = np.shape(b), np.result_type(a, b)
    a, b = (np.moveaxis(v, axis, 0)[:: -1 if reverse else 1] for v in (a, b))
    n = shape[axis]
    out = made(np.empty, b, b.shape, dtype)
    if (
        type(b) is np.ndarray and b.size <= 16 * n and dtype.char in "efdFD"
    ):  # few lines: Python numbers are faster than short arrays
        rows = [v.reshape(n, b.size // max(n, 1)).T.tolist() for v in (a, b)]
        lines = [_recur(p, q) for p, q in zip(*rows, strict=True)]
        out = np.array(lines, dtype).T.reshape(b.shape) if lines else out
    else:
        out[:1] = b[:1]
        for k in range(1, n):
            np.add(a[k] * out[k - 1], b[k], out=out[k, ...])
    return np.moveaxis(out[:: -1 if reverse else 1], 0, axis)


def _recur(a: list[Any], b: list[Any]) -> list[Any]:
    s = b[0] if b else 0.0
    return b[:1] + [s := p * s + q for p, q in zip(a[1:], b[1:], strict=True)]


def _before(x: Any, axis: int, reverse: bool, first: float = 0.0) -> Any:
    """Move each entry one place on (one place back if `reverse`); `first` fills the place that is left."""
    at = (slice(None),) * axis
    shape = shape_of(x)
    end = made(np.full, x, (*shape[:axis], min(shape[axis], 1), *shape[axis + 1 :]), first, dtype_of(x))
    if reverse:
        return concatenate([x[(*at, slice(1, None))], end], axis=axis)
    return concatenate([end, x[(*at, slice(None, -1))]], axis=axis)


def _recurrence_adjoint(ct: Any, a: Any, axis: int, reverse: bool) -> Any:
    """Transpose in `b`: the recurrence in the other direction, with the coefficients one place back."""
    after = _before(a, axis, not reverse)
    return _recurrence(after, np.broadcast_to(ct, shape_of(a)), axis=axis, reverse=not reverse)


#: Linear recurrence of the first order: its derivatives, and those of running products, are recurrences again.
_recurrence: Operation = Operation(
    "recurrence",
    _recurrence_value,
    jvps=(
        lambda t, y, a, _b, axis, reverse: _recurrence(a, t * _before(y, axis, reverse), axis=axis, reverse=reverse),
        lambda t, _y, a, _b, axis, reverse: _recurrence(a, np.broadcast_to(t, shape_of(a)), axis=axis, reverse=reverse),
    ),
    vjps=(
        lambda ct, y, a, _b, axis, reverse: _recurrence_adjoint(ct, a, axis, reverse) * _before(y, axis, reverse),
        lambda ct, _y, a, _b, axis, reverse: _recurrence_adjoint(ct, a, axis, reverse),
    ),
    linear_args=frozenset({1}),
    samples=lambda rng: [
        Sample((rng.uniform(0.5, 1.5, size), rng.normal(size=size)), {"axis": axis, "reverse": reverse})
        for size, axis in (((2, 3, 4), 1), ((5,), 0), ((2, 20), 0), ((0, 2), 0), ((0, 2), 1))
        for reverse in (False, True)
    ],
    shape=lambda a, b, axis, reverse: Spec(b.shape, np.result_type(a.dtype, b.dtype)),
    batch=along("axis"),
)
_cumprod = Operation(
    "cumprod",
    np.multiply.accumulate,
    # y[k] = x[k] y[k - 1], so dy[k] = x[k] dy[k - 1] + y[k - 1] dx[k]. No division, so zeros are no exception.
    jvps=(lambda t, y, x, axis: _recurrence(x, t * _before(y, axis, False, 1.0), axis=axis, reverse=False),),
    vjps=(lambda ct, y, x, axis: _recurrence_adjoint(ct, x, axis, False) * _before(y, axis, False, 1.0),),
    samples=lambda rng: [*_samples(rng), Sample((np.array([0.5, 0.0, 2.0, 0.0, 3.0]),), {"axis": 0})],
    shape=lambda x, axis: Spec(x.shape, _sum_dtype(x)),
    batch=along("axis"),
)


def _prepared(a: Any, axis: Any, dtype: Any) -> tuple[Any, int]:
    a = stack(a) if isinstance(a, (list, tuple)) else a
    if dtype is not None:
        a = a.astype(dtype)
    flat = axis is None or (shape_of(a) == () and axis in {0, -1})  # a scalar has an axis here, as in NumPy
    return (np.ravel(a), 0) if flat else (a, _axis_index(axis, len(shape_of(a))))


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Running sum along an axis."""
    if out is not None:  # of the method: the function comes back without it
        return np.cumsum(a, axis, dtype, out)
    a, axis = _prepared(a, axis, dtype)
    return _cumsum(a, axis=axis)


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Running product along an axis; its derivatives are right through zeros."""
    if out is not None:
        return np.cumprod(a, axis, dtype, out)
    a, axis = _prepared(a, axis, dtype)
    return _cumprod(a, axis=axis)


def _nan_as(fill: float, running: Any) -> Any:
    def ignoring_nan(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Running sum or product that passes over NaN."""
        return running(np.where(np.isnan(a), dtype_of(a).type(fill), a), axis, dtype, out)

    return ignoring_nan


implements(np.nancumsum)(_nan_as(0.0, cumsum))
implements(np.nancumprod)(_nan_as(1.0, cumprod))


def _array_api(running: Any, first: float) -> Any:
    def cumulative(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        """Running sum or product, as the array API standard has it."""
        if axis is None and len(shape_of(x)) > 1:
            raise ValueError(f"axis must be given for an array with {len(shape_of(x))} axes.")
        y = running(x, 0 if axis is None else axis, dtype, out)
        if not include_initial:
            return y
        axis = 0 if axis is None else _axis_index(axis, len(shape_of(y)))
        shape = (*shape_of(y)[:axis], 1, *shape_of(y)[axis + 1 :])
        return concatenate([made(np.full, y, shape, first, dtype_of(y)), y], axis=axis)

    return cumulative


if hasattr(np, "cumulative_sum"):
    implements(np.cumulative_sum)(_array_api(cumsum, 0.0))
    implements(np.cumulative_prod)(_array_api(cumprod, 1.0))


# -- differences ---------------------------------------------------------------------------------------------


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, `n` times."""
    a = stack(a) if isinstance(a, (list, tuple)) else a
    if n < 0:
        raise ValueError(f"np.diff: n must not be negative, but is {n}.")
    axis = _axis_index(axis, len(shape_of(a)))
    line = (*shape_of(a)[:axis], 1, *shape_of(a)[axis + 1 :])
    ends = [x if x is None or shape_of(x) else np.broadcast_to(x, line) for x in (prepend, append)]
    if prepend is not None or append is not None:
        a = concatenate([x for x in (ends[0], a, ends[1]) if x is not None], axis=axis)
    at = (slice(None),) * axis
    for _ in range(n):
        a = a[(*at, slice(1, None))] - a[(*at, slice(None, -1))]
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of the flattened array."""
    d = diff(np.ravel(ary))
    dtype = dtype_of(d)
    parts = [np.ravel(x if x is d else as_array(x).astype(dtype)) for x in (to_begin, d, to_end) if x is not None]
    return concatenate(parts) if len(parts) > 1 else d


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate by the trapezoidal rule; values, points and spacing may be traced."""
    y = stack(y) if isinstance(y, (list, tuple)) else y
    ndim, given = len(shape_of(y)), axis
    axis = _axis_index(axis, ndim)
    if x is None:
        width = dx
    elif len(shape_of(x)) == 1:
        width = np.reshape(np.diff(x), (-1,) + (1,) * (ndim - axis - 1))
    else:
        width = np.diff(x, axis=given)  # the points may have more axes than the values
    at = (slice(None),) * axis
    return np.sum(width * (y[(*at, slice(1, None))] + y[(*at, slice(None, -1))]) / 2.0, axis=given)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences inside, one-sided ones of order 1 or 2 at the edges."""
    ndim = len(shape_of(f))
    axes = tuple(range(ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)
    if edge_order not in {1, 2}:
        raise ValueError(f"np.gradient: edge_order must be 1 or 2, not {edge_order}.")
    spacings = list(varargs) if len(varargs) == len(axes) else [varargs[0] if varargs else 1.0] * len(axes)
    if len(varargs) not in {0, 1, len(axes)}:
        raise TypeError(f"np.gradient: {len(varargs)} spacings for {len(axes)} axes.")
    found = [
        np.moveaxis(_slopes(np.moveaxis(f, i, 0), h, edge_order), 0, i) for i, h in zip(axes, spacings, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


def _slopes(f: Any, h: Any, edge_order: int) -> Any:
    """Slopes along the first axis."""
    n = shape_of(f)[0]
    if n < edge_order + 1:
        raise ValueError(f"np.gradient: an axis of length {n} is too short for edge_order={edge_order}.")
    column = (-1,) + (1,) * (len(shape_of(f)) - 1)
    uneven = len(shape_of(h)) == 1
    d = np.reshape(np.diff(h), column) if uneven else np.broadcast_to(h, (n - 1, *column[1:]))
    rise = f[1:] - f[:-1]
    slope = rise / d  # of each interval
    a, b = d[:-1], d[1:]
    inner = (a * slope[1:] + b * slope[:-1]) / (a + b) if uneven else (f[2:] - f[:-2]) / (2.0 * h)
    first, last = slope[:1], slope[-1:]
    if edge_order == 2:  # extrapolate the slopes of the two outer intervals to the edge
        first = slope[:1] + (slope[:1] - slope[1:2]) * d[:1] / (d[:1] + d[1:2])
        last = slope[-1:] + (slope[-1:] - slope[-2:-1]) * d[-1:] / (d[-1:] + d[-2:-1])
    y = concatenate([first, inner, last], axis=0)
    dtype = dtype_of(f)
    return y if dtype.kind not in "fc" or dtype_of(y) == dtype else y.astype(dtype)  # NumPy keeps the dtype of `f`


install_method("cumsum", cumsum)
install_method("cumprod", cumprod)
