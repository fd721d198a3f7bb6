"""Interpolation in one variable: pieces of lines and cubics through values, which may be traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as si

from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import array, unsupported
from autodiff.scipy.interpolate._pieces import Curve, Pieces, ascending, hermite, linear_in, values_along
from autodiff.scipy.interpolate.splines import end_conditions

__all__ = ["Akima1DInterpolator", "CubicHermiteSpline", "CubicSpline", "PchipInterpolator", "pchip_interpolate"]


class CubicSpline(Curve):
    """Cubic spline, differentiable by its values and by the points.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots, increasing; plain.
    y : array_like
        The values, which may be traced.
    axis, extrapolate
        As in SciPy.
    bc_type : str or pair
        As in SciPy; the numbers in pairs ``(order, value)`` may be traced.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(6.0)
    >>> float(np.round(grad(CubicSpline(x, x**3))(1.5), 9))  # 3 x**2
    6.75
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> None:
        name = "scipy.interpolate.CubicSpline"
        x = ascending(name, x)
        y = values_along(name, x, y, axis)
        if bc_type == "periodic":
            unit = _periodic_unit(x)
        else:
            given, ends, size = end_conditions(bc_type, len(x))
            pair = tuple(end if isinstance(end, str) else end[0] for end in given)
            unit = si.CubicSpline(x, np.eye(len(x), size), bc_type=pair).c
            y = np.concatenate([y, *[np.broadcast_to(array(v), shape_of(y)[1:])[None] for v in ends]])
        if extrapolate is None:
            extrapolate = "periodic" if bc_type == "periodic" else True
        super().__init__(name, Pieces(x, linear_in(unit, y), axis), extrapolate=extrapolate)


def _periodic_unit(x: Any) -> Any:
    """Coefficients for unit values where the last value is the first: the first stands for both."""
    eye = np.eye(len(x))
    eye[-1] = eye[0]
    unit = np.array(si.CubicSpline(x, eye, bc_type="periodic").c)
    unit[:, :, -1] = 0
    return unit


class CubicHermiteSpline(Curve):
    """Cubic pieces through given values with given slopes, differentiable by both and by the points.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots, increasing; plain.
    y, dydx : array_like
        Values and slopes at the knots, which may be traced.
    axis, extrapolate
        As in SciPy.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.array([0.0, 2.0])
    >>> float(grad(CubicHermiteSpline(x, x**3, 3 * x**2))(1.5))  # 3 x**2
    6.75
    """

    def __init__(self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> None:
        name = "scipy.interpolate.CubicHermiteSpline"
        x = ascending(name, x)
        y, slopes = values_along(name, x, y, axis), values_along(name, x, dydx, axis)
        extrapolate = True if extrapolate is None else extrapolate
        super().__init__(name, Pieces(x, hermite(x, y, slopes), axis), extrapolate=extrapolate)


def _real(name: str, x: Any, y: Any, axis: int) -> tuple[Any, Any, Any]:
    """Knots, values and secants, for methods that compare slopes."""
    x = ascending(name, x)
    y = values_along(name, x, y, axis)
    if dtype_of(y).kind == "c":
        raise ValueError(f"{name}: complex values have no order; interpolate np.real and np.imag.")
    return x, y, np.diff(y, axis=0) / _column(np.diff(x), y)


def _column(h: Any, y: Any) -> Any:
    return np.reshape(h, (-1,) + (1,) * (len(shape_of(y)) - 1))


class PchipInterpolator(Curve):
    """Cubic pieces that keep the values' monotonicity, differentiable by the values and by the points.

    Slopes at the knots are weighted harmonic means of the secants beside them, and 0 where these differ in sign or
    vanish: there the slope, and its derivative by the values, is 0.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots, increasing; plain.
    y : array_like
        The values, real, which may be traced.
    axis, extrapolate
        As in SciPy.

    Raises
    ------
    ValueError
        For complex values.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.array([0.0, 1.0, 2.0])
    >>> grad(lambda y: PchipInterpolator(x, y)(0.5))(np.array([0.0, 1.0, 4.0]))
    array([ 0.640625,  0.375   , -0.015625])
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> None:
        name = "scipy.interpolate.PchipInterpolator"
        x, y, secant = _real(name, x, y, axis)
        slopes = np.concatenate([secant, secant]) if len(x) == 2 else _monotone(x, y, secant)
        extrapolate = True if extrapolate is None else extrapolate
        super().__init__(name, Pieces(x, hermite(x, y, slopes), axis), extrapolate=extrapolate)


def _monotone(x: Any, y: Any, m: Any) -> Any:
    """Slopes at the knots from the secants `m`, after Fritsch and Butland; the ends after Moler."""
    h = _column(np.diff(x), y)
    w, v = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    flat = np.logical_or(np.sign(m[1:]) != np.sign(m[:-1]), m[1:] == 0)
    left, right = np.where(flat, 1.0, m[:-1]), np.where(flat, 1.0, m[1:])
    inner = np.where(flat, 0.0, (w + v) / (w / left + v / right))
    first, last = _end_slope(h[0], h[1], m[0], m[1]), _end_slope(h[-1], h[-2], m[-1], m[-2])
    return np.concatenate([first[None], inner, last[None]])


def _end_slope(h: Any, next_h: Any, m: Any, next_m: Any) -> Any:
    """Slope at an end: that of the parabola through three values, limited so as not to overshoot."""
    d = ((2 * h + next_h) * m - h * next_m) / (h + next_h)
    steep = np.logical_and(np.sign(m) != np.sign(next_m), np.abs(d) > 3 * np.abs(m))
    return np.where(np.sign(d) != np.sign(m), 0.0, np.where(steep, 3 * m, d))


def pchip_interpolate(xi: Any, yi: Any, x: Any, der: Any = 0, axis: int = 0) -> Any:
    """Values, or derivatives of the orders `der`, of a `PchipInterpolator`.

    Examples
    --------
    >>> float(pchip_interpolate([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], 0.25))
    0.25
    """
    curve = PchipInterpolator(xi, yi, axis=axis)
    return [curve(x, nu) for nu in der] if isinstance(der, (list, tuple)) else curve(x, der)


class Akima1DInterpolator(Curve):
    """Cubic pieces after Akima, which do not overshoot, differentiable by the values and by the points.

    Slopes at the knots are means of the secants beside them, weighted by the absolute change of the secants on the
    other side; where all weights vanish, plain means.

    Parameters
    ----------
    x : array_like, shape (n,)
        The knots, increasing; plain.
    y : array_like
        The values, real, which may be traced.
    axis, extrapolate
        As in SciPy, which extrapolates if asked to.
    method : str
        "akima" or "makima".

    Raises
    ------
    ValueError
        For complex values.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(5.0)
    >>> float(grad(Akima1DInterpolator(x, x**2))(2.0))
    4.0
    """

    def __init__(
        self, x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: bool | None = None
    ) -> None:
        name = "scipy.interpolate.Akima1DInterpolator"
        if method not in {"akima", "makima"}:
            raise unsupported(name, f"method={method!r}", "Use 'akima' or 'makima'.")
        x, y, secant = _real(name, x, y, axis)
        slopes = np.concatenate([secant, secant]) if len(x) == 2 else _weighted(secant, method == "makima")
        super().__init__(name, Pieces(x, hermite(x, y, slopes), axis), extrapolate=bool(extrapolate))


def _weighted(m: Any, modified: bool) -> Any:
    """Akima's slopes at the knots, from the secants."""
    before, after = 2 * m[:1] - m[1:2], 2 * m[-1:] - m[-2:-1]
    m = np.concatenate([2 * before - m[:1], before, m, after, 2 * after - m[-1:]])
    change = np.abs(np.diff(m, axis=0))
    if modified:
        change = change + 0.5 * np.abs(m[1:] + m[:-1])
    right, left = change[2:], change[:-2]
    total = right + left
    sharp = np.greater(total, 1e-9 * np.max(total, initial=0.0))
    share = np.where(sharp, left, 0.5) / np.where(sharp, total, 1.0)
    return np.where(sharp, m[1:-2] + share * (m[2:-1] - m[1:-2]), 0.5 * (m[3:] + m[:-3]))
