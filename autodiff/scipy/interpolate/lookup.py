"""`interp1d`: lines, splines or steps between values, with its own ideas of what is outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core.errors import user_line
from autodiff.core.spec import shape_of
from autodiff.ops.repeat import take
from autodiff.scipy._mirror import array, has_tracer, unsupported
from autodiff.scipy.interpolate._pieces import (
    Pieces,
    ascending,
    knots,
    known,
    linear_in,
    outside,
    placed,
    values_along,
)
from autodiff.scipy.interpolate.splines import unit_coefficients

__all__ = ["interp1d"]

_DEGREES = {"quadratic": 2, "cubic": 3}
#: Between which positions, and on which side of them, the value changes.
_STEPS: Any = {"zero": "right", "previous": "right", "next": "left", "nearest": "left", "nearest-up": "right"}


class interp1d:  # noqa: N801 - SciPy's name
    """Interpolation by lines, splines or steps, differentiable by the values and by the points.

    At a knot, the derivative by the point is that of the piece on its right (at the last: on its left); that of steps
    is 0.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots; plain.
    y : array_like
        The values along `axis`, which may be traced.
    kind : str or int
        "linear" or "slinear", "quadratic", "cubic", or the degree of a spline; "nearest", "nearest-up", "previous",
        "next", "zero".
    axis, copy, bounds_error, assume_sorted
        As in SciPy.
    fill_value : array_like, pair or "extrapolate"
        What stands outside, or below and above; may be traced.

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
        kind: Any = "linear",
        axis: int = -1,
        copy: bool = True,  # noqa: ARG002 - SciPy's parameter; traced arrays do not change
        bounds_error: Any = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        name = "scipy.interpolate.interp1d"
        x = knots(name, x)
        values = values_along(name, x, y, axis)
        if not assume_sorted:
            order = np.argsort(x, kind="stable")
            x, values = x[order], values[order]
        self.x, self.axis = ascending(name, x, 1 if kind in _STEPS else 2), axis % len(shape_of(values))
        self._at = _steps(x, values, self.axis, kind) if kind in _STEPS else _pieces(name, x, values, self.axis, kind)
        self._rest = shape_of(values)[1:]
        self.fill_value = fill_value
        self._extrapolates = isinstance(fill_value, str) and fill_value == "extrapolate"
        fills = has_tracer(fill_value) or isinstance(fill_value, tuple) or self._extrapolates
        fills = fills or not np.all(np.isnan(fill_value))
        if bounds_error and self._extrapolates:
            raise ValueError(f"{name}: points outside are either extrapolated or an error, not both.")
        self.bounds_error = not fills if bounds_error is None else bool(bounds_error)

    def __call__(self, x: Any) -> Any:
        """Return the value at the points."""
        v = array(x)
        if self._extrapolates:
            return self._at(v)
        out = outside((self.x[0], self.x[-1]), v)
        if self.bounds_error and known(out):
            raise ValueError(
                f"scipy.interpolate.interp1d: a point is outside of [{self.x[0]}, {self.x[-1]}]{user_line()}. "
                "Use fill_value= or bounds_error=False."
            )
        below, above = self.fill_value if isinstance(self.fill_value, tuple) else (self.fill_value, self.fill_value)
        points = len(shape_of(v))
        spread = (1,) * self.axis + shape_of(v) + (1,) * (len(self._rest) - self.axis)
        y = np.where(np.reshape(np.greater(v, self.x[-1]), spread), self._fill(above, points), self._at(v))
        return np.where(np.reshape(np.less(v, self.x[0]), spread), self._fill(below, points), y)

    def _fill(self, value: Any, points: int) -> Any:
        """What stands outside, in the shape of the result but for broadcasting."""
        value = np.broadcast_to(array(value), self._rest)
        return np.reshape(value, self._rest[: self.axis] + (1,) * points + self._rest[self.axis :])


def _pieces(name: str, x: Any, y: Any, axis: int, kind: Any) -> Any:
    """Function of the points: lines or a spline."""
    degree = kind if isinstance(kind, int) else _DEGREES.get(kind, 1)
    if not isinstance(kind, int) and kind not in {"linear", "slinear", *_DEGREES}:
        raise unsupported(
            name, f"kind={kind!r}", "Use 'linear', 'quadratic', 'cubic', 'nearest', 'previous' or 'next'."
        )
    if degree == 1:
        slopes = np.diff(y, axis=0) / np.reshape(np.diff(x), (-1,) + (1,) * (len(shape_of(y)) - 1))
        return Pieces(x, np.stack([slopes, y[:-1]]), axis).at
    breaks, unit = unit_coefficients(x, degree)
    return Pieces(breaks, linear_in(unit, y), axis).at


def _steps(x: Any, y: Any, axis: int, kind: str) -> Any:
    """Function of the points: the value at one of the knots beside each."""
    nearest = kind.startswith("nearest")
    edges = x[1:] / 2 + x[:-1] / 2 if nearest else x
    shift = 1 if kind in {"previous", "zero"} else 0

    def at(v: Any) -> Any:
        place = np.searchsorted(edges, np.reshape(v, (-1,)), side=_STEPS[kind]) - shift
        chosen = take(y, np.clip(place, 0, len(x) - 1), axis=0)
        before = kind == "previous" and np.less(place, 0)
        beyond = np.logical_or(before, np.greater(place, len(x) - 1))
        mask = np.logical_or(beyond, np.isnan(np.reshape(v, (-1,))))
        chosen = np.where(np.reshape(mask, (-1,) + (1,) * (len(shape_of(y)) - 1)), np.nan, chosen)
        return placed(np.reshape(chosen, shape_of(v) + shape_of(y)[1:]), len(shape_of(v)), axis)

    return at
