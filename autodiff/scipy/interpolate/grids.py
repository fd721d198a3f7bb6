"""Interpolation in several variables, between values on a grid: products of splines in each variable."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as si

from autodiff.core.errors import describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.repeat import take
from autodiff.scipy._mirror import array, has_tracer, unsupported
from autodiff.scipy.interpolate._pieces import ascending, knots, known, linear_in, outside
from autodiff.scipy.interpolate.splines import basis_pieces

__all__ = ["RegularGridInterpolator", "interpn"]

_DEGREES = {"linear": 1, "slinear": 1, "cubic": 3, "quintic": 5}


class RegularGridInterpolator:
    """Interpolation on a rectangular grid, differentiable by the values and by the points.

    Parameters
    ----------
    points : tuple of array_like, shapes (m1,), ..., (mn,)
        The grid, each increasing or decreasing; plain.
    values : array_like, shape (m1, ..., mn, ...)
        May be traced.
    method : str
        "linear", "nearest", "slinear", "cubic" or "quintic".
    bounds_error, fill_value
        As in SciPy; `fill_value` may be traced.
    solver, solver_args
        Not used: the coefficients of a spline are computed one axis after the other, without iteration.

    Raises
    ------
    ValueError
        For points outside, unless ``bounds_error=False``; for a grid that does not fit the values.

    Notes
    -----
    On a border between cells the derivative of "linear" by the point is that of the cell on the right, and that of
    "nearest" is 0 everywhere.

    Examples
    --------
    >>> from autodiff import grad
    >>> x, y = np.arange(3.0), np.arange(4.0)
    >>> f = RegularGridInterpolator((x, y), np.multiply.outer(x, y))
    >>> grad(lambda at: f(at)[0])(np.array([1.5, 2.25]))
    array([2.25, 1.5 ])
    """

    def __init__(
        self,
        points: Any,
        values: Any,
        method: str = "linear",
        bounds_error: bool = True,
        fill_value: Any = np.nan,
        *,
        solver: Any = None,  # noqa: ARG002 - SciPy's parameters
        solver_args: Any = None,  # noqa: ARG002
    ) -> None:
        name = self._name = "scipy.interpolate.RegularGridInterpolator"
        values = array(values)
        values = values if dtype_of(values).kind in "fc" else values.astype(float)
        if len(points) > len(shape_of(values)):
            raise ValueError(f"{name}: {len(points)} axes of points, and values {describe(values)} have fewer axes.")
        grid = []
        for i, given in enumerate(points):
            p = knots(name, given)
            if len(p) > 1 and p[0] > p[-1]:
                p, values = np.flip(p), np.flip(values, i)
            if len(p) != shape_of(values)[i]:
                raise ValueError(
                    f"{name}: {len(p)} points on axis {i}, but values {describe(values)} has {shape_of(values)[i]}."
                )
            grid.append(ascending(name, p))
        self.grid, self.values, self.method = tuple(grid), values, method
        self.bounds_error, self.fill_value = bounds_error, fill_value
        self._splines: dict[str, Any] = {}
        self._spline(method)

    def _spline(self, method: str) -> Any:
        """Coefficients of the product of basis splines, and the pieces of these on each axis."""
        if method == "nearest":
            return None
        if method not in _DEGREES:
            raise unsupported(self._name, f"method={method!r}", "Use 'linear', 'nearest', 'cubic' or 'quintic'.")
        if method not in self._splines:
            k, c, axes = _DEGREES[method], self.values, []
            for i, p in enumerate(self.grid):
                if len(p) <= k:
                    raise ValueError(f"{self._name}: {method!r} needs {k + 1} points on axis {i}, which has {len(p)}.")
                unit = si.make_interp_spline(p, np.eye(len(p)), k)
                if k > 1:
                    c = np.moveaxis(linear_in(unit.c[None], np.moveaxis(c, i, 0))[0], 0, i)
                axes.append(_local(*basis_pieces(unit.t, k, len(p)), k))
            self._splines[method] = c, axes
        return self._splines[method]

    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        """Return the values at the points (..., n), or the partial derivatives of the orders `nu`."""
        method = self.method if method is None else method
        if nu is not None and method not in {"slinear", "cubic", "quintic"}:
            raise ValueError(f"{self._name}: nu= is for 'slinear', 'cubic' and 'quintic', not {method!r}.")
        at = self._points(xi)
        flat = np.reshape(at, (-1, len(self.grid)))
        out: Any = False
        for i, p in enumerate(self.grid):
            beyond = outside((p[0], p[-1]), flat[:, i])
            if self.bounds_error and known(np.logical_or(beyond, np.isnan(flat[:, i]))):
                raise ValueError(
                    f"{self._name}: a point is outside of the grid on axis {i}{user_line()}. Use bounds_error=False, "
                    "and fill_value=None to extrapolate."
                )
            out = np.logical_or(out, beyond)
        spline = self._spline(method)
        y = self._nearest(flat) if spline is None else _product(spline[0], spline[1], flat, nu)
        rest = shape_of(self.values)[len(self.grid) :]
        column = (-1,) + (1,) * len(rest)
        if not self.bounds_error and self.fill_value is not None:
            y = np.where(np.reshape(out, column), self.fill_value, y)
        y = np.where(np.reshape(np.any(np.isnan(flat), axis=-1), column), np.nan, y)
        return np.reshape(y, shape_of(at)[:-1] + rest)

    def _points(self, xi: Any) -> Any:
        n = len(self.grid)
        if isinstance(xi, tuple):
            xi = np.stack(np.broadcast_arrays(*[array(v) for v in xi]), axis=-1)
        at = array(xi)
        if len(shape_of(at)) < 2:
            at = np.reshape(at, (-1, 1 if n == 1 else shape_of(at)[-1] if shape_of(at) else 1))
        if shape_of(at)[-1] != n:
            raise ValueError(f"{self._name}: the points {describe(at)} need a last axis of {n}, one for each variable.")
        return at if dtype_of(at).kind == "f" else at.astype(float)

    def _nearest(self, at: Any) -> Any:
        index = []
        for i, p in enumerate(self.grid):
            v = at[:, i]
            low = np.clip(np.searchsorted(p[1:-1], v, side="right"), 0, len(p) - 2)
            share = (v - take(p, low)) / take(np.diff(p), low)
            index.append(np.where(np.less_equal(share, 0.5), low, low + 1))
        return _gathered(self.values, index)


def _gathered(c: Any, index: list[Any]) -> Any:
    """Entries of `c` at positions on its first axes, each of which may differ between the examples of a vmap."""
    shape, n = shape_of(c), len(index)
    flat: Any = 0
    for size, at in zip(shape, index, strict=False):
        flat = flat * size + at
    return take(np.reshape(c, (-1, *shape[n:])), flat, axis=0)


def _local(breaks: Any, unit: Any, intervals: Any, k: int) -> tuple[Any, Any, Any]:
    """The k + 1 basis splines that are not zero on each piece: breaks, first of them, coefficients."""
    first = intervals - k
    which = first[:, None] + np.arange(k + 1)
    return breaks, first, unit[:, np.arange(len(first))[:, None], which]


def _weights(axis: tuple[Any, Any, Any], v: Any, nu: int) -> tuple[Any, Any]:
    """Positions (points, k + 1) of the basis splines that count at each point, and their values there."""
    breaks, first, unit = axis
    inner = breaks[1:-1]
    piece = np.searchsorted(inner, v, side="right") if len(inner) else np.zeros(shape_of(v), int)
    s = (v - take(breaks, piece))[:, None]
    order = len(unit)
    weight: Any = 0 * s
    for n in range(order - nu):
        power = order - 1 - n
        factor = float(np.prod(np.arange(power, power - nu, -1)))
        weight = weight * s + factor * take(unit[n], piece, axis=0)
    if order <= nu:
        weight = 0 * s + np.zeros(unit.shape[-1])
    return take(first, piece)[:, None] + np.arange(unit.shape[-1]), weight


def _product(c: Any, axes: Any, at: Any, nu: Any) -> Any:
    """Sum of the coefficients around each point, times the product of the basis splines."""
    n = len(axes)
    index, weight = [], np.ones(1)
    for i, axis in enumerate(axes):
        place, w = _weights(axis, at[:, i], 0 if nu is None else int(nu[i]))
        shape = (-1,) + (1,) * i + (shape_of(w)[-1],) + (1,) * (n - 1 - i)
        index.append(np.reshape(place, shape))
        weight = weight * np.reshape(w, shape)
    around = _gathered(c, index)
    weight = np.reshape(weight, shape_of(weight) + (1,) * (len(shape_of(around)) - 1 - n))
    return np.sum(weight * around, axis=tuple(range(1, n + 1)))


def interpn(
    points: Any, values: Any, xi: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = np.nan
) -> Any:
    """Interpolate on a rectangular grid: see `RegularGridInterpolator`.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(3.0)
    >>> grad(lambda v: interpn((x,), v, np.array([0.25]))[0])(x)
    array([0.75, 0.25, 0.  ])
    """
    if not has_tracer((points, values, xi, fill_value)):
        return si.interpn(points, values, xi, method, bounds_error, fill_value)
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)
