"""Piecewise linear interpolation, convolution and correlation of sequences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, Tracer, constant, implements, multilinear
from autodiff.core.abstract import AbstractTracer
from autodiff.core.backend import made
from autodiff.core.batching import all_values, pointwise, size_of, spread
from autodiff.core.errors import describe
from autodiff.core.linear import transposed_rule
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.accumulate import add_at
from autodiff.ops.gather import SLOT, scatter
from autodiff.ops.indexing import getitem
from autodiff.ops.products import as_array, conjugated
from autodiff.ops.selection import search_rows

__all__ = ["convolve", "correlate", "interp"]

# -- interpolation -------------------------------------------------------------------------------------------
# Four operations, each linear in its first argument, closed under differentiation: the interpolant of `f` at `x`
# and its slope there, and the transposes of both. With f' the slope: d/dx interp(f) = slope(f); moving the knots
# by t moves the interpolant by -slope(f) * interp(t), and the slope by -slope(f) * slope(t).
# Between two linear pieces the slope is that of the piece on the right; at the last knot, that of the last piece.


def _interval(x: Any, xp: Any) -> tuple[Any, Any, Any, Any]:
    """Index of the piece that holds `x`, its width (inf for a point), the weight of its end, and what is outside."""
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(len(xp) - 2, 0))
    width = xp[np.minimum(i + 1, len(xp) - 1)] - xp[i]
    width = np.where(width == 0, np.inf, width)
    w = np.where(x >= xp[-1], 1.0, np.where(x < xp[0], 0.0, (x - xp[i]) / width))
    return i, width, w, (x < xp[0], x > xp[-1])


def _slope_values(f: Any, x: Any, xp: Any) -> Any:
    i, width, _, (below, above) = _interval(x, xp)
    slope = (f[np.minimum(i + 1, len(xp) - 1)] - f[i]) / width
    return np.where(below | above, 0.0, np.where(np.isnan(x), np.nan, slope))[()]


def _interp_values(f: Any, x: Any, xp: Any, left: bool, right: bool) -> Any:
    return np.interp(x, xp, f, left=0.0 if left else None, right=0.0 if right else None)


def _added(entries: list[tuple[Any, Any]], n: int) -> Any:
    """Sum values into `n` places."""
    y = made(np.zeros, entries[0][1], n, np.result_type(*(v.dtype for _, v in entries)))
    for i, v in entries:
        add_at(y, i, v)
    return y


def _slope_transpose_values(ct: Any, x: Any, xp: Any) -> Any:
    i, width, _, (below, above) = _interval(x, xp)
    part = np.where(below | above, 0.0, np.where(np.isnan(x), np.nan, ct / width))
    return _added([(np.minimum(i + 1, len(xp) - 1), part), (i, -part)], len(xp))


def _interp_transpose_values(ct: Any, x: Any, xp: Any, left: bool, right: bool) -> Any:
    i, _, w, (below, above) = _interval(x, xp)
    ct = np.where((below & left) | (above & right), 0.0, ct)
    return _added([(np.minimum(i + 1, len(xp) - 1), ct * w), (i, ct * (1 - w))], len(xp))


def _value_shape(f: Any, x: Any, xp: Any, **_: Any) -> Spec:
    return Spec(shape_of(x), np.result_type(np.float64, dtype_of(f)))


def _slope_shape(f: Any, x: Any, xp: Any) -> Spec:
    return Spec(shape_of(x), np.result_type(dtype_of(f), dtype_of(x), dtype_of(xp)))


def _knots_shape(ct: Any, x: Any, xp: Any, **_: Any) -> Spec:
    return Spec(shape_of(xp), np.result_type(dtype_of(ct), dtype_of(x), dtype_of(xp)))


def _samples(of_knots: bool, params: list[dict[str, Any]]) -> Any:
    def samples(rng: np.random.Generator) -> list[Sample]:
        found = []
        for own in params:
            for shape in ((5,), (), (2, 3), (0,)):
                xp = np.arange(4.0) + rng.uniform(-0.2, 0.2, 4)
                x = np.resize([0.5, -1.0, 1.5, 2.5, 4.0], shape)
                found.append(Sample((rng.normal(size=4 if of_knots else shape), x, xp), own))
        return found

    return samples


_EXTENDED = [{"left": left, "right": right} for left, right in ((False, False), (True, True), (False, True))]
_UNIFORM = {"left": False, "right": False}


# -- many examples: with knots or values of their own they are interpolated by NumPy functions, row by row ----


class _Rows:
    """Positions of each example among its own knots."""

    def __init__(self, batched: Any, f: Any, x: Any, xp: Any) -> None:
        self.n = n = size_of(batched, (f, x, xp))
        self.f, x, self.xp = (spread(v, n, b) for v, b in zip((f, x, xp), batched, strict=True))
        self.shape = shape_of(x)
        self.x = x = np.reshape(x, (n, math.prod(self.shape[1:])))
        self.knots = shape_of(xp)[-1]
        last = max(self.knots - 2, 0)
        self.i = np.clip(search_rows(self.xp, x, "right") - 1, 0, last)
        self.j = np.minimum(self.i + 1, self.knots - 1)
        start = np.take_along_axis(self.xp, self.i, axis=1)
        width = np.take_along_axis(self.xp, self.j, axis=1) - start
        self.width = np.where(width == 0, np.inf, width)
        self.from_start = x - start
        self.below, self.above = x < self.xp[:, :1], x > self.xp[:, -1:]

    def at(self, i: Any) -> Any:
        """Values at knots."""
        return np.take_along_axis(self.f, i, axis=1)

    def slope(self) -> Any:
        """Slope of each piece."""
        return (self.at(self.j) - self.at(self.i)) / self.width

    def weight(self) -> Any:
        """Weight of the end of each piece."""
        return np.where(self.above, 1.0, np.where(self.below, 0.0, self.from_start / self.width))

    def flat(self) -> Any:
        """Adjoints, one row for each example."""
        return np.reshape(self.f, shape_of(self.x))

    def summed(self, start: Any, end: Any) -> Any:
        """Sum values into the knots at the start and the end of each piece."""
        numbers = np.arange(self.n)[:, None]
        values = np.concatenate([start, end], axis=1)
        at = np.concatenate([self.i, self.j], axis=1)
        return scatter(values, numbers, at, pattern=(SLOT, SLOT), shape=(self.n, self.knots))


def _batch_interp(call: Any, batched: Any, f: Any, x: Any, xp: Any, left: bool, right: bool) -> Any:
    if batched == (False, True, False):
        return call(f, x, xp, left=left, right=right)
    f = f.astype(np.result_type(dtype_of(f), np.float64))
    rows = _Rows(batched, f, x, xp)
    y = rows.slope() * rows.from_start + rows.at(rows.i)
    y = np.where(rows.below, 0.0 if left else rows.f[:, :1], y)
    return np.reshape(np.where(rows.above, 0.0 if right else rows.f[:, -1:], y), rows.shape)


def _batch_slope(call: Any, batched: Any, f: Any, x: Any, xp: Any) -> Any:
    if batched == (False, True, False):
        return call(f, x, xp)
    rows = _Rows(batched, f, x, xp)
    slope = np.where(np.isnan(rows.x), np.nan, rows.slope())
    return np.reshape(np.where(np.logical_or(rows.below, rows.above), 0.0, slope), rows.shape)


def _batch_interp_transpose(_call: Any, batched: Any, ct: Any, x: Any, xp: Any, left: bool, right: bool) -> Any:
    rows = _Rows(batched, ct, x, xp)
    ct = rows.flat()
    for ends, outside in ((left, rows.below), (right, rows.above)):
        ct = np.where(outside, 0.0, ct) if ends else ct
    w = rows.weight()
    return rows.summed(ct * (1 - w), ct * w)


def _batch_slope_transpose(_call: Any, batched: Any, ct: Any, x: Any, xp: Any) -> Any:
    rows = _Rows(batched, ct, x, xp)
    part = np.where(np.isnan(rows.x), np.nan, rows.flat() / rows.width)
    part = np.where(np.logical_or(rows.below, rows.above), 0.0, part)
    return rows.summed(-part, part)


def _interpolation(
    name: str, fn: Any, transpose: Any, by_x: Any, by_xp: Any, *, of_knots: bool, batch: Any
) -> Operation:
    """An operation that is linear in its first argument, with explicit forward rules for the positions."""
    takes_ends = "slope" not in name
    op = Operation(
        name,
        fn,
        jvps=(lambda t, _y, _f, x, xp, **ends: op(t, x, xp, **ends), by_x, by_xp),
        vjps=(transpose, transposed_rule(by_x, 1), transposed_rule(by_xp, 2)),
        linear_args=frozenset({0}),
        shape=(_value_shape if takes_ends else _slope_shape) if of_knots else _knots_shape,
        samples=_samples(of_knots, _EXTENDED if takes_ends else [{}]),
        batch=batch,
    )
    return op


_interp: Operation = _interpolation(
    "interp",
    _interp_values,
    lambda ct, _y, _f, x, xp, **ends: _interp_transpose(ct, x, xp, **ends),
    lambda t, _y, f, x, xp, **ends: t * _slope(f, x, xp),
    lambda t, _y, f, x, xp, **ends: -(_slope(f, x, xp) * _interp(t, x, xp, **_UNIFORM)),
    of_knots=True,
    batch=_batch_interp,
)
_slope: Operation = _interpolation(
    "interp_slope",
    _slope_values,
    lambda ct, _y, _f, x, xp: _slope_transpose(ct, x, xp),
    lambda t, _y, f, x, xp: t * 0,
    lambda t, _y, f, x, xp: -(_slope(f, x, xp) * _slope(t, x, xp)),
    of_knots=True,
    batch=_batch_slope,
)
_interp_transpose: Operation = _interpolation(
    "interp_transpose",
    _interp_transpose_values,
    lambda ct, _y, _f, x, xp, **ends: _interp(ct, x, xp, **ends),
    lambda t, _y, f, x, xp, **ends: _slope_transpose(f * t, x, xp),
    lambda t, _y, f, x, xp, **ends: -_slope_transpose(f * _interp(t, x, xp, **_UNIFORM), x, xp),
    of_knots=False,
    batch=_batch_interp_transpose,
)
_slope_transpose: Operation = _interpolation(
    "interp_slope_transpose",
    _slope_transpose_values,
    lambda ct, _y, _f, x, xp: _slope(ct, x, xp),
    lambda t, _y, f, x, xp: None,
    lambda t, _y, f, x, xp: -_slope_transpose(f * _slope(t, x, xp), x, xp),
    of_knots=False,
    batch=_batch_slope_transpose,
)

_order = constant(np.argsort, name="interp_order", shape=lambda xp: Spec(xp.shape, np.intp), batch=pointwise)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear interpolation, differentiable in `x`, `xp`, `fp` and the values outside.

    The result is float64 or complex128, as in NumPy. At a knot the derivative with respect to `x` is the slope of
    the piece on its right, at the last knot that of the last piece; outside it is 0.
    """
    x, xp, fp = as_array(x), as_array(xp), as_array(fp)
    if xp.ndim != 1 or fp.ndim != 1 or len(xp) != len(fp) or not len(xp):
        raise ValueError(
            f"np.interp: xp and fp must be 1-D and of the same length, not {describe(xp)} and {describe(fp)}."
        )
    if any(dtype_of(v).kind == "c" for v in (x, xp)):
        raise TypeError(f"np.interp: x and xp must be real, not {describe(x)} and {describe(xp)}.")
    if period is not None:
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, period)
    y = _interp(fp, x, xp, left=left is not None, right=right is not None)
    if left is not None:
        y = np.where(x < xp[0], left, y)
    return y if right is None else np.where(x > xp[-1], right, y)


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """One period, its knots in order, and one knot more on each side."""
    known = all_values(period)
    if not isinstance(known, Tracer) and np.any(known == 0):
        raise ValueError("np.interp: period must be a non-zero value.")
    period = abs(period)
    x, xp = x % period, xp % period
    order = _order(xp)
    if isinstance(order, AbstractTracer):  # only the shape is known, and it does not depend on the order
        order = np.arange(len(xp))
    xp, fp = getitem(xp, order), getitem(fp, order)
    return x, np.concatenate([xp[-1:] - period, xp, xp[:1] + period]), np.concatenate([fp[-1:], fp, fp[:1]])


# -- convolution ---------------------------------------------------------------------------------------------
# Two operations without conjugation, each the transpose of the other: the full convolution, and the correlation of
# a long sequence with a short one where they overlap completely.


def _valid_values(x: Any, v: Any) -> Any:
    return np.convolve(x, v[::-1], "valid")


def _products(batched: Any, windows: Any, v: Any) -> Any:
    """Sum over each window of its entries times those of `v`."""
    if all(batched):
        return np.einsum("bkm,bm->bk", windows, v)
    return windows @ v if batched[0] else v @ np.transpose(windows)


def _batch_full(_call: Any, batched: Any, a: Any, v: Any) -> Any:
    """Every window of the sequences with zeros around them."""
    n, m = shape_of(a)[-1], shape_of(v)[-1]
    padded = np.pad(a, ((0, 0),) * batched[0] + ((m - 1, m - 1),))
    at = np.arange(n + m - 1)[:, None] + np.arange(m - 1, -1, -1)
    return _products(batched, padded[..., at], v)


def _batch_valid(_call: Any, batched: Any, x: Any, v: Any) -> Any:
    n, m = shape_of(x)[-1], shape_of(v)[-1]
    return _products(batched, x[..., np.arange(n - m + 1)[:, None] + np.arange(m)], v)


_full: Operation = multilinear(
    lambda a, v: np.convolve(a, v, "full"),
    lambda ct, _y, _a, v: _valid(ct, v),
    lambda ct, _y, a, _v: _valid(ct, a),
    name="convolve",
    samples=lambda rng: [Sample((rng.normal(size=n), rng.normal(size=m))) for n, m in ((4, 2), (2, 3), (1, 1), (3, 3))],
    shape=lambda a, v: Spec((a.shape[0] + v.shape[0] - 1,), np.result_type(dtype_of(a), dtype_of(v))),
    batch=_batch_full,
)
_valid: Operation = multilinear(
    _valid_values,
    lambda ct, _y, _x, v: _full(ct, v),
    lambda ct, _y, x, _v: _valid(x, ct),
    name="correlate_valid",
    samples=lambda rng: [Sample((rng.normal(size=n), rng.normal(size=m))) for n, m in ((4, 2), (3, 1), (1, 1), (3, 3))],
    shape=lambda x, v: Spec((x.shape[0] - v.shape[0] + 1,), np.result_type(dtype_of(x), dtype_of(v))),
    batch=_batch_valid,
)


def _mode(name: str, mode: Any, a: Any, v: Any) -> str:
    """Check the operands; return the name of the mode."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', not {mode!r}.")
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size:
        raise ValueError(
            f"{name}: the operands must be one-dimensional and not empty, not {describe(a)} and {describe(v)}."
        )
    return str(mode)


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Convolution of two sequences."""
    a, v = (np.reshape(x, (1,)) if x.ndim == 0 else x for x in (as_array(a), as_array(v)))
    mode = _mode("np.convolve", mode, a, v)
    if v.size > a.size:
        a, v = v, a
    if mode == "valid":
        return _valid(a, v[::-1])
    y = _full(a, v)
    start = (v.size - 1) // 2
    return y if mode == "full" else y[start : start + a.size]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Correlation of two sequences; the second is conjugated."""
    a, v = as_array(a), conjugated(as_array(v))
    mode = _mode("np.correlate", mode, a, v)
    if mode == "valid":
        return _valid(a, v) if a.size >= v.size else _valid(v, a)[::-1]
    y = _full(a, v[::-1])
    if mode == "full":
        return y
    start = (v.size - 1) // 2 if a.size >= v.size else a.size // 2
    return y[start : start + max(a.size, v.size)]
