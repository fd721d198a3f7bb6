"""Integrals: of functions, on nodes that plain numbers choose, and of samples."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.integrate as si

from autodiff.core import Tracer
from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import array, has_tracer, mirrors, plain, unsupported

__all__ = ["cumulative_trapezoid", "fixed_quad", "quad", "simpson", "trapezoid"]

#: Gauss's rules on [-1, 1] with 10 and 21 points; their difference estimates the error.
_COARSE, _FINE = (np.polynomial.legendre.leggauss(n) for n in (10, 21))


def _numbers(x: Any) -> list[float]:
    """Every number in a traced value: its own and those of its tangents, as far as they are known."""
    if isinstance(x, Tracer):
        tangent = getattr(x, "tangent", None)
        return _numbers(getattr(x, "primal", 0.0)) + ([] if tangent is None else _numbers(tangent))
    value = np.ravel(x)
    return [float(v) for part in (np.real(value), np.imag(value)) for v in part]


def _measure(g: Any, s: float, e: float) -> tuple[Any, Any]:
    """Integrals over one piece of everything that is known about `g`, and their errors."""
    centre, half = (s + e) / 2, (e - s) / 2
    sums = [
        half * sum(w * np.array(g(centre + half * float(x))) for x, w in zip(*rule, strict=True))
        for rule in (_COARSE, _FINE)
    ]
    return sums[1], np.abs(sums[1] - sums[0])


def _pieces(g: Any, borders: list[float], epsabs: float, epsrel: float, limit: int) -> list[tuple[float, float]]:
    """Divide [0, 1] until the integral, and that of each tangent, is as accurate as is asked for."""
    parts = [((s, e), *_measure(g, s, e)) for s, e in pairwise(borders)]
    for _ in range(10 * limit):
        total = sum(p[1] for p in parts)
        bound = np.maximum(epsabs, epsrel * np.abs(total))
        errors = [np.max(p[2] / bound) for p in parts]
        if sum(errors) <= 1:
            break
        worst = int(np.argmax(errors))
        (s, e), *_ = parts.pop(worst)
        middle = (s + e) / 2
        parts += [((a, b), *_measure(g, a, b)) for a, b in ((s, middle), (middle, e))]
    else:
        warnings.warn(
            "scipy.integrate.quad: the derivative of the integral is less accurate than epsabs and epsrel ask for; "
            "name the difficult points with points=.",
            si.IntegrationWarning,
            stacklevel=4,
        )
    return [p[0] for p in parts]


def _map(a: Any, b: Any) -> tuple[Any, Any]:
    """The substitution x(u) and dx/du for u in [0, 1]; of infinite intervals, SciPy's ``(1 - u) / u``."""
    low, high = np.isneginf(plain(a)), np.isposinf(plain(b))
    if low and high:  # x = v / (1 - v^2), v from -1 to 1
        return (
            lambda u: (2 * u - 1) / (1 - (2 * u - 1) ** 2),
            lambda u: 2 * (1 + (2 * u - 1) ** 2) / (1 - (2 * u - 1) ** 2) ** 2,
        )
    if high:
        return lambda u: a + u / (1 - u), lambda u: 1 / (1 - u) ** 2
    if low:
        return lambda u: b - (1 - u) / u, lambda u: 1 / u**2
    return lambda u: a + u * (b - a), lambda _u: b - a


@mirrors(si.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral of samples by the trapezoidal rule."""
    return np.trapezoid(array(y), None if x is None else array(x), dx, axis)


def _widths(y: Any, x: Any, dx: Any, axis: int) -> Any:
    """Distances of the samples, so that they broadcast against `y` with its axis last."""
    if x is None:
        return dx
    x = array(x)
    return np.diff(x if len(shape_of(x)) == 1 else np.moveaxis(x, axis, -1), axis=-1)


@mirrors(si.cumulative_trapezoid)
def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """Integrals up to each sample by the trapezoidal rule; `initial` (0) goes before them."""
    if initial is not None and plain(initial) != 0:
        raise ValueError(f"scipy.integrate.cumulative_trapezoid: initial must be None or 0, not {initial!r}.")
    y = array(y)
    last = np.moveaxis(y, axis, -1)
    sums = np.cumsum(_widths(y, x, dx, axis) * (last[..., 1:] + last[..., :-1]) / 2, axis=-1)
    if initial is not None:
        sums = np.concatenate([np.zeros((*shape_of(sums)[:-1], 1), dtype_of(sums)), sums], axis=-1)
    return np.moveaxis(sums, -1, axis)


def _parabolas(y: Any, h: Any) -> Any:
    """Simpson's rule over an even number of intervals of any widths."""
    h0, h1 = h[..., 0::2], h[..., 1::2]
    total, product, ratio = h0 + h1, h0 * h1, h0 / h1
    terms = y[..., 0:-2:2] * (2 - 1 / ratio) + y[..., 1:-1:2] * total**2 / product + y[..., 2::2] * (2 - ratio)
    return np.sum(total / 6 * terms, axis=-1)


@mirrors(si.simpson)
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral of samples by Simpson's rule; of an odd number of intervals, the last by the parabola before it.

    Examples
    --------
    >>> from autodiff import grad
    >>> grad(lambda y: simpson(y, dx=3.0))(np.ones(3))
    array([1., 4., 1.])
    """
    y = np.moveaxis(array(y), axis, -1)
    n = shape_of(y)[-1]
    if x is None:
        precise = dtype_of(y) if dtype_of(y).kind in "fc" else np.dtype(np.float64)
        h = dx + np.zeros(max(n - 1, 0), np.zeros(0, precise).real.dtype)
    else:
        h = _widths(y, array(x), dx, axis)
    if n < 2:
        return np.sum(y[..., :0], axis=-1)
    if n == 2:
        return np.sum(h * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)
    if n % 2:
        return _parabolas(y, h)
    a, b = h[..., -1], h[..., -2]  # the last interval, and the one before it
    last = (
        y[..., -1] * (2 * a**2 + 3 * a * b) / (6 * (b + a))
        + y[..., -2] * (a**2 + 3 * a * b) / (6 * b)
        - y[..., -3] * a**3 / (6 * b * (b + a))
    )
    return _parabolas(y[..., :-1], h[..., :-1]) + last


def fixed_quad(func: Any, a: Any, b: Any, args: Any = (), n: int = 5) -> Any:
    """Integral of a function of arrays by `n` Gaussian nodes; the second result is None.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(np.round(grad(lambda b: fixed_quad(np.cos, 0.0, b)[0])(1.0), 6))
    0.540302
    """
    if not has_tracer((a, b, args)) and not has_tracer(array(func(np.array([plain(a)]), *args))):
        return si.fixed_quad(func, a, b, args, n)
    if np.isinf(plain(a)) or np.isinf(plain(b)):
        raise ValueError("scipy.integrate.fixed_quad: the limits must be finite; use quad.")
    nodes, weights = np.polynomial.legendre.leggauss(n)
    half = (b - a) / 2
    return half * np.sum(weights * array(func(half * (nodes + 1) + a, *args)), axis=-1), None


def quad(
    func: Any,
    a: Any,
    b: Any,
    args: Any = (),
    full_output: Any = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    """Integral of a function of one number, differentiable by limits, ``args``, and what `func` closes over.

    The interval is divided on plain numbers until the integral is as accurate as asked for, in forward mode that of the
    tangents as well; the sum over these nodes, which move with the limits, is then differentiated: Leibniz's rule at
    every order. In reverse mode the nodes are chosen for the function alone: where its derivative is much rougher than
    itself, ask for a smaller `epsabs` and `epsrel`, or name the points.

    Parameters
    ----------
    func : callable
        ``func(x, *args)``, a real number, written with NumPy.
    a, b : float
        The limits, which may be infinite.
    args, epsabs, epsrel, limit, points
        As in SciPy.
    full_output, weight, complex_func and the others
        Not where something is traced.

    Returns
    -------
    integral, error : float
        As in SciPy; where something is traced, the integral carries a derivative.

    Examples
    --------
    >>> from autodiff import grad
    >>> def gaussian(s):
    ...     return quad(lambda x: np.exp(-s * x * x), -np.inf, np.inf)[0]
    >>> float(np.round(grad(gaussian)(1.0), 6))  # -sqrt(pi) / 2
    -0.886227
    """
    name, args = "scipy.integrate.quad", args if isinstance(args, tuple) else (args,)
    low, high = plain(a), plain(b)
    to_x, slope = _map(a, b)
    if not has_tracer((a, b, args)) and not has_tracer(func(float(plain(to_x(0.4375))), *args)):
        return si.quad(
            func, a, b, args, full_output, epsabs, epsrel, limit, points, weight, wvar, wopts, maxp1, limlst,
            complex_func,
        )  # fmt: skip
    if full_output or weight is not None or complex_func:
        raise unsupported(
            name, "full_output, weight or complex_func", "Write the weight into the function, and the parts of a "
            "complex one as two integrals."
        )  # fmt: skip
    if low > high:
        value, error = quad(func, b, a, args, epsabs=epsabs, epsrel=epsrel, limit=limit, points=points)
        return -value, error
    found = si.quad(
        lambda x, *rest: plain(func(x, *rest)), low, high, plain(args), 0, epsabs, epsrel, limit, plain(points)
    )

    def integrand(u: Any) -> Any:
        return func(to_x(u), *args) * slope(u)

    borders = [0.0, 1.0]
    if points is not None and high > low:
        inside = [(float(p) - low) / (high - low) for p in plain(points)]
        borders = sorted({0.0, 1.0, *[u for u in inside if 0 < u < 1]})
    pieces = _pieces(_watched(func, args, integrand), borders, max(epsabs, 1e-13), max(epsrel, 1e-13), limit)
    nodes, weights = _FINE
    total: Any = 0.0
    for s, e in pieces:
        for x, w in zip(nodes, weights, strict=True):
            u = (s + e) / 2 + (e - s) / 2 * float(x)
            total = total + (e - s) / 2 * float(w) * integrand(u)
    return total, found[1]


def _watched(func: Any, args: tuple[Any, ...], integrand: Any) -> Any:
    """What must be integrated accurately at a node: the integrand with its tangents."""
    return lambda u: _numbers(integrand(u))
