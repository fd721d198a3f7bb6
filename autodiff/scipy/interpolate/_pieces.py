"""Piecewise polynomials of one variable whose coefficients may be traced, and the breaks between which they hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Tracer
from autodiff.core.batching import all_values
from autodiff.core.errors import describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.repeat import take
from autodiff.scipy._mirror import array, has_tracer, unsupported

__all__ = ["Curve", "Pieces", "ascending", "hermite", "knots", "linear_in", "outside", "placed", "values_along"]


def knots(name: str, x: Any) -> Any:
    """Return plain knots as an array; traced ones are refused."""
    if has_tracer(x):
        raise unsupported(name, "traced knots", "Scale the points instead, or use np.interp.")
    return np.asarray(x, float)


def ascending(name: str, x: Any, least: int = 2) -> Any:
    """Return knots that SciPy would take: at least two, increasing."""
    x = knots(name, x)
    if x.ndim != 1 or len(x) < least or not np.all(np.diff(x) > 0):
        raise ValueError(f"{name}: x {describe(x)} must hold at least {least} knots that increase strictly.")
    return x


def values_along(name: str, x: Any, y: Any, axis: int) -> Any:
    """Return the values with the axis of the knots first, as inexact numbers."""
    y = np.moveaxis(array(y), axis, 0)
    if x.ndim != 1 or shape_of(y)[0] != len(x):
        raise ValueError(
            f"{name}: x {describe(x)} and y {describe(y)} do not fit: one value along axis={axis} for each knot."
        )
    return y if dtype_of(y).kind in "fc" else y.astype(float)


def linear_in(unit: Any, y: Any) -> Any:
    """Coefficients (order, pieces, ...) for values `y`, from those for unit values, (order, pieces, n)."""
    rest = shape_of(y)[1:]
    flat = np.reshape(unit, (-1, unit.shape[-1])) @ np.reshape(y, (shape_of(y)[0], -1))
    return np.reshape(flat, (*unit.shape[:2], *rest))


def hermite(x: Any, y: Any, slopes: Any) -> Any:
    """Coefficients of the cubic pieces that have the values `y` and the slopes at `x`; axis 0 is that of `x`."""
    h = np.reshape(np.diff(x), (-1,) + (1,) * (len(shape_of(y)) - 1))
    secant = np.diff(y, axis=0) / h
    excess = (slopes[:-1] + slopes[1:] - 2 * secant) / h
    return np.stack([excess / h, (secant - slopes[:-1]) / h - excess, slopes[:-1], y[:-1]])


def outside(x: Any, v: Any) -> Any:
    """Which points are outside of the knots: a mask of their shape, constant."""
    return np.logical_or(np.less(v, x[0]), np.greater(v, x[-1]))


def known(mask: Any) -> bool:
    """Whether any entry of a mask is true, of any example of a vmap; where only shapes are known, not."""
    value = all_values(mask)
    return not isinstance(value, Tracer) and bool(np.any(value))


def placed(y: Any, points: int, axis: int) -> Any:
    """Move the axes of the points, which come first, to where the axis of the knots was."""
    first, last = tuple(range(points)), tuple(range(axis, axis + points))
    return np.moveaxis(y, first, last) if points and axis else y


class Pieces:
    """A piecewise polynomial: coefficients (order, pieces, ...) of powers of the distance to the break on the left."""

    def __init__(self, breaks: Any, coefficients: Any, axis: int = 0) -> None:
        self.breaks, self.coefficients = breaks, coefficients
        self.rest = shape_of(coefficients)[2:]
        self.axis = axis % (len(self.rest) + 1)

    def at(self, v: Any) -> Any:
        """Values at the points `v`, an array; pieces at the ends go on outside."""
        flat = np.reshape(v, (-1,))
        inner = self.breaks[1:-1]
        piece = np.searchsorted(inner, flat, side="right") if len(inner) else np.zeros(shape_of(flat), int)
        s = np.reshape(flat - take(self.breaks, piece, 0), (-1,) + (1,) * len(self.rest))
        y: Any = take(self.coefficients[0], piece, axis=0) + 0 * s
        for c in self.coefficients[1:]:
            y = y * s + take(c, piece, axis=0)
        return placed(np.reshape(y, shape_of(v) + self.rest), len(shape_of(v)), self.axis)

    def derivative(self, nu: int = 1) -> Pieces:
        """Derivative of order `nu`; for a negative one, an integral that is 0 at the first break."""
        out = self
        for _ in range(nu):
            c = out.coefficients
            powers = np.arange(shape_of(c)[0] - 1, 0, -1.0)
            lower = np.reshape(powers, (-1,) + (1,) * (len(self.rest) + 1)) * c[:-1]
            out = Pieces(out.breaks, lower if len(powers) else 0 * c, self.axis)
        for _ in range(-nu):
            out = out._integral()
        return out

    def _integral(self) -> Pieces:
        c, h = self.coefficients, np.reshape(np.diff(self.breaks), (-1,) + (1,) * len(self.rest))
        powers = np.reshape(np.arange(shape_of(c)[0], 0, -1.0), (-1,) + (1,) * (len(self.rest) + 1))
        higher = c / powers
        whole: Any = 0.0
        for k in range(shape_of(c)[0]):
            whole = (whole + higher[k]) * h
        start = np.concatenate([0 * whole[:1], np.cumsum(whole, axis=0)[:-1]])
        return Pieces(self.breaks, np.concatenate([higher, start[None]]), self.axis)


class Curve:
    """What the interpolators share: evaluation, derivatives and integrals of `Pieces`."""

    def __init__(self, name: str, pieces: Pieces, ends: tuple[Any, Any] | None = None, extrapolate: Any = True) -> None:
        self._name, self._pieces, self.extrapolate = name, pieces, extrapolate
        self._ends = (pieces.breaks[0], pieces.breaks[-1]) if ends is None else ends
        self.axis = pieces.axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """Return the value, or the derivative of order `nu`, at the points (...), along the axis of the knots."""
        v = array(x)
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        low, high = self._ends
        if isinstance(extrapolate, str):  # "periodic"
            y = self._pieces.derivative(nu).at(low + np.mod(v - low, high - low))
        else:
            y = self._pieces.derivative(nu).at(v)
            out = outside((low, high), v)
            if not extrapolate and (known(out) or isinstance(all_values(out), Tracer)):
                y = np.where(self._spread(out), np.nan, y)
        return y

    def _spread(self, mask: Any) -> Any:
        """A mask of the points in the shape of the result, but for broadcasting."""
        shape = (1,) * self.axis + shape_of(mask) + (1,) * (len(self._pieces.rest) - self.axis)
        return np.reshape(mask, shape)

    def derivative(self, nu: int = 1) -> Curve:
        """Return the derivative of order `nu` as a curve."""
        return Curve(self._name, self._pieces.derivative(nu), self._ends, self.extrapolate)

    def antiderivative(self, nu: int = 1) -> Curve:
        """Return an integral, which is 0 at the first knot, as a curve."""
        if isinstance(self.extrapolate, str):
            raise unsupported(f"{self._name}.antiderivative", "a periodic curve", "Use .integrate of its limits.")
        return Curve(self._name, self._pieces.derivative(-nu), self._ends, self.extrapolate)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """Return the integral between two numbers, which may be traced."""
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        primitive = Curve(self._name, self._pieces.derivative(-1), self._ends, extrapolate)
        if not isinstance(extrapolate, str):
            return primitive(b) - primitive(a)
        low, high = self._ends
        ends = [array(b), array(a)]
        laps = [np.floor((v - low) / (high - low)) for v in ends]
        parts = [primitive(v - lap * (high - low), extrapolate=True) for v, lap in zip(ends, laps, strict=True)]
        return parts[0] - parts[1] + (laps[0] - laps[1]) * primitive(high, extrapolate=True)

    def __getattr__(self, name: str) -> Any:
        if name in {"roots", "solve", "extend", "c", "x"} and not name.startswith("_"):
            raise unsupported(
                f"{self._name}.{name}", "this attribute",
                "Find roots with autodiff.scipy.optimize.brentq of the curve; coefficients are not kept as SciPy's.",
            )  # fmt: skip
        raise AttributeError(f"{self._name} has no attribute {name!r}{user_line()}")
