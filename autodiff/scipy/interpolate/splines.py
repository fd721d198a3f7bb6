"""Splines by their coefficients, and through values: linear in both, and polynomials of the points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.interpolate as si

from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import array, check_finite_values, unsupported
from autodiff.scipy.interpolate._pieces import Curve, Pieces, knots, linear_in, values_along

__all__ = ["BSpline", "basis_pieces", "end_conditions", "make_interp_spline"]


def basis_pieces(t: Any, k: int, n: int) -> tuple[Any, Any, Any]:
    """Pieces of the `n` basis splines of degree `k`: breaks, coefficients (k + 1, pieces, n), interval of each."""
    inside = np.array([i for i in range(k, n) if t[i + 1] > t[i]])
    basis = si.BSpline(t[: n + k + 1], np.eye(n), k)
    unit = [basis(t[inside], nu) / math.factorial(nu) for nu in range(k, -1, -1)]  # Taylor's, at the left ends
    return np.append(t[inside], t[n]), np.stack(unit), inside


class BSpline(Curve):
    """Spline in the B-spline basis, differentiable by its coefficients and by the points.

    Parameters
    ----------
    t : array_like, shape (n + k + 1,)
        The knots; plain.
    c : array_like, shape (n or more, ...)
        The coefficients, which may be traced; as an attribute, with their axis first.
    k : int
        The degree.
    extrapolate, axis
        As in SciPy.

    Raises
    ------
    ValueError
        If there are too few knots or coefficients, or the knots decrease.

    Examples
    --------
    >>> from autodiff import grad
    >>> t = np.array([0.0, 0.0, 1.0, 2.0, 2.0])
    >>> grad(lambda c: BSpline(t, c, 1)(1.25))(np.ones(3))
    array([0.  , 0.75, 0.25])
    """

    def __init__(self, t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> None:
        name = "scipy.interpolate.BSpline"
        self.t, self.k = knots(name, t), int(k)
        c = np.moveaxis(array(c), axis, 0)
        self.c = c if dtype_of(c).kind in "fc" else c.astype(float)
        n = len(self.t) - self.k - 1
        si.BSpline(self.t, np.zeros(shape_of(c)[0]), self.k)  # SciPy's own errors
        breaks, unit, _ = basis_pieces(self.t, self.k, n)
        extrapolate = extrapolate if isinstance(extrapolate, str) else bool(extrapolate)
        super().__init__(name, Pieces(breaks, linear_in(unit, self.c[:n]), axis), extrapolate=extrapolate)


def end_conditions(bc_type: Any, first: int) -> tuple[Any, list[Any], int]:
    """Read derivatives given at the ends: SciPy's form for unit values, whose rows start at `first`, and the values."""
    ends: list[Any] = []
    places: list[list[tuple[int, int]] | str | None] = []
    for side in bc_type if isinstance(bc_type, tuple) else (bc_type, bc_type):
        if isinstance(side, str) or side is None:
            places.append(side)
            continue
        pairs = list(side) if isinstance(side[0], (list, tuple)) else [side]
        places.append([(int(order), first + len(ends) + i) for i, (order, _) in enumerate(pairs)])
        ends += [value for _, value in pairs]
    size = first + len(ends)
    row = np.eye(size)
    given = tuple(p if isinstance(p, str) or p is None else [(order, row[at]) for order, at in p] for p in places)
    return given, ends, size


def make_interp_spline(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> BSpline:
    """Return the spline of degree `k` through values, differentiable by them, by end conditions and by the points.

    Parameters
    ----------
    x : array_like, shape (n,)
        Where the values are, increasing; plain.
    y : array_like
        The values along `axis`, which may be traced.
    k, axis, check_finite
        As in SciPy.
    t : array_like, optional
        The knots; plain.
    bc_type
        As in SciPy; the numbers in pairs ``(order, value)`` may be traced.

    Returns
    -------
    BSpline
        Whose coefficients ``c`` are linear in `y`.

    Examples
    --------
    >>> from autodiff import grad
    >>> x = np.arange(6.0)
    >>> float(np.round(grad(make_interp_spline(x, x**2, k=2))(1.5), 9))
    3.0
    """
    name = "scipy.interpolate.make_interp_spline"
    x = knots(name, x)
    t = None if t is None else knots(name, t)
    y = values_along(name, x, y, axis)
    check_finite_values(name, check_finite, y)
    periodic = isinstance(bc_type, str) and bc_type == "periodic"
    given, ends, size = (bc_type, [], len(x)) if periodic else end_conditions(bc_type, len(x))
    rows = np.eye(len(x), size)
    if periodic:
        rows[-1] = rows[0]  # the first value stands for both
    unit = si.make_interp_spline(x, rows, k, t, None if bc_type is None else given)
    values = np.concatenate([y, *[np.broadcast_to(array(v), shape_of(y)[1:])[None] for v in ends]]) if ends else y
    c = linear_in(unit.c[None], values)[0]
    return BSpline(unit.t, np.moveaxis(c, 0, axis), unit.k, "periodic" if periodic else True, axis)


def unit_coefficients(x: Any, k: int) -> tuple[Any, Any]:
    """Breaks, and coefficients (k + 1, pieces, n) for unit values, of the spline of degree `k` through values."""
    if len(x) <= k:
        raise unsupported("scipy.interpolate", f"a spline of degree {k} through {len(x)} values", "Give more values.")
    unit = si.make_interp_spline(x, np.eye(len(x)), k)
    breaks, pieces, _ = basis_pieces(unit.t, unit.k, len(x))
    return breaks, pieces @ unit.c
