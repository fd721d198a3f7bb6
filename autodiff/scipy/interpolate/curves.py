"""Interpolation in one variable: coefficients that are linear in the values, polynomials of the points."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as si

from autodiff.core.batching import all_values
from autodiff.core.errors import describe, user_line
from autodiff.core.spec import shape_of
from autodiff.scipy._mirror import array, has_tracer, plain_value, unsupported

__all__ = ["CubicSpline", "interp1d"]


def _knots(name: str, x: Any) -> Any:
    if has_tracer(x):
        raise unsupported(name, "traced knots", "Scale the points instead, or use np.interp.")
    return np.asarray(x, float)


def _values(name: str, x: Any, y: Any, axis: int) -> Any:
    y = np.moveaxis(array(y), axis, 0)
    if x.ndim != 1 or shape_of(y)[0] != len(x):
        raise ValueError(
            f"{name}: x {describe(x)} and y {describe(y)} do not fit: one value along axis={axis} for each knot."
        )
    return y


class _Curve:
    """A piecewise polynomial: `unit` (order, pieces, knots) holds its coefficients for unit values."""

    def __init__(self, x: Any, y: Any, axis: int, unit: Any) -> None:
        self.x, self.y, self.axis, self._unit = x, y, axis, unit

    def _evaluate(self, v: Any, nu: int = 0) -> Any:
        v = array(v)
        at = np.reshape(v, (-1,))
        place = np.asarray(plain_value("scipy.interpolate", at), float)
        piece = np.clip(np.searchsorted(self.x, place, side="right") - 1, 0, len(self.x) - 2)
        s = at - self.x[piece]
        order = len(self._unit)
        weights: Any = 0.0
        for k in range(order - nu):  # the highest power first
            power = order - 1 - k
            factor = float(np.prod(np.arange(power, power - nu, -1)))
            weights = weights * s[:, None] + factor * self._unit[k, piece]
        flat = np.reshape(self.y, (len(self.x), -1))
        rest = shape_of(self.y)[1:]
        y = np.reshape((weights + np.zeros((len(place), len(self.x)))) @ flat, (*shape_of(v), *rest))
        first = len(shape_of(v))
        last = self.axis % (len(rest) + 1)
        return np.moveaxis(y, tuple(range(first)), tuple(range(last, last + first))) if first and last else y

    def _outside(self, v: Any) -> Any:
        place = np.asarray(all_values(array(v)), float)
        return (place < self.x[0]) | (place > self.x[-1])


class CubicSpline(_Curve):
    """Cubic spline, differentiable by its values and by the points.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots, increasing; plain.
    y : array_like
        The values, which may be traced.
    axis, bc_type, extrapolate
        As in SciPy; `bc_type` is a name, and `extrapolate` not "periodic".

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(6.0)
    >>> float(np.round(grad(CubicSpline(x, x**3))(1.5), 9))  # 3 x**2
    6.75
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> None:
        name = "scipy.interpolate.CubicSpline"
        if not isinstance(bc_type, str) or bc_type == "periodic" or extrapolate == "periodic":
            raise unsupported(name, "periodic or given end conditions", "Use 'not-a-knot', 'natural' or 'clamped'.")
        x = _knots(name, x)
        values = _values(name, x, y, axis)
        super().__init__(x, values, axis, si.CubicSpline(x, np.eye(len(x)), bc_type=bc_type).c)
        self.extrapolate = True if extrapolate is None else bool(extrapolate)

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """Return the value, or the derivative of order `nu`, at the points."""
        y = self._evaluate(x, nu)
        if (self.extrapolate if extrapolate is None else extrapolate) or not np.any(self._outside(x)):
            return y
        if self.axis:
            raise unsupported("scipy.interpolate.CubicSpline", "extrapolate=False with axis", "Move the axis first.")
        out = self._outside(x)
        return np.where(np.reshape(out, (*out.shape, *(1,) * (len(shape_of(y)) - out.ndim))), np.nan, y)


class interp1d(_Curve):  # noqa: N801 - SciPy's name
    """Piecewise linear (or cubic) interpolation, differentiable by its values and by the points.

    At a knot, the derivative by the point is that of the piece on its right (at the last: on its left).

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots; plain.
    y : array_like
        The values along `axis`, which may be traced.
    kind : str
        "linear" or "cubic".
    axis, copy, bounds_error, fill_value, assume_sorted
        As in SciPy; `fill_value` is a number or "extrapolate".

    Raises
    ------
    ValueError
        For points outside, unless `fill_value` or ``bounds_error=False`` is given.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(grad(interp1d(np.arange(3.0), np.array([0.0, 2.0, 8.0])))(1.5))
    6.0
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        kind: str = "linear",
        axis: int = -1,
        copy: bool = True,  # noqa: ARG002 - SciPy's parameter; traced arrays do not change
        bounds_error: Any = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        name = "scipy.interpolate.interp1d"
        if kind not in {"linear", "cubic"}:
            raise unsupported(name, f"kind={kind!r}", "Use 'linear' or 'cubic'.")
        if isinstance(fill_value, tuple):
            raise unsupported(name, "two fill values", "Use np.interp with left= and right=.")
        x = _knots(name, x)
        values = _values(name, x, y, axis)
        if not assume_sorted:
            order = np.argsort(x, kind="stable")
            x, values = x[order], values[order]
        eye = np.eye(len(x))
        if kind == "cubic":
            unit = si.CubicSpline(x, eye).c
        else:
            unit = np.stack([np.diff(eye, axis=0) / np.diff(x)[:, None], eye[:-1]])
        ndim = len(shape_of(values))
        super().__init__(x, values, axis % ndim, unit)
        self.extrapolate = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.fill_value = fill_value
        fills = has_tracer(fill_value) or self.extrapolate or not np.all(np.isnan(fill_value))
        self.bounds_error = not fills if bounds_error is None else bool(bounds_error)

    def __call__(self, x: Any) -> Any:
        """Return the value at the points."""
        out = self._outside(x)
        if not self.extrapolate and np.any(out):
            if self.bounds_error:
                raise ValueError(
                    f"scipy.interpolate.interp1d: a point is outside of [{self.x[0]}, {self.x[-1]}]{user_line()}. "
                    "Use fill_value= or bounds_error=False."
                )
            shape = (1,) * self.axis + out.shape + (1,) * (len(shape_of(self.y)) - 1 - self.axis)
            return np.where(np.reshape(out, shape), self.fill_value, self._evaluate(x))
        return self._evaluate(x)
